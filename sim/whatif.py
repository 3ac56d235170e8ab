"""What-if: the same run with one resource ideal at a time; the speed-up that each would buy.

Each ideal is a change of the config, so that the mapping is searched again for it. The list is closed (design:
closed accounting).
"""

from typing import Any

from sim.config.hardware import Hardware
from sim.config.workload import KernelProfile
from sim.memory.params import peak_gb_s

HUGE_RATE = 1e6


def _section(hw: Hardware, section: str, **changes: Any) -> Hardware:
    return hw.model_copy(update={section: getattr(hw, section).model_copy(update=changes)})


def _tiers(hw: Hardware) -> Hardware:
    fast = {
        name: tier.model_copy(update={"bandwidth_gb_s": HUGE_RATE, "write_gb_s": None, "iops": None})
        for name, tier in hw.tiers.items()
    }
    return hw.model_copy(update={"tiers": fast})


def _double_tensor(hw: Hardware) -> Hardware:
    rates = {fmt: 2 * rate for fmt, rate in hw.sm.tensor_flop_per_clk.items()}
    return _section(hw, "sm", tensor_flop_per_clk=rates)


def _free_launch(hw: Hardware) -> Hardware:
    return _section(hw, "launch", stream_ns=0.0, graph_ns=0.0, cta_ns=0.0)


def idealise(name: str, hw: Hardware, whole_context_kib: int) -> Hardware:
    """The machine with one resource ideal. `free_barriers` changes the kernel instead: see `ideal_profiles`."""
    match name:
        case "free_translation":
            return _section(hw, "translation", free=True)
        case "free_unpack":
            return _section(hw, "unpack", native=list(ALL_FORMATS), native_values_per_clk=HUGE_RATE)
        case "infinite_sram":
            return _section(hw, "sm", sram_kib=max(hw.sm.sram_kib, whole_context_kib))
        case "infinite_l2":
            return _section(
                hw, "l2", capacity_mib=max(hw.l2.capacity_mib, INFINITE_L2_MIB), effective_fraction=1.0
            )
        case "double_hbm":
            return _section(hw, "hbm", peak_gb_s=2 * peak_gb_s(hw.hbm))
        case "zero_latency_hbm":
            return _section(hw, "hbm", controller_ns=0.0, zero_latency=True)
        case "free_launch":
            return _free_launch(hw)
        case "double_tensor":
            return _double_tensor(hw)
        case "free_gather":
            return _section(hw, "gather", engine=True, engine_clk=0.0, bytes_per_clk=HUGE_RATE)
        case "infinite_tier_bandwidth":
            return _tiers(hw)
        case _:
            return hw


ALL_FORMATS = ("fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4")
INFINITE_L2_MIB = 4096.0
"""Larger than any KV working set of one layer that these workloads ship; tags are still simulated."""

WHAT_IF = (
    "free_translation",
    "free_unpack",
    "infinite_sram",
    "infinite_l2",
    "double_hbm",
    "zero_latency_hbm",
    "free_launch",
    "free_barriers",
    "double_tensor",
    "free_gather",
    "infinite_tier_bandwidth",
)


def ideal_profiles(name: str, profiles: list[KernelProfile]) -> list[KernelProfile]:
    if name != "free_barriers":
        return profiles
    return [profile.model_copy(update={"barrier_clk": 0.0}) for profile in profiles]
