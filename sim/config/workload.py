"""Schema of workload, model and kernel-profile files: the only list of workload fields."""

from typing import Annotated, Literal

from pydantic import Field

from sim.config.fields import Float, Int, Section
from sim.config.hardware import KvFormat

Tokens = Annotated[Int, Field(ge=1, le=16_777_216)]
AttentionKind = Literal["gqa", "mla", "window", "ssm", "hybrid"]


class Model(Section):
    """Shape of a transformer (or of a comparison model with bounded state)."""

    layers: Int = Field(ge=1, le=1024)
    q_heads: Int = Field(ge=1, le=1024)
    kv_heads: Int = Field(ge=1, le=1024)
    head_dim: Int = Field(ge=8, le=1024, description="per head; for MLA latent plus rope")
    value_dim: Int | None = Field(default=None, ge=8, le=1024, description="V per head where it differs; for MLA the latent")
    hidden: Int = Field(ge=8, le=262144)
    ffn: Int = Field(ge=8, le=1048576, description="inner width of the feed-forward block (of the active experts together)")
    vocab: Int = Field(ge=1, le=10_000_000)
    attention: AttentionKind = "gqa"
    window: Tokens | None = Field(default=None, description="sliding window in tokens; none: full attention")
    state_dim: Int | None = Field(default=None, ge=1, le=4096, description="SSM state per head and channel")
    attention_every: Int = Field(default=1, ge=1, le=1024, description="hybrid: one attention layer in this many, the rest SSM")
    weight_bytes: Float = Field(default=2, gt=0, le=8, description="bytes per weight")
    weights_g: Float | None = Field(default=None, gt=0, le=1e5, description="10^9 weights held (all experts); none: from the shape")
    source: str = ""


class UniformContext(Section):
    uniform: tuple[Tokens, Tokens]


class TraceContext(Section):
    trace: str
    at_s: Float = Field(ge=0)


class MixedFormat(Section):
    """KV precision by age: the newest hot_tokens of a sequence in `hot`, older pages in `cold`."""

    hot: KvFormat
    cold: KvFormat
    hot_tokens: Int = Field(ge=0, le=16_777_216)


class Mapping(Section):
    """How a kernel is cut; what is left out is searched (or follows the profile)."""

    tile_tokens: Int | None = Field(default=None, ge=8, le=65536)
    stages: Int | None = Field(default=None, ge=1, le=64)
    splits: Int | None = Field(default=None, ge=1, le=1024)
    ctas_per_sm: Int | None = Field(default=None, ge=1, le=128)
    kv_heads_per_cta: Int | None = Field(default=None, ge=1, le=1024)


class TierPlacement(Section):
    """Where the oldest part of each context lies before the step."""

    name: str
    fraction: Float = Field(gt=0, le=1, description="share of each context's pages, oldest first")
    policy: Literal["reactive", "prefetch"] = Field(default="reactive", description="fetched when a CTA asks, or from the start of the step")


class Workload(Section):
    """One attention launch (kernel) or one step of a model (step)."""

    name: str = ""
    description: str = ""
    kind: Literal["kernel", "step"]
    model: str | Model
    phase: Literal["decode", "prefill", "verify", "mixed"]
    batch: Int = Field(ge=1, le=65536)
    context: Tokens | Annotated[list[Tokens], Field(min_length=1, max_length=65536)] | UniformContext | TraceContext
    q_len: Tokens = Field(default=1, description="new tokens per sequence; prefill: the whole context when left at 1 and no cache")
    kv_format: KvFormat | MixedFormat = "fp16"
    page_tokens: Int = Field(default=16, ge=1, le=65536)
    layout: Literal["HND", "NHD"] = "HND"
    page_order: Literal["sequential", "shuffled", "trace"] = "trace"
    table_layout: Literal["flat", "two_level"] = "flat"
    table_entry_bytes: Literal[4, 8] = 4
    shared_prefix: Int = Field(default=0, ge=0, le=16_777_216, description="leading tokens that all sequences share")
    kernel: str = "auto"
    mapping: Literal["auto"] | Mapping = "auto"
    l2_state: Literal["cold", "warm"] = "cold"
    launch: Literal["graph", "stream", "none"] = "graph"
    tensor_parallel: Int = Field(default=1, ge=1, le=1024)
    tier: TierPlacement | None = None


class KernelProfile(Section):
    """How an implementation of attention behaves, apart from the chip it runs on."""

    name: str
    description: str = ""
    phase: list[Literal["decode", "prefill", "verify", "mixed"]]
    attention: list[AttentionKind] = Field(default_factory=lambda: ["gqa", "window"])
    formats: list[KvFormat] = Field(min_length=1, description="KV formats that the kernel reads")
    auto: bool = Field(default=True, description="considered by `kernel: auto`")
    address: Literal["tma", "cp_async", "load"] = Field(description="who makes addresses; tma needs sm.async_copy: tma, cp_async needs at least cp_async")
    m_tile: Int = Field(ge=1, le=1024, description="most query rows per CTA")
    m_align: Int = Field(default=16, ge=1, le=256, description="rows to which a partial MMA is padded")
    tile_tokens: list[Int] = Field(min_length=1, description="KV tokens per tile, in order of preference")
    stages: list[Int] = Field(min_length=1, description="stage buffers, in order of preference")
    max_splits: Int = Field(default=1, ge=1, le=1024, description="KV splits")
    min_split_tokens: Int = Field(default=256, ge=1, le=1_048_576)
    warps: Int = Field(default=4, ge=1, le=64)
    registers_per_thread: Int = Field(default=168, ge=16, le=255)
    pack_gqa: bool = Field(default=True, description="query heads of one KV head share a CTA")
    kv_heads_per_cta: Int = Field(default=1, ge=1, le=1024)
    overlap: Literal["none", "pingpong"] = Field(default="none", description="softmax of one tile under the MMA of the next")
    expand_in: Literal["register", "sram"] = Field(default="register", description="where packed KV is expanded")
    direct_mma: list[KvFormat] = Field(default_factory=list, description="KV formats that the MMA reads without expansion")
    materialise: bool = Field(default=False, description="writes and reads S = QK^T and P through memory (standard attention)")
    prologue_clk: Float = Field(default=0, ge=0, le=1e6, description="per CTA before the first fetch")
    epilogue_clk: Float = Field(default=0, ge=0, le=1e6, description="per CTA after the last tile")
    tile_issue_clk: Float = Field(default=0, ge=0, le=1e6, description="issue slots per tile beside MMA and softmax")
    barrier_clk: Float = Field(default=0, ge=0, le=1e6, description="synchronisation per tile")
    softmax_ops_per_score: Float = Field(default=6, ge=0, le=1000, description="FP32 operations per score beside the exponential")
    combine: Literal["kernel", "last_cta"] = Field(default="kernel", description="split reduction: a second kernel, or by the last CTA")
    sources: dict[str, str] = Field(default_factory=dict)
