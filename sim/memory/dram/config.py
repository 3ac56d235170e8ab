"""The controller's configuration: device timings, geometry, queues and policy, all in memory ticks.

`ControllerConfig` says what a datasheet and a controller specification say; `parameters` derives the
distances between commands from it (which of them count from the end of a multi-tick command, what a
refresh waits for).
Nothing here is fitted.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.errors import InputError
from sim.memory.dram.layout import (
    ADAPTIVE_PAGE,
    ALL_BANK,
    CLOSED_PAGE,
    MAX_BANK,
    MAX_PC,
    NO_REFRESH,
    OPEN_PAGE,
    PARAMETERS,
    PER_BANK,
    PER_BANK_SETS,
    RING,
    IntArray,
)

Policy = Literal["bank_queues", "frfcfs"]
Page = Literal["open", "closed", "adaptive"]
Refresh = Literal["none", "all_bank", "per_bank", "per_bank_sets"]
_REFRESH_CODE = {
    "none": NO_REFRESH,
    "all_bank": ALL_BANK,
    "per_bank": PER_BANK,
    "per_bank_sets": PER_BANK_SETS,
}

_PAGE_CODE = {"open": OPEN_PAGE, "closed": CLOSED_PAGE, "adaptive": ADAPTIVE_PAGE}


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """One controller, which schedules `pcs` pseudo-channels. Times in ticks of `tick_ps`."""

    policy: Policy
    tick_ps: int
    access_bytes: int
    pcs: int
    sids: int
    bank_groups: int
    banks_per_group: int
    burst: int
    cl: int
    cwl: int
    rcd_rd: int
    rcd_wr: int
    rp: int
    ras: int
    rc: int
    ccd_s: int
    ccd_l: int
    ccd_r: int
    rrd_s: int
    rrd_l: int
    faw: int
    rtp: int
    wr: int
    rd_to_wr: int
    wr_to_rd_s: int
    wr_to_rd_l: int
    rfc: int
    rfcpb: int
    refi: int
    refipb: int
    refresh: Refresh
    read_queue: int
    write_queue: int
    bank_queue: int = 8
    act_ticks: int = 1  # ticks the activate command occupies the row bus
    half_clock: bool = False  # two ticks per clock: columns and activates on rising edges only
    rrefd: int = 0  # between refreshes of different banks
    ppd: int = 0  # between precharges of one pseudo-channel
    row_hit_first: bool = True  # a precharge never overtakes a hit of the same age
    page: Page = "open"  # closed: after the last queued hit (FR-FCFS) or every access (bank queues)
    starvation_cap: int = 0  # row hits after which an older conflict goes first (FR-FCFS); 0: no cap
    rc_before_refresh: bool = True  # a refresh waits tRC from the last activate, auto-precharged or not
    hit_cap: int = 4  # row hits after which a waiting conflict may close the row (bank queues)
    drain_min: int = 8  # writes beyond which an idle controller drains (bank queues)
    write_high: float = 0.8  # watermarks of the write buffer (FR-FCFS)
    write_low: float = 0.2

    def __post_init__(self) -> None:
        shifts = {"sids": self.sids, "bank_groups": self.bank_groups, "banks_per_group": self.banks_per_group}
        problems = [
            f"{k}: found {v}; allowed: a power of two" for k, v in shifts.items() if v & (v - 1) or v < 1
        ]
        if self.access_bytes not in (16, 32, 64):
            problems.append(f"access_bytes: found {self.access_bytes}; allowed: 16, 32, 64")
        if self.pcs > MAX_PC or self.banks > MAX_BANK:
            problems.append(
                f"banks: found {self.banks} in {self.pcs} pseudo-channels; "
                f"allowed: up to {MAX_BANK} in up to {MAX_PC}"
            )
        if self.read_latency + 2 > RING:
            problems.append(f"CL + burst: found {self.read_latency} ticks; allowed: up to {RING - 2}")
        if self.policy == "bank_queues" and self.pcs > 1:
            problems.append(f"pcs: found {self.pcs}; the bank-queue controller schedules one pseudo-channel")
        if self.policy == "bank_queues" and (self.page == "adaptive" or self.refresh.startswith("per_bank")):
            problems.append(
                f"page, refresh: found {self.page}, {self.refresh}; "
                "allowed with bank queues: open or closed, none or all_bank"
            )
        if problems:
            raise InputError(*problems)

    @property
    def banks_per_pc(self) -> int:
        return self.sids * self.bank_groups * self.banks_per_group

    @property
    def banks(self) -> int:
        return self.pcs * self.banks_per_pc

    @property
    def read_latency(self) -> int:
        """From the read command to the end of its data."""
        return self.cl + self.burst

    @property
    def entries(self) -> int:
        """Accesses that the controller can hold at once."""
        held = self.banks * self.bank_queue if self.policy == "bank_queues" else self.banks
        return self.read_queue + self.write_queue + held


def parameters(config: ControllerConfig) -> IntArray:
    """The vector `P` of the compiled controller."""
    values = _geometry(config) | _queues(config) | _distances(config) | _refresh_distances(config)
    out = np.zeros(len(PARAMETERS), dtype=np.int64)
    for name, index in PARAMETERS.items():
        out[index] = values[name]
    return out


def _log2(n: int) -> int:
    return n.bit_length() - 1


def _geometry(c: ControllerConfig) -> dict[str, int]:
    per_sid = c.bank_groups * c.banks_per_group
    return {
        "pcs": c.pcs,
        "sids": c.sids,
        "banks": c.banks,
        "banks_per_pc": c.banks_per_pc,
        "banks_per_sid": per_sid,
        "pc_shift": _log2(c.banks_per_pc),
        "sid_shift": _log2(per_sid),
        "bg_shift": _log2(c.banks_per_group),
    }


def _queues(c: ControllerConfig) -> dict[str, int]:
    # Watermarks compare a count with a single-precision product; as integers: count > high, count < low.
    high = float(np.float32(c.write_high) * np.float32(c.write_queue))
    low = float(np.float32(c.write_low) * np.float32(c.write_queue))
    return {
        "page": _PAGE_CODE[c.page],
        "starvation_cap": c.starvation_cap,
        "half_clock": int(c.half_clock),
        "read_queue": c.read_queue,
        "write_queue": c.write_queue,
        "bank_queue": c.bank_queue,
        "hit_cap": c.hit_cap,
        "drain_min": c.drain_min,
        "write_high": math.floor(high),
        "write_low": math.ceil(low),
        "row_hit_first": int(c.row_hit_first),
    }


def _distances(c: ControllerConfig) -> dict[str, int]:
    act = c.act_ticks - 1  # distances from ACT count from its last tick, distances to ACT end there too
    col = 1 if c.half_clock else 0
    write_recovery = c.cwl + c.burst + c.wr
    ranked = c.policy == "bank_queues"  # whose reads with auto-precharge also wait for the burst
    return {
        "rcd_rd": c.rcd_rd + act - col,
        "rcd_wr": c.rcd_wr + act - col,
        "rp": c.rp - act,
        "ras": c.ras + act,
        "rc": c.rc,
        "rtp": c.rtp + col,
        "rtw": c.rd_to_wr,
        "wtr_s": c.wr_to_rd_s,
        "wtr_l": c.wr_to_rd_l,
        "ccd_s": max(c.ccd_s, c.burst),
        "ccd_l": max(c.ccd_l, c.burst),
        "ccd_r": c.ccd_r,
        "rrd_s": c.rrd_s,
        "rrd_l": c.rrd_l,
        "faw": c.faw,
        "wr_pre": write_recovery + col,
        "latency": c.read_latency,
        "ppd": c.ppd,
        "act_bus": c.act_ticks if c.policy == "frfcfs" else 0,
        "col_bus": 2 if c.half_clock else 0,
        "rda_act": c.rtp + c.rp + (c.burst if ranked else col - act),
        "wra_act": write_recovery + c.rp + (0 if ranked else col - act),
    }


def _refresh_distances(c: ControllerConfig) -> dict[str, int]:
    act = c.act_ticks - 1
    col = 1 if c.half_clock else 0
    return {
        "refresh": _REFRESH_CODE[c.refresh],
        "refi": c.refi,
        "refipb": c.refipb,
        "rfc": c.rfc - act,
        "rfcpb": c.rfcpb - act,
        "ref_preab": c.rfc,
        "ref_ref": 0,
        "act_ref": c.rc + act if c.rc_before_refresh else 0,
        "pre_ref": c.rp,
        "act_refpb_pc": c.rrd_s + act,
        "act_refpb_bank": c.rc + act,
        "pre_refpb": c.rp,
        "refpb_act": max(c.rrefd - act, 0),
        "refpb_refpb": c.rrefd if c.refresh == "per_bank_sets" else 0,
        "rda_ref": c.rtp + col + c.rp,
        "wra_ref": c.cwl + c.burst + c.wr + col + c.rp,
    }
