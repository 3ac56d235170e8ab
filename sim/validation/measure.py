"""What a row's value means as a time, and back: latencies, rates and shares of a peak."""

from dataclasses import dataclass

UNITS: dict[str, dict[str, float]] = {
    "latency": {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6},
    "bandwidth": {"MB/s": 1.0, "GB/s": 1e3, "TB/s": 1e6, "GiB/s": 2**30 / 1e6, "TiB/s": 2**40 / 1e6},
    "bandwidth_utilization": {"%": 1.0},
    "tflops": {"GFLOP/s": 1e3, "TFLOP/s": 1e6},
    "utilization": {"%": 1.0},
}
"""By metric: microseconds, bytes per microsecond, FLOP per microsecond, or percent of a peak, in one unit."""
SPELLINGS = {
    **{"nsec": "ns", "usec": "us", "\N{MICRO SIGN}s": "us", "\N{GREEK SMALL LETTER MU}s": "us"},
    **{"msec": "ms", "sec": "s", "seconds": "s", "GBps": "GB/s", "TBps": "TB/s", "percent": "%"},
    **{name: "GFLOP/s" for name in ("GFLOPS", "GFLOPs", "GFLOPS/s", "GFLOPs/s")},
    **{name: "TFLOP/s" for name in ("TFLOPS", "TFLOPs", "TFLOPS/s", "TFLOPs/s")},
}
"""Other names of a unit."""
CASE_MATTERS = ("bandwidth",)
"""There it tells bits from bytes."""
METRICS = tuple(UNITS)


@dataclass(frozen=True)
class Measure:
    """`factor` microseconds per unit of the value, or (a rate) `factor` units times microseconds."""

    factor: float
    rate: bool

    def to_us(self, value: float) -> float:
        return self.factor / value if self.rate else value * self.factor

    def of_us(self, time_us: float) -> float:
        return self.factor / time_us if self.rate else time_us / self.factor


@dataclass(frozen=True)
class Amounts:
    """What rates count and what shares refer to: bytes and FLOPs of the launch, peaks of the machine."""

    moved_bytes: float
    flops: float
    peak_gb_s: float
    peak_tflop_s: float


def _unit_name(metric: str, unit: str) -> str:
    """The unit as `UNITS` spells it; as it is where that is not known."""
    if metric in CASE_MATTERS:
        return SPELLINGS.get(unit, unit)
    names = {name: name for name in UNITS[metric]} | SPELLINGS
    return {name.casefold(): known for name, known in names.items()}.get(unit.casefold(), unit)


def measure_of(metric: str, unit: str, amounts: Amounts) -> Measure | str:
    """How to read a metric, or why its rows cannot be predicted."""
    if metric not in METRICS:
        return f"metric: {metric!r} is not the time or rate of one kernel; known: {', '.join(METRICS)}"
    size = UNITS[metric].get(_unit_name(metric, unit))
    if size is None:
        return f"unit: {metric} in {unit!r} is not known; known: {', '.join(UNITS[metric])}"
    if metric == "latency":
        return Measure(size, rate=False)
    counted = {
        "bandwidth": amounts.moved_bytes,
        "bandwidth_utilization": 100 * amounts.moved_bytes / (amounts.peak_gb_s * 1e3),
        "tflops": amounts.flops,
        "utilization": 100 * amounts.flops / (amounts.peak_tflop_s * 1e6),
    }
    return Measure(counted[metric] / size, rate=True)
