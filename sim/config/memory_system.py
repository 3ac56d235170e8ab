"""Schema of a machine's caches, device memory and address translation: sections of hardware files."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.fields import WHOLE, Bandwidth, Float, Int, Latency, Section, broken_rule

MemoryStandard = Literal[
    "HBM2", "HBM2E", "HBM3", "HBM3E", "HBM4", "GDDR6", "GDDR6X", "GDDR7", "LPDDR5X", "DDR5"
]
ResidencyPolicy = Literal["normal", "pin", "bypass"]


class Residency(Section):
    """What the L2 keeps of each class of attention data. pin: never pushed out, up to l2.pin_fraction; bypass: takes
    only places that hold nothing or bypassing data, and loses them first.
    """

    metadata: ResidencyPolicy = Field(default="normal", description="block tables and their directories")
    shared_prefix: ResidencyPolicy = Field(
        default="normal", description="KV pages that the block tables of two or more sequences name"
    )
    streaming: ResidencyPolicy = Field(default="normal", description="all other KV pages")

    @property
    def is_plain(self) -> bool:
        """Whether all data are alike."""
        return {self.metadata, self.shared_prefix, self.streaming} == {"normal"}


class L2(Section):
    """Second-level cache: set-associative, sectored, sliced over the memory channels."""

    capacity_mib: Float = Field(gt=0, le=65536, description="total capacity")
    effective_fraction: Float = Field(
        default=1.0, gt=0, le=1, description="share of the capacity that one SM's data can use"
    )
    bandwidth_gb_s: Bandwidth = Field(description="read bandwidth of all slices together")
    latency_ns: Latency = Field(description="look-up to data in the slice, without the NoC")
    slices: Int = Field(ge=1, le=4096, description="slices, spread over the channels")
    ways: Int = Field(default=16, ge=1, le=128, description="associativity")
    line_bytes: Annotated[Literal[64, 128, 256], WHOLE] = Field(default=128, description="tag granularity")
    sector_bytes: Annotated[Literal[32, 64, 128], WHOLE] = Field(default=32, description="fill granularity")
    partitions: Int = Field(
        default=1, ge=1, le=16, description="partitions: a slice is near to 1/partitions of the SMs"
    )
    private: bool = Field(
        default=False, description="each partition caches for its own SMs only (needs an llc behind it)"
    )
    far_copies: bool = Field(
        default=False,
        description="SMs read through their own partition, which keeps copies of what another one owns",
    )
    mshrs_per_slice: Int = Field(ge=1, le=65536, description="lines in flight to memory per slice")
    replacement: Literal["lru", "random", "nru"] = Field(
        default="lru", description="victim choice; nru: at random among those not recently used"
    )
    residency: Residency = Residency()
    pin_fraction: Float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="most of a set's ways that pinned data hold, as a share, rounded down; later ones are as normal",
    )

    @model_validator(mode="after")
    def sectors_fill_lines(self) -> Self:
        if self.sector_bytes > self.line_bytes:
            found = f"found sectors of {self.sector_bytes} B in lines of {self.line_bytes} B"
            raise broken_rule(f"{found}; allowed: at most a line", ("line_bytes",), ("sector_bytes",))
        return self

    @model_validator(mode="after")
    def slice_holds_a_set(self) -> Self:
        need = self.slices * self.ways * self.line_bytes
        if self.capacity_mib * 2**20 < need:
            text = (
                f"found {self.capacity_mib:g} MiB; allowed: at least one set per slice, "
                f"{self.slices} slices x {self.ways} ways x {self.line_bytes} B = {need / 2**20:.4g} MiB"
            )
            raise broken_rule(text, ("slices",), ("ways",), ("line_bytes",), ("capacity_mib",))
        return self

    @model_validator(mode="after")
    def slices_split_evenly(self) -> Self:
        if self.slices % self.partitions:
            found = f"found {self.slices} slices in {self.partitions} partitions"
            raise broken_rule(f"{found}; allowed: the same number in each", ("partitions",), ("slices",))
        return self


class Llc(Section):
    """Last-level cache between private L2s and memory (MI300X)."""

    capacity_mib: Float = Field(gt=0, le=65536, description="total capacity")
    bandwidth_gb_s: Bandwidth = Field(description="read bandwidth")
    latency_ns: Latency = Field(description="added to an L2 miss that hits here")
    ways: Int = Field(default=16, ge=1, le=128, description="associativity")


class Hbm(Section):
    """Device memory: channels, banks and rows from the standard's table, geometry from here."""

    standard: MemoryStandard = Field(description="timing table of the DRAM standard")
    stacks: Int = Field(ge=1, le=64, description="stacks (HBM) or packages (GDDR, LPDDR, DDR)")
    pin_gbit_s: Float | None = Field(
        default=None, gt=0, le=100, description="data rate per pin; none: the standard's"
    )
    peak_gb_s: Bandwidth | None = Field(
        default=None, description="overrides the pin rate: burst time follows, row timings stay"
    )
    capacity_gib: Float = Field(gt=0, le=65536, description="capacity")
    grain: Literal["train", "exact"] = Field(
        default="train", description="accesses to one row of one channel as one train, or each alone"
    )
    busy_fraction: Float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the data bus's time that is for neither data nor inline ECC: scrubbing, calibration, "
        "raised refresh",
    )
    inline_ecc_bytes: Annotated[Literal[0, 128, 256, 512, 1024], WHOLE] = Field(
        default=0,
        description="data whose check bits fill one access, where ECC lies in the memory itself (GDDR6): the first "
        "access to each such block costs one more in its row; 0: ECC costs no access",
    )
    interleave_bytes: Annotated[Literal[64, 128, 256, 512, 1024, 2048, 4096], WHOLE] = Field(
        default=512, description="contiguous bytes per channel"
    )
    hash: bool = Field(default=True, description="XOR row bits into channel and bank, against camping")
    queue_depth: Int = Field(
        default=64, ge=1, le=4096, description="reads that the scheduler of one channel sees"
    )
    controller_ns: Latency = Field(
        default=0, description="path from L2 to the device and back, beyond the DRAM timings"
    )
    page_policy: Literal["open", "closed", "adaptive"] = Field(
        default="open",
        description="row that no queued access hits: left open, closed at once, or closed when idle for page_idle_ns",
    )
    page_idle_ns: Latency = Field(
        default=200, description="idle time of an open row under the adaptive policy"
    )
    starvation_cap: Int = Field(
        default=64, ge=1, le=65536, description="accesses to an open row before an older conflict closes it"
    )
    refresh: Literal["all_bank", "per_bank", "none"] = Field(default="per_bank", description="refresh scheme")


class Tlb(Section):
    """The device's own virtual-memory translation (not the KV block table)."""

    page_kib: Int = Field(default=2048, ge=4, le=1048576, description="page size of the mapping")
    l1_entries: Int = Field(ge=1, le=65536, description="entries per SM")
    l2_entries: Int = Field(ge=1, le=1048576, description="entries shared by the device")
    l2_latency_ns: Latency = Field(description="added by a first-level miss")
    walk_ns: Latency = Field(description="added by a miss in both levels")
    walkers: Int = Field(ge=1, le=4096, description="concurrent walks")


class Translation(Section):
    """Block-table translation assist; without it block tables are software loads through L2 and memory."""

    assist: bool = Field(default=False, description="hardware walks the block table")
    sm_entries: Int = Field(
        default=64, ge=1, le=1048576, description="entries of the per-SM translation cache"
    )
    sm_hit_clk: Float = Field(default=4, ge=0, le=1e5, description="hit in the per-SM cache")
    shared_entries: Int = Field(
        default=4096, ge=1, le=16777216, description="entries of the shared second level"
    )
    shared_latency_ns: Latency = Field(default=60, description="hit in the shared level")
    walkers: Int = Field(default=32, ge=1, le=65536, description="concurrent table walks")
    prefetch_depth: Int = Field(default=16, ge=0, le=65536, description="entries fetched ahead of use")
