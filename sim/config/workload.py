"""Schema of workload, model and kernel-profile files: the only list of workload fields."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.context import Context, Tokens, shortest_context
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
from sim.config.split import Split

AttentionKind = Literal["gqa", "mla", "window", "ssm", "hybrid"]


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
        ge=8, le=1048576, description="inner width of the feed-forward block, in layers without experts"
    )
    experts: Experts | None = Field(
        default=None, description="mixture of experts; none: all layers are dense"
    )
    vocab: Int = Field(ge=1, le=10_000_000, description="vocabulary, for the output head")
    attention: AttentionKind = Field(default="gqa", description="kind of attention")
    window: Tokens | None = Field(default=None, description="sliding window in tokens; none: full attention")
    latent: LatentProjections | None = Field(
        default=None, description="MLA: widths of its projections; a step needs them"
    )
    state_dim: Int | None = Field(default=None, ge=1, le=4096, description="SSM state per head and channel")
    attention_every: Int = Field(
        default=1, ge=1, le=1024, description="hybrid: one attention layer in this many, the rest SSM"
    )
    weight_bytes: Float = Field(default=2, gt=0, le=8, description="bytes per weight")
    gemm_format: MmaFormat | None = Field(
        default=None,
        description="format in which GEMMs multiply weights and activations, where the chip can (else 16 bit); none: "
        "fp8 for weights of one byte, 16 bit for all others, which are expanded on the way (GPTQ, AWQ)",
    )
    weights_g: Float | None = Field(
        default=None, gt=0, le=1e5, description="10^9 weights held (all experts); none: from the shape"
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
    batch: Int = Field(ge=1, le=65536, description="sequences")
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
    table_layout: Literal["flat", "two_level"] = Field(default="flat", description="shape of the block table")
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
    l2_state: Literal["cold", "warm"] = Field(
        default="cold", description="warm: the state after one identical launch, as benchmarks replay"
    )
    launch: Literal["graph", "stream", "none"] = Field(
        default="graph", description="who launches the kernels"
    )
    runtime: str = Field(
        default="vllm", description="step: how everything but attention runs; a shipped runtime or a path"
    )
    tensor_parallel: Int = Field(default=1, ge=1, le=1024, description="devices that share each layer")
    tier: TierPlacement | None = Field(default=None, description="pages that start outside device memory")

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


USUAL_CODE_TRIPS = 4.5
"""Those of streaming reads on H100 and H200 (validation/gpu): of any small kernel."""


class HeadTile(Section):
    """Other tiles that an implementation compiles for one head size."""

    head_dim: Int = Field(ge=8, le=1024, description="values per row of Q and K, for which these tiles hold")
    m_tile: Int | None = Field(default=None, ge=1, le=1024, description="most query rows per CTA")
    tile_tokens: list[Annotated[Int, Field(ge=8, le=65536)]] | None = Field(
        default=None, min_length=1, description="KV tokens per tile, in order of preference"
    )


class KernelProfile(Section):
    """How an implementation of attention behaves, apart from the chip it runs on."""

    name: str = Field(min_length=1, description="shown in results")
    description: str = Field(default="", description="what it imitates")
    phase: list[Literal["decode", "prefill", "verify", "mixed"]] = Field(description="phases that it runs")
    attention: list[AttentionKind] = Field(default=["gqa", "window"], description="kinds that it computes")
    formats: list[KvFormat] = Field(min_length=1, description="KV formats that the kernel reads")
    auto: bool = Field(default=True, description="considered by `kernel: auto`")
    algorithm: Literal["flash", "cascade", "kv_outer", "standard"] = Field(
        default="flash",
        description="flash: a CTA owns query rows; cascade: a shared prefix first, for all sequences at once; "
        "kv_outer: a CTA owns a head and keeps its output in memory; standard: scores in memory, three launches",
    )
    address: Literal["tma", "cp_async", "load"] = Field(
        description="who makes addresses; tma needs sm.async_copy: tma, cp_async needs at least cp_async"
    )
    m_tile: Int = Field(ge=1, le=1024, description="most query rows per CTA")
    m_align: Int = Field(
        default=16,
        ge=1,
        le=256,
        description="rows to which a partial MMA is padded; below 16, the least of an MMA, queries are its columns and "
        "tokens its rows, so that K and V are loaded once for all queries",
    )
    tile_tokens: list[Annotated[Int, Field(ge=8, le=65536)]] = Field(
        min_length=1, description="KV tokens per tile, in order of preference"
    )
    block_tiles: Int = Field(
        default=1,
        ge=1,
        le=64,
        description="tiles that are one KV block of the kernel's loop (of one in a K and a V buffer: two halves); a "
        "causal mask cuts off whole blocks only",
    )
    stages: list[Annotated[Int, Field(ge=1, le=64)]] = Field(
        min_length=1, description="stage buffers, in order of preference"
    )
    head_tiles: list[HeadTile] = Field(
        default_factory=list, description="tiles at head sizes for which it is compiled in another way"
    )
    row_tiles: list[Annotated[Int, Field(ge=1, le=1024)]] = Field(
        default_factory=list,
        description="query rows per CTA that it is compiled for, ascending, from m_tile on: the first that holds the "
        "rows of a KV head (mean of the sequences), else the last, stands for m_tile and m_align; none: m_tile alone",
    )
    k_tile: Int = Field(
        default=64, ge=8, le=1024, description="standard: KV tokens per step of the product with V"
    )
    softmax_rows: Int = Field(
        default=4, ge=1, le=1024, description="standard: rows of scores per CTA of the softmax launch"
    )
    split: Split = Field(default=Split(), description="how the implementation splits a context")
    max_splits: Int = Field(default=1, ge=1, le=1024, description="most KV splits")
    min_split_tokens: Int = Field(default=256, ge=1, le=1_048_576, description="least KV tokens per split")
    ctas_per_sm: Int = Field(
        default=0,
        ge=0,
        le=32,
        description="CTAs per SM that it is built for, with the first tile that lets them fit; 0: all that fit",
    )
    scheduling: Literal["grid", "counter", "stride"] = Field(
        default="grid",
        description="a CTA per work item; or resident CTAs that take items from a counter, or every n-th one",
    )
    item_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="per further work item of a resident CTA, in place of prologue_clk",
    )
    search_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="per 31 sequences that a resident CTA passes on the way to its next work item: a warp looks "
        "through 31 at once",
    )
    runs_ahead: bool = Field(
        default=False,
        description="resident CTAs whose loads and stores are apart from their products (a producer warp, TMA stores): "
        "they fill their buffers for the next item while they finish one, and do not wait for results to be written",
    )
    grid_order: Literal["seq_head_split", "head_seq_split", "split_seq_head", "split_head_seq"] = Field(
        default="seq_head_split", description="order in which work items start, slowest index first"
    )
    block_order: Literal["head_longest", "section_longest"] = Field(
        default="head_longest",
        description="order in which a sequence's query blocks start: head after head, the longest of each first; "
        "or the longest first of all heads whose K and V fit 32 MiB together",
    )
    run_clk: Float | None = Field(
        default=None,
        ge=0,
        le=1e5,
        description="issue slots of one contiguous run of a tile; none: the chip's gather.issue_clk",
    )
    warps: Int = Field(default=4, ge=1, le=64, description="warps per CTA")
    registers_per_thread: Int = Field(default=168, ge=16, le=255, description="32-bit registers per thread")
    pack_gqa: bool = Field(default=True, description="query heads of one KV head share a CTA")
    kv_heads_per_cta: Int = Field(default=1, ge=1, le=1024, description="KV heads of one CTA")
    overlap: Literal["none", "pingpong"] = Field(
        default="none", description="softmax of one tile under the MMA of the next"
    )
    expand_in: Literal["register", "sram"] = Field(
        default="register", description="where packed KV is expanded"
    )
    direct_mma: list[KvFormat] = Field(
        default_factory=list, description="KV formats that the MMA reads without expansion"
    )
    unpack_values_per_clk: Float | None = Field(
        default=None,
        gt=0,
        le=4096,
        description="packed values per clock and SM that its own instructions expand; none: the chip's "
        "unpack.alu_values_per_clk",
    )
    mma_operands: Literal["sram", "register"] = Field(
        default="sram",
        description="sram: the MMA reads K and V from shared memory itself (wgmma, tcgen05), under its own time; "
        "register: each warp first loads its fragments (ldmatrix for mma.sync), and expands packed ones",
    )
    code_trips: Float = Field(
        default=USUAL_CODE_TRIPS,
        ge=0,
        le=1000,
        description="trips to device memory, one behind the other, that a launch makes for its code, parameters and "
        "descriptors where the data of an earlier launch have pushed them out of L2; the default is what streaming "
        "reads make on H100 and H200 (validation/gpu)",
    )
    prologue_clk: Float = Field(default=0, ge=0, le=1e6, description="per CTA before the first fetch")
    epilogue_clk: Float = Field(default=0, ge=0, le=1e6, description="per CTA after the last tile")
    tile_issue_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="issue slots of a tile of the first tile size and, in flash kernels, head_dim 128, beside MMA and "
        "softmax; others in proportion",
    )
    barrier_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="per tile: synchronisation, and the latency of dependent instructions (fragment loads, MMA, "
        "shuffles of the row maximum) that no unit is busy with; other CTAs of the SM work meanwhile",
    )
    table_wait_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="flash: a tile's wait for page indices that it needs at once, where they fill a line of the block "
        "table or more; in proportion where they are part of one; 0: indices are loaded ahead",
    )
    softmax_ops_per_score: Float = Field(
        default=6,
        ge=0,
        le=1000,
        description="issue slots of the FP32 pipes per score beside the exponential: FP32 operations and all else that "
        "is issued for each score (conversions, masks, checks of bounds)",
    )
    combine_clk: Float = Field(
        default=0, ge=0, le=1e6, description="per CTA of a reduction kernel before its first fetch"
    )
    combine_split_clk: Float = Field(
        default=0, ge=0, le=1e6, description="issue slots of a reduction CTA for each split that it merges"
    )
    combine_rows: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=8, description="output rows of one group that a CTA of the reduction merges"
    )
    combine: Literal["kernel", "early_kernel", "last_cta"] = Field(
        default="kernel",
        description="split reduction: a second kernel, one that is launched early and waits for the first where the "
        "chip can (launch.dependent_ns), or by the last CTA",
    )
    sources: dict[str, str] = Field(default_factory=dict, description="where the numbers come from")

    @property
    def merges_in_a_kernel(self) -> bool:
        """The split reduction is a launch of its own, early or not."""
        return self.combine != "last_cta"

    @model_validator(mode="after")
    def head_sizes_differ(self) -> Self:
        sizes = [tile.head_dim for tile in self.head_tiles]
        for i, size in enumerate(sizes):
            if size in sizes[:i]:
                text = f"found {size} twice; allowed: each head size once"
                raise broken_rule(text, ("head_tiles", i, "head_dim"))
        return self

    @model_validator(mode="after")
    def row_tiles_ascend(self) -> Self:
        rows = self.row_tiles
        if sorted(set(rows)) != rows:
            raise broken_rule(f"found {rows}; allowed: each larger than the one before", ("row_tiles",))
        if rows and {self.m_tile, self.m_align} != {rows[0]}:
            text = f"found {rows} with m_tile {self.m_tile} and m_align {self.m_align}"
            paths = ("m_tile",), ("m_align",), ("row_tiles",)
            raise broken_rule(f"{text}; allowed: both the first of row_tiles", *paths)
        return self

    @model_validator(mode="after")
    def resident_ctas_run_ahead(self) -> Self:
        if self.runs_ahead and self.scheduling == "grid":
            text = "found true for grid; allowed: with resident CTAs (counter, stride)"
            raise broken_rule(text, ("runs_ahead",), ("scheduling",))
        return self

    @model_validator(mode="after")
    def operand_loads_are_of_flash_kernels(self) -> Self:
        kind = "ssm" if "ssm" in self.attention else self.algorithm
        if self.mma_operands == "register" and kind in ("kv_outer", "standard", "ssm"):
            text = f"found register for {kind}; allowed: sram (loads are part of its tile_issue_clk)"
            raise broken_rule(text, ("algorithm",), ("attention",), ("mma_operands",))
        return self
