"""From the hardware description to integer picoseconds, once per plane.

Per-byte and per-clock costs are kept as picoseconds times 2**16, so that rounding does not depend on how
requests are cut.
"""

from collections.abc import MutableMapping
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.config.memory_system import L2
from sim.errors import InputError
from sim.memory.peaks import channels, peak_gb_s, standard

MIN_WINDOW_PS = 5_000
MAX_BANKS = 62
"""Banks of a channel fit the bits of one integer in the scheduler."""
MAX_GRANULE_SECTORS = 16
"""Sectors under one tag of L2, as many as its state cell has bits for."""
TLB_WAYS = 8
"""Associativity of both TLB levels (8 ways in the levels measured on RTX 3080; TunneLs, CCS 2023)."""


class Param(IntEnum):
    """Cells of the parameter array."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        return count

    SMS = auto()
    CUT = auto()
    SECTOR = auto()
    BLOCK_SHIFT = auto()
    GRANULE_SHIFT = auto()
    LINE_LAST = auto()
    ACCESS_SHIFT = auto()
    SECTOR_SHIFT = auto()
    ROW_SHIFT = auto()
    SLICES_SEEN = auto()
    SLICES_NEAR = auto()
    CAP = auto()
    RUN_PS = auto()
    GEN_Q16 = auto()
    INGRESS_Q16 = auto()
    EGRESS_Q16 = auto()
    NEAR = auto()
    FAR = auto()
    LINK_Q16 = auto()
    PARTITIONS = auto()
    PRIVATE = auto()
    COPIES = auto()
    SLICES = auto()
    SETS = auto()
    WAYS = auto()
    SLICE_Q16 = auto()
    L2_LATENCY = auto()
    MSHRS = auto()
    REPLACEMENT = auto()
    HASH = auto()
    CHANNELS = auto()
    BANKS = auto()
    BANK_GROUPS = auto()
    DEPTH = auto()
    DRAIN_HIGH = auto()
    DRAIN_LOW = auto()
    CTRL_IN = auto()
    CTRL_OUT = auto()
    BURST = auto()
    CCD_L = auto()
    RCD = auto()
    RCD_WR = auto()
    RP = auto()
    RAS = auto()
    RC = auto()
    CL = auto()
    CWL = auto()
    WR_PRE = auto()
    RTP = auto()
    RRD_S = auto()
    RRD_L = auto()
    FAW = auto()
    WTR_S = auto()
    WTR_L = auto()
    RTW = auto()
    PITCH = auto()
    TRAINS = auto()
    ACT_BUS = auto()
    PRE_BUS = auto()
    ROW_SHARERS = auto()
    PAGE = auto()
    HIT_CAP = auto()
    IDLE_CLOSE = auto()
    REFRESH = auto()
    REFI = auto()
    RFC = auto()
    PAGE_SHIFT = auto()
    TLB_L1_SETS = auto()
    TLB_L1_WAYS = auto()
    TLB_L2_SETS = auto()
    TLB_L2_WAYS = auto()
    TLB_L2_LATENCY = auto()
    TLB_WALK = auto()
    TLB_WALKERS = auto()
    CLK = auto()
    ASSIST = auto()
    ASSIST_SETS = auto()
    ASSIST_WAYS = auto()
    ASSIST_HIT = auto()
    SHARED_SETS = auto()
    SHARED_WAYS = auto()
    SHARED_LATENCY = auto()
    BLOCK_WALKERS = auto()
    PREFETCH_DEPTH = auto()
    LLC = auto()
    LLC_SETS = auto()
    LLC_WAYS = auto()
    LLC_LATENCY = auto()
    LLC_Q16 = auto()
    CHAN_COLS = auto()
    RESIDENCY = auto()
    PIN_WAYS = auto()
    KEEP_OTHER = auto()
    KEEP_METADATA = auto()
    KEEP_SHARED = auto()
    KEEP_STREAMING = auto()
    ECC_SHIFT = auto()
    OFF_ECC = auto()


REPLACEMENT_CODE = {"lru": 0, "random": 1, "nru": 2}
KEEP_CODE = {"normal": 0, "pin": 1, "bypass": 2}
REFRESH_CODE = {"none": 0, "per_bank": 1, "all_bank": 2}
PAGE_CODE = {"open": 0, "closed": 1, "adaptive": 2}
GROUP_COLS = 4
BANK_COLS = ENTRY_COLS = 8
"""One cache line a bank, and a train that the scheduler sees."""
OFF_GROUP = 56
OFF_BANK = 304
OFF_ENTRIES = OFF_BANK + BANK_COLS * MAX_BANKS
"""Cells of a channel's row before its bank groups, its banks and the trains that the scheduler sees. There is room for
MAX_BANKS of both, so that code knows where they are; rows that no bank has are never touched.
"""
assert OFF_BANK >= OFF_GROUP + GROUP_COLS * MAX_BANKS
LINE_CELLS = 8
"""Cells of one cache line."""


def ps(ns: float) -> int:
    return round(ns * 1000)


def q16(ps_per_unit: float) -> int:
    return round(ps_per_unit * 65536)


def sets_and_ways(entries: int) -> tuple[int, int]:
    """Shape of a translation cache of so many entries."""
    ways = min(TLB_WAYS, entries)
    return entries // ways, ways


def shift(power_of_two: int) -> int:
    return power_of_two.bit_length() - 1


ENTRY_BYTES = 4
"""Of a block table; the assist's caches hold sectors of such entries."""
LATENCIES = (
    *(Param.RCD, Param.RCD_WR, Param.RP, Param.RAS, Param.RC, Param.CL, Param.CWL, Param.RTP),
    *(Param.RRD_S, Param.RRD_L, Param.FAW, Param.WTR_S, Param.WTR_L, Param.WR_PRE, Param.RTW),
    *(Param.ACT_BUS, Param.PRE_BUS, Param.CTRL_IN, Param.CTRL_OUT),
)
"""Every wait of a memory access but the burst itself and refresh."""


def whole_granule(hw: Hardware) -> int:
    """Bytes under one tag of L2 at most: a channel-interleave block, up to MAX_GRANULE_SECTORS."""
    std = standard(hw.hbm)
    block = max(hw.hbm.interleave_bytes, hw.l2.line_bytes)
    return min(block, std.row_bytes, MAX_GRANULE_SECTORS * max(hw.l2.sector_bytes, std.access_bytes))


def build(hw: Hardware, *, zero_latency: bool = False, granule: int | None = None) -> NDArray[np.int64]:
    """Parameter array of a device. `zero_latency`: rows open and data come at once, only bursts take time. `granule`:
    bytes under one tag of L2, a power of two from a line to the whole granule, which it is where none is given.

    Raises InputError where the plane cannot be built.
    """
    values: dict[Param, int] = {}
    _port(values, hw)
    _l2(values, hw, granule or whole_granule(hw))
    _dram(values, hw)
    _tlb(values, hw)
    _assist(values, hw)
    _llc(values, hw)
    set_channel_layout(values)
    if zero_latency:
        values |= dict.fromkeys(LATENCIES, 0)
    window = 2 * values[Param.NEAR]
    if window < MIN_WINDOW_PS:
        raise InputError(
            f"hw.noc.latency_ns: {hw.noc.latency_ns}; allowed: at least {MIN_WINDOW_PS / 2000}, "
            "since the memory plane looks ahead by the way there and back"
        )
    if values[Param.BANKS] > MAX_BANKS:
        raise InputError(
            f"hw.hbm.standard: {values[Param.BANKS]} banks a channel; allowed: up to {MAX_BANKS}"
        )
    return np.array([values[key] for key in Param], dtype=np.int64)


def _port(v: dict[Param, int], hw: Hardware) -> None:
    clk = 1000 / hw.sm.clock_ghz
    gather = hw.gather
    v[Param.SMS] = hw.sm.count
    v[Param.CAP] = max(1, round(hw.sm.max_inflight_kib * 1024))
    v[Param.RUN_PS] = round((gather.engine_clk if gather.engine else gather.issue_clk) * clk)
    v[Param.GEN_Q16] = q16(clk / gather.bytes_per_clk)
    v[Param.INGRESS_Q16] = q16(clk / hw.noc.port_bytes_per_clk)
    v[Param.EGRESS_Q16] = q16(clk / hw.noc.write_bytes_per_clk)
    v[Param.NEAR] = ps(hw.noc.latency_ns)
    v[Param.FAR] = ps(hw.noc.latency_ns + hw.noc.far_extra_ns)
    link = hw.noc.interpartition_gb_s
    v[Param.LINK_Q16] = 0 if link is None else q16(1000 / link)


def _l2(v: dict[Param, int], hw: Hardware, granule: int) -> None:
    l2, std = hw.l2, standard(hw.hbm)
    sector = max(l2.sector_bytes, std.access_bytes)
    if sector > l2.line_bytes:
        raise InputError(f"hw.l2.line_bytes: {l2.line_bytes}; allowed: at least one memory access, {sector}")
    if l2.private and l2.slices % l2.partitions:
        raise InputError(
            f"hw.l2.slices: {l2.slices}; allowed: a multiple of the {l2.partitions} private partitions"
        )
    block = max(hw.hbm.interleave_bytes, l2.line_bytes)
    v[Param.SECTOR], v[Param.SECTOR_SHIFT] = sector, shift(sector)
    v[Param.BLOCK_SHIFT], v[Param.GRANULE_SHIFT] = shift(block), shift(granule)
    v[Param.LINE_LAST] = last_sectors(l2.line_bytes // sector)
    near = l2.slices // l2.partitions
    v[Param.SLICES_SEEN], v[Param.SLICES_NEAR] = near if l2.private else l2.slices, near
    v[Param.COPIES] = int(l2.far_copies and l2.partitions > 1)
    v[Param.CUT] = l2.line_bytes if hw.hbm.grain == "exact" else granule
    v[Param.PARTITIONS], v[Param.PRIVATE] = l2.partitions, int(l2.private)
    v[Param.SLICES], v[Param.WAYS] = l2.slices, l2.ways
    usable = l2.capacity_mib * 2**20 * l2.effective_fraction
    v[Param.SETS] = max(1, int(usable // (l2.slices * l2.ways * granule)))
    v[Param.SLICE_Q16] = q16(1000 * l2.slices / l2.bandwidth_gb_s)
    v[Param.L2_LATENCY] = ps(l2.latency_ns)
    v[Param.MSHRS] = l2.mshrs_per_slice
    v[Param.REPLACEMENT] = REPLACEMENT_CODE[l2.replacement]
    keep = l2.residency
    v[Param.RESIDENCY], v[Param.PIN_WAYS] = int(not keep.is_plain), pin_ways(l2)
    v[Param.KEEP_OTHER] = KEEP_CODE["normal"]
    v[Param.KEEP_METADATA], v[Param.KEEP_SHARED] = KEEP_CODE[keep.metadata], KEEP_CODE[keep.shared_prefix]
    v[Param.KEEP_STREAMING] = KEEP_CODE[keep.streaming]


def last_sectors(per_line: int) -> int:
    """Mask of a granule's sectors that are the last of their line."""
    return sum(1 << at for at in range(per_line - 1, MAX_GRANULE_SECTORS, per_line))


def pin_ways(l2: L2) -> int:
    """Ways of a set that pinned data may hold."""
    return int(l2.pin_fraction * l2.ways)


def _dram(v: dict[Param, int], hw: Hardware) -> None:
    hbm, std = hw.hbm, standard(hw.hbm)
    count = channels(hbm)
    burst = std.access_bytes * count / peak_gb_s(hbm) / (1 - hbm.busy_fraction)
    v[Param.HASH], v[Param.CHANNELS] = int(hbm.hash), count
    v[Param.BANKS], v[Param.BANK_GROUPS] = std.banks, std.bank_groups
    v[Param.ROW_SHIFT], v[Param.ACCESS_SHIFT] = shift(std.row_bytes), shift(std.access_bytes)
    depth = hbm.queue_depth * hw.l2.line_bytes // std.access_bytes  # a read of the queue is one L2 line
    v[Param.DEPTH] = depth
    v[Param.DRAIN_HIGH], v[Param.DRAIN_LOW] = max(1, 3 * depth // 4), depth // 4
    v[Param.CTRL_IN] = ps(hbm.controller_ns / 2)
    v[Param.CTRL_OUT] = ps(hbm.controller_ns) - v[Param.CTRL_IN]
    v[Param.BURST] = max(1, ps(burst))
    v[Param.CCD_L] = max(v[Param.BURST], v[Param.BURST] * std.tccd_l_ck // std.tccd_s_ck)
    v[Param.PITCH] = pitch(v[Param.BURST], v[Param.CCD_L])
    v[Param.TRAINS] = int(hbm.grain == "train")
    for key, ns in (
        (Param.RCD, std.trcd_ns),
        (Param.RCD_WR, std.trcd_wr_ns),
        (Param.RP, std.trp_ns),
        (Param.RAS, std.tras_ns),
        (Param.RC, std.trc_ns),
        (Param.CL, std.tcl_ns),
        (Param.CWL, std.tcwl_ns),
        (Param.RTP, std.trtp_ns),
        (Param.RRD_S, std.trrd_s_ns),
        (Param.RRD_L, std.trrd_l_ns),
        (Param.FAW, std.tfaw_ns),
        (Param.ACT_BUS, std.act_ck * std.tck_ns),
        (Param.PRE_BUS, std.pre_ck * std.tck_ns),
        (Param.RTW, std.trtw_ns),
    ):
        v[key] = ps(ns)
    written = v[Param.CWL] + v[Param.BURST]  # from a write command to the end of its data
    v[Param.WTR_S], v[Param.WTR_L] = written + ps(std.twtr_s_ns), written + ps(std.twtr_l_ns)
    v[Param.WR_PRE] = written + ps(std.twr_ns)
    # bursts of a bus that is slower than the standard's last longer
    v[Param.RTW] = max(v[Param.RTW], v[Param.CL] + v[Param.BURST] - v[Param.CWL])
    v[Param.ROW_SHARERS] = 2 if std.name.startswith("HBM") and count % 2 == 0 else 1
    v[Param.PAGE], v[Param.HIT_CAP] = PAGE_CODE[hbm.page_policy], hbm.starvation_cap
    v[Param.IDLE_CLOSE] = ps(hbm.page_idle_ns)
    v[Param.ECC_SHIFT] = shift(hbm.inline_ecc_bytes) if hbm.inline_ecc_bytes else 0
    v[Param.REFRESH] = REFRESH_CODE[hbm.refresh]
    v[Param.REFI] = ps(std.trefi_ns)
    v[Param.RFC] = ps(std.trfc_ns if hbm.refresh == "all_bank" else std.trfc_pb_ns)


def pitch(burst: int, ccd_l: int) -> int:
    """Distance of a train's accesses: two bus slots, so that another train fits between, or one where the bank group
    allows that.
    """
    return burst if ccd_l <= burst else max(ccd_l, 2 * burst)


def _tlb(v: dict[Param, int], hw: Hardware) -> None:
    tlb = hw.tlb
    if tlb.page_kib & (tlb.page_kib - 1):
        raise InputError(f"hw.tlb.page_kib: {tlb.page_kib}; allowed: a power of two")
    v[Param.PAGE_SHIFT] = shift(tlb.page_kib * 1024)
    v[Param.TLB_L1_SETS], v[Param.TLB_L1_WAYS] = sets_and_ways(tlb.l1_entries)
    v[Param.TLB_L2_SETS], v[Param.TLB_L2_WAYS] = sets_and_ways(tlb.l2_entries)
    v[Param.TLB_L2_LATENCY], v[Param.TLB_WALK] = ps(tlb.l2_latency_ns), ps(tlb.walk_ns)
    v[Param.TLB_WALKERS] = tlb.walkers


def _assist(v: dict[Param, int], hw: Hardware) -> None:
    assist, clk = hw.translation, 1000 / hw.sm.clock_ghz
    v[Param.ASSIST], v[Param.CLK] = int(assist.assist), round(clk)
    per_sector = max(hw.l2.sector_bytes, standard(hw.hbm).access_bytes) // ENTRY_BYTES
    v[Param.ASSIST_SETS], v[Param.ASSIST_WAYS] = sets_and_ways(max(1, assist.sm_entries // per_sector))
    v[Param.SHARED_SETS], v[Param.SHARED_WAYS] = sets_and_ways(max(1, assist.shared_entries // per_sector))
    v[Param.ASSIST_HIT], v[Param.SHARED_LATENCY] = (
        round(assist.sm_hit_clk * clk),
        ps(assist.shared_latency_ns),
    )
    v[Param.BLOCK_WALKERS], v[Param.PREFETCH_DEPTH] = assist.walkers, assist.prefetch_depth


def _llc(v: dict[Param, int], hw: Hardware) -> None:
    llc = hw.llc
    v[Param.LLC] = int(llc is not None)
    v[Param.LLC_SETS], v[Param.LLC_WAYS], v[Param.LLC_LATENCY], v[Param.LLC_Q16] = 0, 1, 0, 0
    if llc is not None:
        share = llc.capacity_mib * 2**20 / v[Param.CHANNELS]
        v[Param.LLC_WAYS], v[Param.LLC_LATENCY] = llc.ways, ps(llc.latency_ns)
        v[Param.LLC_SETS] = max(1, int(share // (llc.ways << v[Param.GRANULE_SHIFT])))
        v[Param.LLC_Q16] = q16(1000 * v[Param.CHANNELS] / llc.bandwidth_gb_s)


def set_channel_layout(v: MutableMapping[Param, int] | NDArray[np.int64]) -> None:
    """Size of a channel's row of state: header, bank groups, banks, visible trains, and from OFF_ECC on, with inline
    ECC, the block whose check bits each bank's buffer holds.
    """
    v[Param.OFF_ECC] = OFF_ENTRIES + ENTRY_COLS * entries(v)
    cells = v[Param.OFF_ECC] + (v[Param.BANKS] if v[Param.ECC_SHIFT] else 0)
    # an odd number of lines: the same cells of all channels would else meet in few sets of a processor's caches
    v[Param.CHAN_COLS] = whole_lines(cells) | LINE_CELLS


def entries(v: MutableMapping[Param, int] | NDArray[np.int64]) -> int:
    """Trains that a channel's scheduler sees at most: as many accesses of either direction."""
    return int(2 * v[Param.DEPTH])


def whole_lines(cells: int) -> int:
    """So many cells, rounded up to whole cache lines."""
    return -(-int(cells) // LINE_CELLS) * LINE_CELLS
