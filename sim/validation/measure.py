"""What a row's value means as a time, and back: latencies, rates and shares of a peak."""

from dataclasses import dataclass

TIME_US = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
BYTES_PER_US = {"GB/s": 1e3, "TB/s": 1e6}
FLOP_PER_US = {"GFLOP/s": 1e3, "TFLOP/s": 1e6}
METRICS = ("latency", "bandwidth", "bandwidth_utilization", "tflops", "utilization")


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


def measure_of(metric: str, unit: str, amounts: Amounts) -> Measure | str:
    """How to read a metric, or why its rows cannot be predicted."""
    if metric not in METRICS:
        return f"metric: {metric!r} is not the time or rate of one kernel; known: {', '.join(METRICS)}"
    if metric == "latency" and unit in TIME_US:
        return Measure(TIME_US[unit], rate=False)
    peak_bytes_per_us, peak_flop_per_us = amounts.peak_gb_s * 1e3, amounts.peak_tflop_s * 1e6
    rates = {
        **{("bandwidth", name): amounts.moved_bytes / size for name, size in BYTES_PER_US.items()},
        **{("tflops", name): amounts.flops / size for name, size in FLOP_PER_US.items()},
        ("bandwidth_utilization", "%"): 100 * amounts.moved_bytes / peak_bytes_per_us,
        ("utilization", "%"): 100 * amounts.flops / peak_flop_per_us,
    }
    if (metric, unit) in rates:
        return Measure(rates[metric, unit], rate=True)
    return f"unit: {metric} in {unit!r} is not known"
