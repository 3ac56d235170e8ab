"""What-if: the same run with one resource ideal at a time; the speed-up that each would buy.

Each ideal is a change of the machine (or, for barriers, of the kernels), so that the mapping is searched again for
it. The list is closed (design: closed accounting).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from sim.config.hardware import Hardware, PackedFormat
from sim.config.kernel_profile import KernelProfile
from sim.memory.params import peak_gb_s

HUGE_RATE = 1e6
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
    return _section(hw, "gather", engine=True, engine_clk=0.0, bytes_per_clk=HUGE_RATE)


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


def ideal_profiles(name: str, profiles: list[KernelProfile]) -> list[KernelProfile]:
    """The kernels under an ideal: without barriers, or as they are."""
    if name != "free_barriers":
        return profiles
    return [profile.model_copy(update={"barrier_clk": 0.0, "table_wait_clk": 0.0}) for profile in profiles]
