"""Analytic lower bounds: what no machine with these resources can beat (design: closed accounting).

Each bound is distinct work over a peak rate: overfetch, re-reads, padding and latency never raise it. Bytes that
were declared resident (a warm L2, at most its capacity) need no memory read, nor do those that copies bring from a
tier, which may be read from L2 as they land; what the caches cannot hold of them has to be written to memory.
"""

import math
from collections.abc import Iterable

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.workload import Workload
from sim.errors import SelfCheckError
from sim.memory.peaks import data_peak_gb_s
from sim.work import Work, step_work

ROUNDING = 1e-9


def best_tensor_flop_per_clk(hw: Hardware, formats: tuple[str, ...]) -> float:
    """Fastest rate at which these KV formats could be multiplied: 16 bit always, narrower only if stored narrower."""
    rates = hw.sm.tensor_flop_per_clk
    usable = {"fp16", "bf16"}
    if any(f not in ("fp16", "bf16") for f in formats):
        usable |= {"fp8", "int8"}
    if any(f in ("int4", "mxfp4", "nvfp4") for f in formats):
        usable |= {"fp4"}
    return max(rate for fmt, rate in rates.items() if fmt in usable)


def least_exp_share(profiles: Iterable[KernelProfile], kernel: str) -> float:
    """Least share of exponentials that the kernel, or any that may be chosen, leaves to the special function units."""
    meant = (p for p in profiles if p.name == kernel or (kernel == "auto" and p.auto))
    return min((profile.exp_share for profile in meant), default=1.0)


def cached_bytes(hw: Hardware) -> float:
    """Bytes that the caches before device memory hold."""
    return (hw.l2.capacity_mib + (hw.llc.capacity_mib if hw.llc else 0)) * 2**20


def least_memory_reads(work: Work, hw: Hardware, *, warm: bool) -> float:
    """Bytes that one attention launch has to read from device memory."""
    reads = work.kv_bytes + work.query_bytes
    return max(0.0, reads - cached_bytes(hw)) if warm else reads - work.kv_bytes_in_tiers


def attention_bounds_ns(
    work: Work, formats: tuple[str, ...], hw: Hardware, *, warm: bool, exp_share: float = 1
) -> dict[str, float]:
    """Bounds of one attention launch by resource. exp_share: part of the exponentials that are not polynomials."""
    reads = work.kv_bytes + work.query_bytes
    passing = 0.0 if warm else max(0.0, work.kv_bytes_in_tiers - cached_bytes(hw))
    from_memory = least_memory_reads(work, hw, warm=warm) + passing
    clk = hw.sm.clock_ghz * hw.sm.count
    bounds = {
        "hbm": from_memory / data_peak_gb_s(hw.hbm),
        "tensor": work.flops / (clk * best_tensor_flop_per_clk(hw, formats)),
        "exp": work.scores * exp_share / (clk * hw.sm.exp_per_clk),
        "l2": reads / hw.l2.bandwidth_gb_s,
        "sram": reads / (clk * hw.sm.sram_bytes_per_clk),
        "noc": reads / (clk * hw.noc.port_bytes_per_clk),
    }
    if work.kv_bytes_in_tiers:
        fastest = max(hw.tiers[name].bandwidth_gb_s for name in work.tiers)
        bounds["tier"] = work.kv_bytes_in_tiers / fastest
    return bounds


def kernel_bounds_ns(
    step: Step, profiles: Iterable[KernelProfile], workload: Workload, hw: Hardware
) -> dict[str, float]:
    """Bounds of the attention launch of `step` by the workload's kernel, or by any of `profiles` that may be chosen."""
    share = least_exp_share(profiles, workload.kernel)
    warm = workload.l2_state == "warm"
    return attention_bounds_ns(step_work(step), step.formats, hw, warm=warm, exp_share=share)


def check_not_beaten(time_ns: float, bounds: dict[str, float]) -> None:
    """Raises SelfCheckError when a result is faster than physics allows; results are never clamped."""
    for name, bound in bounds.items():
        if not math.isfinite(time_ns) or time_ns < bound * (1 - ROUNDING):
            raise SelfCheckError(f"time {time_ns:.3f} ns beats the {name} bound of {bound:.3f} ns")
