"""Schema of workload and model files: the only list of workload fields."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.context import MOST_SEQUENCES, Context, Tokens, shortest_context
from sim.config.fields import (
    TEXT_OR_MAPPING,
    WHOLE,
    Float,
    Int,
    Section,
    branch,
    broken_rule,
)
from sim.config.hardware import KvFormat, MmaFormat

AttentionKind = Literal["gqa", "mla", "window", "ssm", "hybrid"]
KINDS_OF_KEYS: dict[str, tuple[AttentionKind, ...]] = {
    "window": ("window",),
    "latent": ("mla",),
    "state_dim": ("ssm", "hybrid"),
    "attention_every": ("hybrid",),
}
"""Keys of a model that only some kinds of attention have a use for."""


class LatentProjections(Section):
    """Projections around latent attention (DeepSeek-V2, arXiv:2405.04434). The rotary part of a head has as many values
    as the model's head_dim has beyond the latent.
    """

    q_rank: Int | None = Field(
        default=None, ge=8, le=65536, description="width of the compressed query; none: it is not compressed"
    )
    key_dim: Int = Field(ge=8, le=1024, description="values of a key head beside its rotary part")
    value_dim: Int = Field(ge=8, le=1024, description="values of a head before the output projection")


class Experts(Section):
    """Mixture of experts: feed-forward blocks of which each token passes a few."""

    count: Int = Field(ge=2, le=65536, description="routed experts of a layer")
    active: Int = Field(ge=1, le=65536, description="routed experts that a token passes")
    ffn: Int = Field(ge=8, le=1048576, description="inner width of one routed expert")
    shared_ffn: Int = Field(
        default=0,
        ge=0,
        le=1048576,
        description="inner width of the block that every token passes beside them",
    )
    layers: Int = Field(
        ge=1, le=1024, description="layers that have them; the others have a block of model.ffn"
    )


class Model(Section):
    """Shape of a transformer (or of a comparison model with bounded state)."""

    layers: Int = Field(ge=1, le=1024, description="transformer layers")
    q_heads: Int = Field(ge=1, le=1024, description="query heads")
    kv_heads: Int = Field(ge=1, le=1024, description="KV heads; divides q_heads")
    head_dim: Int = Field(ge=8, le=1024, description="per head; for MLA latent plus rope")
    value_dim: Int | None = Field(
        default=None, ge=8, le=1024, description="V per head where it differs; for MLA the latent"
    )
    hidden: Int = Field(ge=8, le=262144, description="width of the residual stream")
    ffn: Int = Field(
        ge=0,
        le=1048576,
        description="inner width of the feed-forward block, in layers without experts; 0: none there",
    )
    experts: Experts | None = Field(
        default=None, description="mixture of experts; none: all layers are dense"
    )
    vocab: Int = Field(ge=1, le=10_000_000, description="vocabulary, for the output head")
    attention: AttentionKind = Field(default="gqa", description="kind of attention")
    qk_norm: bool = Field(default=False, description="queries and keys are normalised per head (Qwen3)")
    window: Tokens | None = Field(default=None, description="sliding window in tokens; none: full attention")
    latent: LatentProjections | None = Field(
        default=None, description="MLA: widths of its projections; a step needs them"
    )
    state_dim: Int | None = Field(default=None, ge=1, le=4096, description="SSM state per head and channel")
    attention_every: Int = Field(
        default=1, ge=1, le=1024, description="hybrid: one attention layer in this many, the rest SSM"
    )
    weight_bytes: Float = Field(default=2, gt=0, le=8, description="bytes per weight")
    head_bytes: Float = Field(
        default=2,
        gt=0,
        le=8,
        description="bytes per weight of the output head and of the embedding, which quantised checkpoints (FP8, GPTQ, "
        "AWQ) leave in 16 bit",
    )
    gemm_format: MmaFormat | None = Field(
        default=None,
        description="format in which GEMMs multiply weights and activations, where the chip can (else 16 bit); none: "
        "fp8 for weights of one byte, 16 bit for all others, which are expanded on the way (GPTQ, AWQ)",
    )
    weights_g: Float | None = Field(
        default=None,
        gt=0,
        le=1e5,
        description="10^9 weights held (all experts); none, or inherited with a shape that is changed: from the "
        "shape",
    )
    source: str = Field(default="", description="where the shape is from")

    @model_validator(mode="after")
    def heads_divide(self) -> Self:
        if self.q_heads % self.kv_heads:
            found = f"found {self.q_heads} query heads for {self.kv_heads} KV heads"
            raise broken_rule(
                f"{found}; allowed: q_heads a multiple of kv_heads", ("kv_heads",), ("q_heads",)
            )
        return self

    @model_validator(mode="after")
    def kind_has_its_fields(self) -> Self:
        kind = self.attention
        needed = {"window": "window", "mla": "value_dim", "ssm": "state_dim", "hybrid": "state_dim"}.get(kind)
        if needed and getattr(self, needed) is None:
            raise broken_rule(
                f"found {kind}; allowed: only together with {needed}", ("attention",), (needed,)
            )
        return self

    @model_validator(mode="after")
    def keys_have_a_use(self) -> Self:
        for key, kinds in KINDS_OF_KEYS.items():
            if self.attention not in kinds and getattr(self, key) != type(self).model_fields[key].default:
                found = f"found {key} with attention {self.attention}"
                text = f"{found}; allowed: only with attention {' or '.join(kinds)} (null takes an inherited one away)"
                raise broken_rule(text, ("attention",), (key,))
        return self

    @model_validator(mode="after")
    def experts_are_there(self) -> Self:
        parts = self.experts
        if parts is not None and parts.active > parts.count:
            text = f"found {parts.active} of {parts.count}; allowed: at most all"
            raise broken_rule(text, ("experts", "count"), ("experts", "active"))
        if parts is not None and parts.layers > self.layers:
            text = f"found {parts.layers} of {self.layers} layers; allowed: at most all"
            raise broken_rule(text, ("layers",), ("experts", "layers"))
        return self

    @model_validator(mode="after")
    def latent_is_part_of_the_key(self) -> Self:
        if self.attention == "mla" and self.value_dim is not None and self.value_dim > self.head_dim:
            found = f"found value_dim {self.value_dim} with head_dim {self.head_dim}"
            text = f"{found}; allowed: at most head_dim, which is latent plus rope"
            raise broken_rule(text, ("head_dim",), ("value_dim",))
        return self


KEYS_OF_SHAPE = frozenset(Model.model_fields) - {
    "window",
    "weight_bytes",
    "head_bytes",
    "gemm_format",
    "weights_g",
    "source",
}
"""Keys of a model that its number of weights follows from."""


class MixedFormat(Section):
    """KV precision by age: the newest hot_tokens of a sequence in `hot`, older pages in `cold`."""

    hot: KvFormat = Field(description="format of the newest tokens")
    cold: KvFormat = Field(description="format of older pages")
    hot_tokens: Int = Field(ge=0, le=16_777_216, description="newest tokens of a sequence that stay hot")


class Mapping(Section):
    """How a kernel is cut; what is left out is searched (or follows the profile)."""

    tile_tokens: Int | None = Field(default=None, ge=8, le=65536, description="KV tokens per tile")
    stages: Int | None = Field(default=None, ge=1, le=64, description="stage buffers per CTA")
    splits: Int | None = Field(default=None, ge=1, le=1024, description="parts of one context")
    ctas_per_sm: Int | None = Field(default=None, ge=1, le=128, description="most resident CTAs per SM")
    kv_heads_per_cta: Int | None = Field(default=None, ge=1, le=1024, description="KV heads of one CTA")


class TierPlacement(Section):
    """Where the oldest part of each context lies before the step."""

    name: str = Field(min_length=1, description="a tier of the machine")
    fraction: Float = Field(gt=0, le=1, description="share of each context's pages, oldest first")
    policy: Literal["reactive", "prefetch"] = Field(
        default="reactive", description="fetched when a CTA asks, or from the start of the step"
    )


class Workload(Section):
    """One attention launch (kernel) or one step of a model (step)."""

    name: str = Field(default="", description="shown in results; none: the file's name")
    description: str = Field(default="", description="one line for `pagewalk workload list`")
    kind: Literal["kernel", "step"] = Field(
        description="one attention launch, or all layers and GEMMs of a step"
    )
    model: Annotated[
        Annotated[str, branch("text")] | Annotated[Model, branch("mapping")], TEXT_OR_MAPPING
    ] = Field(description="a shipped model, a path, or its keys in place (base: inherits)")
    phase: Literal["decode", "prefill", "verify", "mixed"] = Field(description="what the step does")
    batch: Int = Field(ge=1, le=MOST_SEQUENCES, description="sequences")
    context: Context = Field(description="tokens per sequence, new ones included")
    q_len: Tokens = Field(
        default=1,
        description="new tokens per sequence; prefill: the whole context when left at 1 and no cache",
    )
    causal: bool = Field(
        default=True, description="each new token sees what is before it; false: all of the context"
    )
    kv_format: Annotated[
        Annotated[KvFormat, branch("text")] | Annotated[MixedFormat, branch("mapping")], TEXT_OR_MAPPING
    ] = Field(default="fp16", description="format of the cache, one or by age")
    page_tokens: Int = Field(default=16, ge=1, le=65536, description="tokens per KV page")
    layout: Literal["HND", "NHD"] = Field(default="HND", description="order in a page: heads or tokens first")
    page_order: Literal["sequential", "shuffled", "trace"] = Field(
        default="trace",
        description="physical order of a sequence's pages; trace: as the allocator placed them",
    )
    table_layout: Literal["flat", "two_level", "none"] = Field(
        default="flat",
        description="shape of the block table; none: each sequence's KV lies in one piece and is found without one",
    )
    table_entry_bytes: Annotated[Literal[4, 8], WHOLE] = Field(
        default=4, description="bytes of a block-table entry"
    )
    shared_prefix: Int = Field(
        default=0, ge=0, le=16_777_216, description="leading tokens that all sequences share"
    )
    kernel: str = Field(
        default="auto",
        description="a kernel profile, as its implementation is; auto: the best one that can run",
    )
    mapping: Annotated[
        Annotated[Literal["auto"], branch("text")] | Annotated[Mapping, branch("mapping")], TEXT_OR_MAPPING
    ] = Field(default="auto", description="how the kernel is cut, or auto: by its own rule, else searched")
    l2_state: Literal["cold", "warm", "rotated"] = Field(
        default="cold",
        description="warm: the state after one identical launch, as benchmarks replay; rotated: after launches on "
        "other data, which leave their code, as far as L2 keeps it beside what one of them reads",
    )
    launch: Literal["graph", "stream", "none"] = Field(
        default="graph", description="who launches the kernels"
    )
    runtime: str = Field(
        default="vllm", description="step: how everything but attention runs; a shipped runtime or a path"
    )
    tensor_parallel: Int = Field(default=1, ge=1, le=1024, description="devices that share each layer")
    tier: TierPlacement | None = Field(default=None, description="pages that start outside device memory")

    @property
    def has_table(self) -> bool:
        """Whether a block table says where KV lies."""
        return self.table_layout != "none"

    @property
    def entry_bytes(self) -> int:
        """Bytes that a page costs in the block table."""
        return self.table_entry_bytes if self.has_table else 0

    @model_validator(mode="after")
    def batch_has_contexts(self) -> Self:
        if isinstance(self.context, list) and len(self.context) != self.batch:
            found = f"found {len(self.context)} contexts for a batch of {self.batch}"
            raise broken_rule(f"{found}; allowed: one per sequence", ("batch",), ("context",))
        return self

    @model_validator(mode="after")
    def new_tokens_and_prefix_fit(self) -> Self:
        shortest = shortest_context(self.context)
        for key in ("q_len", "shared_prefix"):
            value = getattr(self, key)
            if shortest is not None and value > shortest:
                text = (
                    f"found {key} {value} in a context of {shortest}; allowed: at most the shortest context"
                )
                raise broken_rule(text, ("context",), (key,))
        return self

    @model_validator(mode="after")
    def one_piece_is_not_cut(self) -> Self:
        if self.has_table:
            return self
        table = ("table_layout",)
        if self.page_order == "shuffled":
            text = "found shuffled pages without a block table; allowed: sequential"
            raise broken_rule(text, table, ("page_order",))
        if self.shared_prefix:
            text = f"found {self.shared_prefix} shared tokens without a block table; allowed: 0"
            raise broken_rule(text, table, ("shared_prefix",))
        if self.tier is not None:
            raise broken_rule(
                "found pages in a tier without a block table; allowed: no tier", table, ("tier",)
            )
        return self
