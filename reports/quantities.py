"""Quantities that several figures derive from one Result; None when the result lacks what is needed."""

import math
from typing import Any

from sim.result import Result

KIB = 1024
MMA_OF_FORMAT = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "int8": "int8", "mxfp4": "fp4", "nvfp4": "fp4"}
"""Tensor-core format that a KV format could feed directly; the others multiply as FP16."""


def hbm_peak_gb_s(result: Result) -> float | None:
    """Peak of the device memory: the achieved rate over its share of the peak."""
    achieved, share = result.bandwidth_gb_s.get("hbm"), result.utilisation.get("hbm")
    return achieved / share if achieved and share else None


def useful_flops(result: Result) -> float | None:
    """Useful FLOPs of the run: what the tensor bound takes at the tensor peak."""
    bound, peak = result.bounds_ns.get("tensor"), tensor_peak_flop_per_ns(result)
    return bound * peak if bound and peak else None


def tensor_peak_flop_per_ns(result: Result) -> float | None:
    """Dense tensor peak of the format that the kernel multiplies in (FP16 unless the mapping names it)."""
    sm = result.hardware.get("sm")
    if not sm:
        return None
    rates: dict[str, float] = sm["tensor_flop_per_clk"]
    rate = rates.get(str(result.mapping.get("mma", "fp16")), rates.get("fp16"))
    return rate * sm["clock_ghz"] * sm["count"] if rate else None


def hbm_bytes(result: Result) -> int:
    return result.bytes.get("hbm_read", 0) + result.bytes.get("hbm_write", 0)


def intensity(result: Result) -> float | None:
    """Useful FLOP per byte moved to or from device memory."""
    flops, moved = useful_flops(result), hbm_bytes(result)
    return flops / moved if flops and moved else None


def sram_capacity_kib(result: Result) -> float | None:
    sm = result.hardware.get("sm")
    return float(sm["sram_kib"]) if sm else None


def sram_parts_kib(result: Result) -> dict[str, float]:
    """SRAM that the chosen mapping uses on one SM, by what it holds; empty when the mapping does not say."""
    ctas = result.mapping.get("ctas_per_sm")
    detail = result.mapping.get("sram_bytes")
    if not ctas or detail is None:
        return {}
    parts: dict[str, Any] = detail if isinstance(detail, dict) else {"in use": detail}
    return {name: ctas * size / KIB for name, size in parts.items() if size}


def sampling_error(result: Result) -> float:
    """Half width of the 95% interval of a sampled run, relative; 0 for a full one."""
    value = result.sampling.get("relative_ci95") if result.sampling else None
    return float(value) if value is not None and math.isfinite(value) else 0.0


def largest_stalls(result: Result, count: int) -> list[tuple[str, float]]:
    """The causes with the largest shares, largest first."""
    shares = sorted((result.stalls or {}).items(), key=lambda item: -item[1])
    return [(cause, share) for cause, share in shares[:count] if share > 0]
