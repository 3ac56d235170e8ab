"""Schema of runtime files: how a serving runtime runs everything of a layer but attention."""

from typing import Annotated, Literal

from pydantic import Field

from sim.config.fields import PAIR, Float, Int, Section

Width = Literal["hidden", "q", "kv", "cache", "ffn", "latent", "router", "routed"]
Part = Literal["attention", "state", "block", "qk_norm", "latent", "experts", "shared_expert", "fp8"]
Share = Annotated[Float, Field(gt=0, le=1)]
Edge = Annotated[Int, Field(ge=8, le=1024)]


class Pointwise(Section):
    """One kernel that only moves values: a norm, an activation, rotary embedding, a copy into the cache."""

    name: str = Field(min_length=1, description="shown nowhere; says what it is")
    per: Literal["layer", "step"] = Field(default="layer", description="runs in every layer, or once a step")
    count: Int = Field(default=1, ge=1, le=64, description="times")
    only: list[Part] = Field(
        default_factory=list,
        description="runs only where all of these are: attention, a state-space layer, a feed-forward block, norms of "
        "queries and keys, MLA, routed experts (in layers that "
        "have them), a shared expert beside them, products in FP8; none: always",
    )
    reads: dict[Width, Annotated[Float, Field(gt=0, le=64)]] = Field(
        default_factory=dict,
        description="values read per token, in widths of the model on one device (kv: K and V together; cache: the "
        "same as the cache stores them; latent: the compressed query and KV of MLA; router: a value per expert; "
        "routed: the residual stream once for each expert that a token passes); 16-bit ones but for cache",
    )
    writes: dict[Width, Annotated[Float, Field(gt=0, le=64)]] = Field(
        default_factory=dict, description="values written per token, in the same widths"
    )
    clocks: dict[Width, Annotated[Float, Field(gt=0, le=64)]] = Field(
        default_factory=dict,
        description="clocks of an SM per value of these widths; the kernel takes as long where moving is quicker",
    )
    round_trips: Int = Field(
        default=1, ge=1, le=16, description="dependent trips to L2 (load, reduce, load weights: 2)"
    )


class AllReduce(Section):
    """Which algorithm sums the parts of tensor parallelism."""

    one_shot_kib: Float = Field(
        gt=0, le=1e6, description="KiB times devices up to which every device reads all parts at once"
    )
    two_shot_kib: Float = Field(
        gt=0, le=1e6, description="KiB up to which each device sums its share and all read it; beyond: ring"
    )
    link_fraction: Share = Field(description="share of the link's bandwidth that is reached")


class Runtime(Section):
    """GEMM library, fusion and collectives of one runtime."""

    name: str = Field(min_length=1, description="shown in results")
    description: str = Field(default="", description="what it imitates")
    gemm_tiles: list[Annotated[tuple[Edge, Edge], PAIR]] = Field(
        min_length=1, description="[rows (tokens), columns] of a CTA's output tile; the fastest is taken"
    )
    k_step: Int = Field(default=64, ge=8, le=1024, description="depth of one step of a tile")
    split_k: list[Annotated[Int, Field(ge=1, le=64)]] = Field(
        min_length=1, description="parts into which the depth can be split"
    )
    cluster: Int = Field(
        default=1,
        ge=1,
        le=16,
        description="CTAs that fetch the columns' operand once for all of them, on chips with sm.async_copy: tma",
    )
    tensor_fraction: Share = Field(description="share of the tensor peak in the main loop of a GEMM")
    stream_fraction: Share = Field(description="share of the memory peak at which weights stream")
    pointwise: list[Pointwise] = Field(description="the kernels around the GEMMs")
    all_reduce: AllReduce = Field(description="tensor parallelism")
    sources: dict[str, str] = Field(default_factory=dict, description="where the numbers come from")
