"""From a sample in detail and two runs at tile grain (of the sample, of the whole) to the whole in detail.

The sample is cut at two marks, when given shares of its tiles had been consumed: a head (ramp), a steady part and a
tail. What the tile grain misses of head and tail is added as it is; what it misses of the pace of the steady part is
a ratio and holds for all of the whole launch that is neither head nor tail.
"""

from dataclasses import dataclass

FIRST_MARK, LAST_MARK = 0.35, 0.85
"""Shares of the sample's tiles that bound its steady part."""
PACE_ERROR = 0.25
"""Share of the pace correction that may be wrong for the rest (from the grid in benchmarks/bench_sampled.py)."""
LEAST_ERROR = 0.004
"""Relative error of a sampled time however well the sample agrees (same grid)."""


@dataclass(frozen=True)
class Marks:
    """Times in ps of a run of the attention launch, from the start of the run: its marks and its end."""

    first: int
    last: int
    end: int

    @property
    def tail(self) -> int:
        return self.end - self.last

    @property
    def steady(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class Whole:
    """The whole launch as predicted. pace: steady part in detail over tile grain; steady_ps: time of the whole that
    the sample's steady part stands for."""

    end_ps: float
    pace: float
    steady_ps: float


def extrapolate(detail: Marks, coarse: Marks, whole_end_ps: int) -> Whole:
    """Predict the end of the whole launch."""
    pace = detail.steady / coarse.steady
    steady = max(0.0, (whole_end_ps - coarse.first - coarse.tail) * pace)
    return Whole(detail.first + steady + detail.tail, pace, steady)


def relative_ci95(whole: Whole, total_ps: float) -> float:
    """Half width of the interval in which 95 of 100 full runs should lie, as a share of the time."""
    extrapolated = whole.steady_ps / total_ps
    return float(extrapolated * PACE_ERROR * abs(whole.pace - 1) + LEAST_ERROR)
