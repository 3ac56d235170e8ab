"""What-if: the same run with one resource ideal, or twice as fast, at a time; the speed-up that each would buy.

Each ideal is a change of the machine (or, for barriers, of the kernels), so that the mapping is searched again for
it. The list is closed (design: closed accounting).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from sim.config.hardware import Hardware, PackedFormat
from sim.config.kernel_profile import KernelProfile
from sim.memory.peaks import peak_gb_s

HUGE_RATE = 1e6
ORDERED_BYTES_PER_CLK = 1e4
"""Addresses faster than any port takes them, but a sector still takes a picosecond: requests of one instant are served
SM after SM, so that with no time at all between them the last SMs would always wait for the first."""
HUGE_L2_MIB = 4096.0
"""Larger than any KV working set of one shipped launch; tags are still simulated."""


def _section(hw: Hardware, section: str, **changes: Any) -> Hardware:
    return hw.model_copy(update={section: getattr(hw, section).model_copy(update=changes)})


def _same(hw: Hardware, _context_kib: int) -> Hardware:
    """The ideal is not a property of the machine: lowering or the memory plane takes it up by name."""
    return hw


def _free_unpack(hw: Hardware, _context_kib: int) -> Hardware:
    return _section(hw, "unpack", native=list(get_args(PackedFormat)), native_values_per_clk=HUGE_RATE)


def _infinite_sram(hw: Hardware, context_kib: int) -> Hardware:
    return _section(hw, "sm", sram_kib=max(hw.sm.sram_kib, context_kib))


def _infinite_l2(hw: Hardware, _context_kib: int) -> Hardware:
    return _section(hw, "l2", capacity_mib=max(hw.l2.capacity_mib, HUGE_L2_MIB), effective_fraction=1.0)


def _double_hbm(hw: Hardware, _context_kib: int) -> Hardware:
    return _section(hw, "hbm", peak_gb_s=2 * peak_gb_s(hw.hbm))


def _free_launch(hw: Hardware, _context_kib: int) -> Hardware:
    return _section(hw, "launch", stream_ns=0.0, graph_ns=0.0, cta_ns=0.0)


def _double_tensor(hw: Hardware, _context_kib: int) -> Hardware:
    rates = {fmt: 2 * rate for fmt, rate in hw.sm.tensor_flop_per_clk.items()}
    return _section(hw, "sm", tensor_flop_per_clk=rates)


def _free_gather(hw: Hardware, _context_kib: int) -> Hardware:
    return _section(hw, "gather", engine=True, engine_clk=0.0, bytes_per_clk=ORDERED_BYTES_PER_CLK)


def _infinite_tier_bandwidth(hw: Hardware, _context_kib: int) -> Hardware:
    fast = {"bandwidth_gb_s": HUGE_RATE, "iops": None}
    return hw.model_copy(update={"tiers": {n: t.model_copy(update=fast) for n, t in hw.tiers.items()}})


IDEALS: Mapping[str, Callable[[Hardware, int], Hardware]] = MappingProxyType(
    {
        "free_translation": _same,
        "free_unpack": _free_unpack,
        "infinite_sram": _infinite_sram,
        "infinite_l2": _infinite_l2,
        "double_hbm": _double_hbm,
        "zero_latency_hbm": _same,
        "free_launch": _free_launch,
        "free_barriers": _same,
        "double_tensor": _double_tensor,
        "free_gather": _free_gather,
        "infinite_tier_bandwidth": _infinite_tier_bandwidth,
    }
)


MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "free_translation": "kernels find KV without a block table, as if each sequence lay in one piece; TLBs stay",
        "free_unpack": "an engine beside the pipes expands every packed format, in no time",
        "infinite_sram": "each SM also holds the longest context of a KV head, in 16 bit",
        "infinite_l2": f"L2 of at least {HUGE_L2_MIB:,.0f} MiB, all of it usable; its bandwidth stays",
        "double_hbm": "twice the peak of the device memory; its latency stays",
        "zero_latency_hbm": "rows of the device memory are open and data come at once: only the bus takes time",
        "free_launch": "launches of kernels and starts of CTAs take no time",
        "free_barriers": "barriers in a kernel, and its waits for an entry of the block table, take no time",
        "double_tensor": "twice the tensor rate in every format",
        "free_gather": "no time for the descriptors and the addresses of runs",
        "infinite_tier_bandwidth": "memory tiers deliver 1,000 TB/s, any number of accesses a second; latencies stay",
    }
)
"""What each ideal means, as the documentation lists them."""


def ideal_profiles(name: str, profiles: list[KernelProfile]) -> list[KernelProfile]:
    """The kernels under an ideal: without barriers, or as they are."""
    if name != "free_barriers":
        return profiles
    return [profile.model_copy(update={"barrier_clk": 0.0}) for profile in profiles]
