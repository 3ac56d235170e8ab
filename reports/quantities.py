"""Quantities that several figures derive from one Result; None when the result lacks what is needed."""

import math
from typing import Any

from sim.result import Result

KNOWN_16_BIT = ("fp16", "bf16")
FOUR_BIT = ("int4", "mxfp4", "nvfp4")
MEASURED = (
    ("micro_gb_s", "bandwidth", "GB/s", "more"),
    ("micro_latency_ns", "latency of a load", "ns", "less"),
    ("micro_step_ns", "time of a step", "ns", "less"),
)
"""What microbenchmarks measure, each one of them: counter, name, unit, and whether more or less of it is better."""


def hbm_peak_gb_s(result: Result) -> float | None:
    """Peak of the device memory: the achieved rate over its share of the peak."""
    achieved, share = result.bandwidth_gb_s.get("hbm"), result.utilisation.get("hbm")
    return achieved / share if achieved and share else None


def useful_flops(result: Result) -> float | None:
    """Useful FLOPs of a kernel: the tensor bound times the rate that it divides by.

    That rate is the fastest at which the stored KV formats could be multiplied: 16 bit always, 8 bit when
    they are narrower than 16 bit, 4 bit when they are stored in 4. None for steps, whose bound has several.
    """
    bound, per_clk = result.bounds_ns.get("tensor"), _fastest_rate(result)
    if not bound or per_clk is None or result.workload.get("kind") != "kernel":
        return None
    return bound * per_clk * _clocks_per_ns(result)


def _fastest_rate(result: Result) -> float | None:
    formats = _kv_formats(result)
    usable = {"fp16", "bf16"}
    if any(name not in KNOWN_16_BIT for name in formats):
        usable |= {"fp8", "int8"}
    if any(name in FOUR_BIT for name in formats):
        usable |= {"fp4"}
    rates = [rate for name, rate in _tensor_rates(result).items() if name in usable]
    return max(rates, default=None)


def _kv_formats(result: Result) -> list[str]:
    stored = result.workload.get("kv_format", "fp16")
    return [stored["hot"], stored["cold"]] if isinstance(stored, dict) else [str(stored)]


def _tensor_rates(result: Result) -> dict[str, float]:
    rates: dict[str, float] = result.hardware.get("sm", {}).get("tensor_flop_per_clk", {})
    return rates


def _clocks_per_ns(result: Result) -> float:
    """SM-clocks per ns at the clock of the run, which may be another than the config's in prefill."""
    sm = result.hardware["sm"]
    return float(result.counters.get("sm_clock_ghz", sm["clock_ghz"]) * sm["count"])


def tensor_ceiling(result: Result) -> tuple[str, float] | None:
    """(format, dense FLOP per ns) of the tensor cores in the format that the kernel multiplies in."""
    mma = str(mapping_of(result).get("mma", "fp16"))
    rate = _tensor_rates(result).get(mma)
    return (mma, rate * _clocks_per_ns(result)) if rate else None


def mapping_of(result: Result) -> dict[str, Any]:
    """The mapping of the attention kernel; a step keeps it one level down."""
    if "ctas_per_sm" in result.mapping:
        return result.mapping
    inner = [part for part in result.mapping.values() if isinstance(part, dict) and "ctas_per_sm" in part]
    return inner[0] if inner else result.mapping


def hbm_bytes(result: Result) -> int:
    return result.bytes.get("hbm_read", 0) + result.bytes.get("hbm_write", 0)


def intensity(result: Result) -> float | None:
    """Useful FLOP per byte moved to or from device memory."""
    flops, moved = useful_flops(result), hbm_bytes(result)
    return flops / moved if flops and moved else None


def sram_capacity_kib(result: Result) -> float | None:
    sm = result.hardware.get("sm")
    return float(sm["sram_kib"]) if sm else None


def sram_used_kib(result: Result) -> float | None:
    """SRAM that the resident CTAs of the chosen mapping hold on one SM."""
    used = mapping_of(result).get("sram_kib_used_per_sm")
    return float(used) if used is not None else None


def sampling_error(result: Result) -> float:
    """Half width of the 95% interval of a sampled run, relative; 0 for a full one."""
    value = result.sampling.get("relative_ci95") if result.sampling else None
    return float(value) if value is not None and math.isfinite(value) else 0.0


def largest_stalls(result: Result, count: int) -> list[tuple[str, float]]:
    """The causes with the largest shares, largest first."""
    shares = sorted((result.stalls or {}).items(), key=lambda item: -item[1])
    return [(cause, share) for cause, share in shares[:count] if share > 0]
