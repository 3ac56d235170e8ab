"""Schema of kernel-profile files: how an implementation of attention behaves, apart from the chip it runs on."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.fields import Float, Int, Section, broken_rule
from sim.config.hardware import KvFormat
from sim.config.split import Split
from sim.config.workload import AttentionKind

USUAL_CODE_TRIPS = 4.5
"""Those of streaming reads on H100 and H200 (validation/gpu): of any small kernel."""


class HeadTile(Section):
    """Other tiles that an implementation compiles for one head size."""

    head_dim: Int = Field(ge=8, le=1024, description="values per row of Q and K, for which these tiles hold")
    m_tile: Int | None = Field(default=None, ge=1, le=1024, description="most query rows per CTA")
    tile_tokens: list[Annotated[Int, Field(ge=8, le=65536)]] | None = Field(
        default=None, min_length=1, description="KV tokens per tile, in order of preference"
    )
    block_tiles: Int | None = Field(
        default=None, ge=1, le=64, description="tiles of a KV block of the kernel's loop"
    )
    issue_share: Float = Field(
        default=1,
        ge=0,
        le=8,
        description="issue slots of a token over those that head_dim alone gives; where loads and products are single "
        "instructions (TMA, tcgen05), slots are those of the query rows: half for half the rows",
    )
    softmax_ops_per_score: Float | None = Field(
        default=None, ge=0, le=1000, description="slots per score at this head size; none: the profile's"
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
    last_block: Literal["tokens", "pages", "whole"] = Field(
        default="tokens",
        description="flash: what is loaded of the last KV block of a context (block_tiles tiles): its tokens; its "
        "pages, where a load is a box of a page (TMA); or all of it, from the pages that come next in the block table",
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
    cta_pairs: bool = Field(
        default=False,
        description="flash, prefill: the CTAs of neighbouring query blocks share their tiles (tcgen05, cta_group::2): "
        "each holds and loads half of K and V",
    )
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
    query_in: Literal["sram", "register"] = Field(
        default="sram",
        description="where a CTA keeps its query rows; register: among registers_per_thread, out of shared memory",
    )
    kv_in: Literal["sram", "register"] = Field(
        default="sram",
        description="where a tile of K and V waits for the MMA; register: among registers_per_thread, out of shared "
        "memory",
    )
    mma_instruction: Literal["any", "mma_sync", "wgmma", "tcgen05", "mfma"] = Field(
        default="any",
        description="matrix instruction that it is written with, which the chip has to know; any: compiled for what "
        "there is, or without one",
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
    page_indices: Literal["ahead", "at_use"] = Field(
        default="ahead",
        description="flash: when software asks for a line of the block table: while it works on the line before; or "
        "when a block is about to be copied, which then waits for a trip to L2 or to memory",
    )
    softmax_ops_per_score: Float = Field(
        default=6,
        ge=0,
        le=1000,
        description="issue slots of the FP32 pipes per score beside the exponential: FP32 operations and all else that "
        "is issued for each score (conversions, masks, checks of bounds; the products too where they are not on tensor "
        "cores)",
    )
    exp_share: Float = Field(
        default=1,
        gt=0,
        le=1,
        description="flash: share of the exponentials that special function units compute; the others are polynomials, "
        "among softmax_ops_per_score",
    )
    score_clk: Float = Field(
        default=0,
        ge=0,
        le=1000,
        description="flash: clocks of an SM per score in pipes that are as wide on every chip (conversions, shuffles), "
        "in the kernels that multiply without tensor cores",
    )
    combine_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="per CTA of a reduction before its first fetch: entry of a kernel, or the last CTA's fence",
    )
    combine_split_clk: Float = Field(
        default=0, ge=0, le=1e6, description="issue slots of a reduction CTA for each split that it merges"
    )
    combine_rows: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=8, description="output rows of one group that a CTA of the reduction merges"
    )
    cluster_splits: Annotated[int, Field(ge=0, le=16)] = Field(
        default=0,
        description="most splits that a thread block cluster merges in shared memory, with none of them in memory, "
        "where all clusters of the grid run at once (sm.gpc_sms); 0: none",
    )
    cluster_clk: Float = Field(
        default=0,
        ge=0,
        le=1e6,
        description="per CTA of a cluster that merges its splits: barriers and exchange",
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
    def pairs_are_of_query_blocks(self) -> Self:
        if not self.cta_pairs:
            return self
        if self.algorithm != "flash" or not set(self.phase) <= {"prefill", "mixed"}:
            text = f"found true for {self.algorithm} and {', '.join(self.phase)}; allowed: flash kernels of prefill"
            raise broken_rule(text, ("cta_pairs",), ("algorithm",), ("phase",))
        return self

    @model_validator(mode="after")
    def operand_loads_are_of_flash_kernels(self) -> Self:
        kind = "ssm" if "ssm" in self.attention else self.algorithm
        if self.mma_operands == "register" and kind in ("kv_outer", "standard", "ssm"):
            text = f"found register for {kind}; allowed: sram (loads are part of its tile_issue_clk)"
            raise broken_rule(text, ("algorithm",), ("attention",), ("mma_operands",))
        return self
