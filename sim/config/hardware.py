"""Schema of hardware files: the only list of hardware fields, with bounds, defaults and units (those from L2 to memory
in `memory_system`).

Keys carry their unit (GB/s = 10^9 B/s; KiB, MiB, GiB are binary); a bare number is a count or a fraction.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.config.fields import LEAST_GB_S, PAIR, Bandwidth, Float, Int, Latency, Rate, Section, broken_rule
from sim.config.memory_system import L2, Hbm, Llc, Tlb, Translation

KvFormat = Literal["fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4"]
PackedFormat = Literal["fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4"]
MmaFormat = Literal["fp16", "bf16", "fp8", "int8", "fp4"]
MmaInstruction = Literal["mma_sync", "wgmma", "tcgen05", "mfma"]
SourceKind = Literal["datasheet", "measured", "estimate", "calibrated", "proposal"]


class Sm(Section):
    """One streaming multiprocessor (compute unit on AMD parts)."""

    count: Int = Field(ge=1, le=4096, description="SMs on the device")
    clock_ghz: Float = Field(gt=0, le=10, description="SM clock under load")
    busy_clock_ghz: Float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="highest SM clock that the power limit leaves in prefill and mixed, whose attention and GEMMs keep "
        "the tensor cores busy; bounds and utilisation follow it; none: clock_ghz",
    )
    step_clock_ghz: Float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="highest SM clock that the power limit leaves in a whole step (kind: step) of prefill or mixed, "
        "where one product follows the other for many milliseconds; none: as a kernel alone",
    )
    boost: Float | None = Field(
        default=None,
        ge=1,
        le=2,
        description="SM clock in prefill and mixed over clock_ghz, on boards that boost beyond their rating; none: 1",
    )
    sram_kib: Int = Field(ge=1, le=65536, description="shared memory that CTAs can use, per SM")
    sram_reserved_kib_per_cta: Float = Field(
        default=1, ge=0, le=64, description="shared memory the system keeps per CTA"
    )
    sram_bytes_per_clk: Rate = Field(description="shared-memory bandwidth per SM")
    regfile_kib: Int = Field(ge=1, le=65536, description="register file per SM")
    gpc_sms: list[Annotated[Int, Field(ge=1, le=4096)]] = Field(
        default_factory=list,
        description="SMs of each GPC, in which a thread block cluster has to lie, at most sm.count together (SMs in "
        "no GPC hold no cluster); none: no clusters",
    )
    tmem_kib: Int = Field(default=0, ge=0, le=65536, description="tensor memory per SM")
    max_ctas: Int = Field(default=32, ge=1, le=128, description="CTA slots per SM")
    max_warps: Int = Field(default=64, ge=1, le=1024, description="warp slots per SM")
    warp_lanes: Int = Field(
        default=32,
        ge=1,
        le=64,
        description="lanes of a warp (AMD's wavefronts: 64), each with its own registers",
    )
    max_inflight_kib: Float = Field(
        gt=0,
        le=65536,
        description="bytes that one SM can have outstanding to memory; at least a line of L2 (l2.line_bytes)",
    )
    async_copy: Literal["tma", "cp_async", "none"] = Field(
        description="best engine from memory to SRAM: decides which kernels can run"
    )
    tensor_flop_per_clk: dict[MmaFormat, Rate] = Field(
        min_length=1, description="dense tensor FLOP per clock and SM, by format; fp16 is needed"
    )
    mma_instructions: list[MmaInstruction] = Field(
        default_factory=list,
        description="matrix instructions that it knows: decides which kernels can run; none: a design, for which any "
        "kernel would be written anew",
    )
    mma_sync_fraction: Float = Field(
        default=1,
        gt=0,
        le=1,
        description="share of that rate that warps reach with operands in registers (mma.sync); 1: there is no "
        "asynchronous MMA, or it is no faster",
    )
    fp32_per_clk: Rate = Field(description="FP32 results per clock and SM")
    exp_per_clk: Rate = Field(description="exponentials (MUFU) per clock and SM")


LEAST_NOC_NS = 2.5
"""The memory model looks ahead by the way there and back, 5 ns at least."""


class Noc(Section):
    """Network between SMs and L2 slices."""

    port_bytes_per_clk: Rate = Field(description="read data per clock into one SM")
    write_bytes_per_clk: Rate = Field(default=32, description="write data per clock out of one SM")
    latency_ns: Float = Field(
        ge=LEAST_NOC_NS, le=1e6, description="one way, SM to a near L2 slice, uncontended"
    )
    far_extra_ns: Latency = Field(default=0, description="added one way for a slice of another partition")
    interpartition_gb_s: Bandwidth | None = Field(
        default=None, description="link between partitions, per direction; none: not limiting"
    )


class Gather(Section):
    """How a tile made of many runs is requested."""

    engine: bool = Field(
        default=False, description="block-gather engine: descriptors cost engine_clk instead of issue_clk"
    )
    issue_clk: Float = Field(ge=0, le=1e5, description="issue cost of one run's descriptor or address set-up")
    engine_clk: Float = Field(default=1, ge=0, le=1e5, description="cost of one run in the gather engine")
    bytes_per_clk: Rate = Field(description="address generation, as bytes requested per clock and SM")


class Unpack(Section):
    """Expansion of packed KV to an MMA format."""

    native: list[PackedFormat] = Field(
        default_factory=list, description="formats that an engine beside the pipes unpacks"
    )
    native_values_per_clk: Rate = Field(
        default=1024, description="values per clock and SM in the native engine"
    )
    alu_values_per_clk: dict[PackedFormat, Rate] = Field(
        default_factory=dict, description="values per clock and SM, emulated on ALUs"
    )


class Launch(Section):
    """What a kernel pays before its first CTA and between dependent kernels."""

    stream_ns: Latency = Field(description="launch from a stream")
    graph_ns: Latency = Field(description="launch inside a captured graph")
    cta_ns: Latency = Field(description="from a free slot to the first instruction of a CTA")
    dependent_ns: Latency | None = Field(
        default=None,
        description="from the end of a kernel until one that was launched early sees its results (programmatic "
        "dependent launch); none: the chip cannot, and launches it as any other",
    )


class Link(Section):
    """GPU to GPU link for tensor parallelism."""

    bandwidth_gb_s: Bandwidth = Field(description="per direction and GPU")
    latency_ns: Latency = Field(description="one hop, small message")


class Tier(Section):
    """A memory tier behind the copy engines."""

    kind: Literal["host", "cxl", "ssd"] = Field(description="host DRAM, CXL memory or SSD")
    capacity_gib: Float = Field(gt=0, le=1048576, description="capacity")
    bandwidth_gb_s: Bandwidth = Field(description="towards the device")
    latency_ns: Annotated[Float, Field(ge=0, le=1e9)] = Field(description="first byte of one access")
    iops: Float | None = Field(
        default=None, gt=0, le=1e9, description="accesses per second; none: not limiting"
    )
    queue_depth: Int = Field(default=64, ge=1, le=65536, description="accesses in flight")
    access_bytes: Int = Field(default=4096, ge=32, le=16777216, description="smallest access")


class CopyEngine(Section):
    """DMA engines between device memory and the tiers."""

    engines: Int = Field(default=2, ge=1, le=64, description="copies at the same time")
    overhead_ns: Latency = Field(default=0, description="set-up of one copy")


class Energy(Section):
    """Energy per event; pJ per bit moved or per operation."""

    hbm_pj_per_bit: Rate = Field(description="device memory, read or write, pJ per bit")
    l2_pj_per_bit: Rate = Field(description="L2 access, pJ per bit")
    noc_pj_per_bit: Rate = Field(description="between SM and L2, pJ per bit")
    sram_pj_per_bit: Rate = Field(description="shared memory access, pJ per bit")
    tensor_pj_per_flop: Rate = Field(
        description="tensor unit with its operands and issue, pJ per FP16 FLOP; formats at twice its rate take half"
    )
    exp_pj: Rate = Field(description="one exponential, pJ")
    unpack_pj_per_value: Rate = Field(description="expansion of one packed value, pJ")
    tier_pj_per_bit: dict[Literal["host", "cxl", "ssd"], Rate] = Field(
        default_factory=dict, description="link and medium of a tier, by its kind, pJ per bit"
    )
    idle_w: Float = Field(ge=0, le=1e5, description="leakage and clocks of the whole device")


class Area(Section):
    """Silicon area."""

    die_mm2: Float | None = Field(default=None, gt=0, le=1e5, description="compute die(s)")
    sram_mm2_per_mib: Rate = Field(description="scratchpad macro")
    l2_mm2_per_mib: Rate = Field(description="cache as a product: tags, ECC, control")
    base_sram_kib: Int = Field(ge=1, le=65536, description="SRAM per SM that die_mm2 already contains")
    base_l2_mib: Float = Field(gt=0, le=65536, description="L2 that die_mm2 already contains")


TierName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,31}$")]


class Source(Section):
    """Where a number comes from."""

    kind: SourceKind = Field(description="how the number is known")
    ref: str = Field(min_length=1, description="document, table or argument")
    range: Annotated[tuple[Float, Float], PAIR] | None = Field(
        default=None, description="where the true value may lie, [lowest, highest]"
    )

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.range is not None and self.range[0] > self.range[1]:
            raise broken_rule(f"found {list(self.range)}; allowed: [lowest, highest]", ("range",))
        return self


class Hardware(Section):
    """One accelerator."""

    name: str = Field(min_length=1, max_length=80, description="shown in results")
    description: str = Field(default="", description="one line for `pagewalk hw list`")
    sm: Sm
    noc: Noc
    l2: L2
    llc: Llc | None = None
    hbm: Hbm
    tlb: Tlb
    translation: Translation = Translation()
    gather: Gather
    unpack: Unpack = Unpack()
    launch: Launch
    link: Link | None = None
    tiers: dict[TierName, Tier] = Field(default_factory=dict, description="memory tiers by name")
    copy_engine: CopyEngine = CopyEngine()
    energy: Energy
    area: Area
    sources: dict[str, Source] = Field(
        default_factory=dict, description="where each number comes from, by key path"
    )

    @model_validator(mode="after")
    def private_l2_has_a_cache_behind(self) -> Self:
        if self.l2.private and self.llc is None:
            raise broken_rule(
                "found true; allowed: only with an llc section behind the L2s", ("l2", "private")
            )
        return self

    @model_validator(mode="after")
    def private_l2s_share_nothing(self) -> Self:
        if self.l2.private and self.l2.far_copies:
            text = "found true; allowed: only where l2.private is false, as private L2s share nothing"
            raise broken_rule(text, ("l2", "private"), ("l2", "far_copies"))
        return self

    @model_validator(mode="after")
    def gpcs_hold_no_more_than_all_sms(self) -> Self:
        held = sum(self.sm.gpc_sms)
        if held > self.sm.count:
            found = f"found {held} SMs in {len(self.sm.gpc_sms)} GPCs of a device with {self.sm.count} SMs"
            text = f"{found}; allowed: at most sm.count in sm.gpc_sms, or [] (no clusters)"
            raise broken_rule(text, ("sm", "count"), ("sm", "gpc_sms"))
        return self

    @model_validator(mode="after")
    def sixteen_bit_products_have_a_rate(self) -> Self:
        if "fp16" not in self.sm.tensor_flop_per_clk:
            found = ", ".join(self.sm.tensor_flop_per_clk)
            text = f"found {found}; allowed: fp16 among them, for all that has no rate of its own"
            raise broken_rule(text, ("sm", "tensor_flop_per_clk"))
        return self

    @model_validator(mode="after")
    def a_line_is_in_flight(self) -> Self:
        if self.sm.max_inflight_kib * 1024 < self.l2.line_bytes:
            line = self.l2.line_bytes
            text = f"found {self.sm.max_inflight_kib:g} KiB; allowed: at least one line of L2, {line / 1024:g} KiB"
            raise broken_rule(text, ("l2", "line_bytes"), ("sm", "max_inflight_kib"))
        return self

    @model_validator(mode="after")
    def ports_take_bytes(self) -> Self:
        sm, ports = self.sm, {("gather", "bytes_per_clk"): self.gather.bytes_per_clk}
        ports |= {
            ("noc", key): getattr(self.noc, key) for key in ("port_bytes_per_clk", "write_bytes_per_clk")
        }
        clocks = {key: getattr(sm, key) for key in ("clock_ghz", "busy_clock_ghz", "step_clock_ghz")}
        clock, slowest = min((ghz, key) for key, ghz in clocks.items() if ghz is not None)
        for path, rate in ports.items():
            if rate * clock < LEAST_GB_S:
                found = f"found {rate:g} B per clock of {clock:g} GHz"
                text = f"{found}; allowed: at least {LEAST_GB_S:g} GB/s"
                raise broken_rule(text, ("sm", slowest), path)
        return self

    @model_validator(mode="after")
    def reserved_sram_leaves_room(self) -> Self:
        if self.sm.sram_reserved_kib_per_cta >= self.sm.sram_kib:
            found = (
                f"found {self.sm.sram_reserved_kib_per_cta:g} KiB reserved per CTA of {self.sm.sram_kib} KiB"
            )
            paths = ("sm", "sram_reserved_kib_per_cta"), ("sm", "sram_kib")
            raise broken_rule(f"{found}; allowed: less than sm.sram_kib", *paths)
        return self
