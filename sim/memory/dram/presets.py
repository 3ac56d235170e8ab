"""A controller for a standard of the tables: nanoseconds become ticks, rounded up as a controller must."""

import math

from sim.memory.dram.config import ControllerConfig, Policy, Refresh
from sim.memory.dram.standards import DramStandard

_HALF_CLOCK = ("HBM3", "HBM3E", "HBM4")  # activates of one and a half clocks, precharges on either edge


def controller_for(std: DramStandard, policy: Policy = "frfcfs", queue: int = 64) -> ControllerConfig:
    """The exact controller of `std`, open page, `queue` accesses per direction.

    HBM channels carry two pseudo-channels on one command bus; elsewhere a channel stands alone.
    """
    half = std.name in _HALF_CLOCK and policy == "frfcfs"
    per_clock = 2 if half else 1
    tick_ns = std.tck_ns / per_clock

    def ticks(ns: float) -> int:
        return math.ceil(ns / tick_ns - 1e-9)

    burst = max(1, round(std.burst_ns / tick_ns))
    cl, cwl = ticks(std.tcl_ns), ticks(std.tcwl_ns)
    return ControllerConfig(
        policy=policy,
        tick_ps=round(tick_ns * 1000),
        access_bytes=std.access_bytes,
        pcs=2 if std.name.startswith("HBM") and policy == "frfcfs" else 1,
        sids=std.sids,
        bank_groups=std.bank_groups,
        banks_per_group=std.banks_per_group,
        burst=burst,
        cl=cl,
        cwl=cwl,
        rcd_rd=ticks(std.trcd_ns),
        rcd_wr=ticks(std.trcd_wr_ns),
        rp=ticks(std.trp_ns),
        ras=ticks(std.tras_ns),
        rc=ticks(std.trc_ns),
        ccd_s=std.tccd_s_ck * per_clock,
        ccd_l=std.tccd_l_ck * per_clock,
        ccd_r=(std.tccd_s_ck + (1 if std.sids > 1 else 0)) * per_clock,
        rrd_s=ticks(std.trrd_s_ns),
        rrd_l=ticks(std.trrd_l_ns),
        faw=ticks(std.tfaw_ns),
        rtp=ticks(std.trtp_ns),
        wr=ticks(std.twr_ns),
        rd_to_wr=ticks(std.trtw_ns),
        wr_to_rd_s=cwl + burst + ticks(std.twtr_s_ns),
        wr_to_rd_l=cwl + burst + ticks(std.twtr_l_ns),
        rfc=ticks(std.trfc_ns),
        rfcpb=ticks(std.trfc_pb_ns),
        refi=ticks(std.trefi_ns),
        refipb=ticks(std.trefi_pb_ns / (1 if half or not std.name.startswith("HBM") else 2)),
        refresh=_refresh(std, policy, half),
        read_queue=queue,
        write_queue=queue,
        act_ticks=3 if half else 1,
        half_clock=half,
        rrefd=max(3 * per_clock, ticks(8.0)),
        ppd=2 * per_clock if half else 0,
    )


def _refresh(std: DramStandard, policy: Policy, half: bool) -> Refresh:
    if policy == "bank_queues" or std.refresh != "per_bank":
        return "all_bank" if std.refresh != "none" else "none"
    return "per_bank_sets" if half else "per_bank"
