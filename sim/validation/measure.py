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
    if metric == "latency" and unit in TIME_US:
        return Measure(TIME_US[unit], rate=False)
    if metric == "bandwidth" and unit in BYTES_PER_US:
        return Measure(amounts.moved_bytes / BYTES_PER_US[unit], rate=True)
    if metric == "tflops" and unit in FLOP_PER_US:
        return Measure(amounts.flops / FLOP_PER_US[unit], rate=True)
    if metric == "bandwidth_utilization" and unit == "%":
        return Measure(100 * amounts.moved_bytes / (amounts.peak_gb_s * 1e3), rate=True)
    if metric == "utilization" and unit == "%":
        return Measure(100 * amounts.flops / (amounts.peak_tflop_s * 1e6), rate=True)
    if metric in METRICS:
        return f"unit: {metric} in {unit!r} is not known"
    return f"metric: {metric!r} is not the time or rate of one kernel; known: {', '.join(METRICS)}"
