"""From a sample in detail and two runs at tile grain (of the sample, of the whole) to the whole in detail.

The whole is its time at tile grain plus what the sample shows beyond its own: of the way to its steady part all, as the
whole begins in the same way; of the rest a share, as part of it is chance, how just these CTAs met each other. And what
the tile grain adds from sample to whole counts by a pace: how much slower the detail consumes tiles than the tile
grain. The pace is the slope of one run's times on the other's over all tiles of the sample's steady part (single marks
would fall between the bursts of CTAs that started together). The sample tells it with an error; the tile grain alone is
right to within a prior. So the slope counts by the inverse of its variance against that of 1 (shrinkage: Efron and
Morris, JASA 70, 1975). Where memory is busy all the time, the pace is that of memory, whose rate the tile grain has
from the memory plane itself; the more of the time it is not, the more is left to the sample. What the detail takes
longer it takes where a CTA follows another one and its buffers fill anew; shortened CTAs do so more often than whole
ones, and what they show counts by how often the whole does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST_MARK, LAST_MARK = 0.3, 0.9
"""Shares of the sample's tiles that bound its steady part."""
MEMORY_PRIOR, OTHER_PRIOR = 0.012, 0.02
"""Standard deviation of the whole's pace around 1, what tile grain alone misses: where memory always works, and where
it never does (benchmarks/bench_sampled.py)."""
UNEQUAL_PRIOR = 0.03
"""The same where some SMs hold more CTAs than others to the end: how they share memory the tile grain does not know, as
a lone CTA keeps less under way while it waits for the last block of a tile (both grids; up to 0.1 on A100)."""
LOOK_UP_PRIOR = 0.025
"""The same where CTAs look pages up as they copy: how long they stay in step, so that a look-up meets the blocks of all
others, hangs on how memory shuffles what waits, which the tile grain draws (the grid of look-ups and 11 published
launches: 2.1% of the time, up to 5%)."""
PACE_ERROR = 0.01
"""Standard deviation of the whole's pace around the sample's, beyond what the scatter there tells (same grid)."""
CORRELATION = 3.0
"""How much larger the error of a slope is than if the rounds of tiles scattered independently: what is late stays so
for some rounds (same grid)."""
LEAST_ERROR = 0.006
"""Relative error of a sampled time however little is extrapolated (same grid)."""
RETURNING = 0.5
"""Share of what the sample takes longer than at tile grain, once it runs steadily, that the whole takes longer too: its
regression on that is 0.3 to 0.5 (same grid and a second one)."""
LONG_TAIL = 0.1
"""Share of the time after which some SMs run on alone. From there on a launch in one wave is another one as its CTAs
are longer, to scale: all that the sample shows beyond tile grain grows with it (A100: how much faster than a lone CTA
two on an SM are decides when they are done)."""
NORMAL_95 = 1.96
"""Standard deviations of a normal distribution that 95 of 100 draws lie within."""


@dataclass(frozen=True)
class Course:
    """A run of the attention launch, times in ps from the start of the run. consumed: [T], sorted, of its tiles."""

    consumed: NDArray[np.int64]
    end: int

    @property
    def window(self) -> slice:
        """Ranks of the tiles of the steady part."""
        count = len(self.consumed)
        first = min(count - 1, round(FIRST_MARK * count))
        return slice(first, max(first + 1, round(LAST_MARK * count)))

    @property
    def first(self) -> int:
        return int(self.consumed[self.window.start])

    @property
    def last(self) -> int:
        return int(self.consumed[self.window.stop - 1])

    @property
    def tail_share(self) -> float:
        """Part of the time that the last tiles take beyond the steady part's pace."""
        steady = (self.last - self.first) * (1 - LAST_MARK) / (LAST_MARK - FIRST_MARK)
        return float((self.consumed[-1] - self.last - steady) / self.consumed[-1])


@dataclass(frozen=True)
class Size:
    """Of a launch on `slots` places for CTAs."""

    ctas: int
    tiles: int
    slots: int

    @property
    def refills(self) -> int:
        """CTAs that follow another one in its place."""
        return max(0, self.ctas - self.slots)

    @property
    def steady_refills(self) -> float:
        """Those in the steady part of a sample, per tile there."""
        share = LAST_MARK - FIRST_MARK
        return min(self.refills, share * self.ctas) / (share * self.tiles)


def refill_ratio(whole: Size, sample: Size) -> float:
    """How often CTAs follow each other in the whole, per tile and over that of the sample; 1 where none does there."""
    if sample.refills == 0:
        return 1.0
    return min(1.0, whole.refills / whole.tiles / sample.steady_refills)


@dataclass(frozen=True)
class Whole:
    """The whole launch as predicted. pace: detail over tile grain, with its standard deviation; added_ps: its time
    beyond the sample's."""

    end_ps: float
    pace: float
    pace_error: float
    added_ps: float


def fitted_pace(detail: Course, coarse: Course, rounds: float) -> tuple[float, float]:
    """Slope of the detail's times on the tile grain's, and its standard error: CTAs in step make about `rounds`
    observations, however many tiles there are."""
    x = coarse.consumed[coarse.window].astype(np.float64)
    y = detail.consumed[detail.window].astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    if spread == 0.0:
        return 1.0, np.inf
    slope = float(x @ y) / spread
    scatter = float(np.sqrt(np.mean((y - slope * x) ** 2)))
    return slope, CORRELATION * scatter / float(np.sqrt(spread / len(x) * max(1.0, rounds)))


@dataclass(frozen=True)
class Run:
    """The whole at tile grain. memory_share: of its time, in which memory works; unequal: SMs hold unequal numbers of
    CTAs, and none follows; tail_share: as of its `Course`; looks_up: CTAs look pages up as they copy."""

    size: Size
    end_ps: int
    memory_share: float
    unequal: bool = False
    tail_share: float = 0.0
    looks_up: bool = False


def extrapolate(detail: Course, coarse: Course, sample: Size, whole: Run) -> Whole:
    """Predict the end of the whole launch."""
    if whole.unequal and whole.tail_share > LONG_TAIL:
        return _to_scale(detail, coarse, whole)
    slope, error = fitted_pace(detail, coarse, sample.tiles / sample.slots)
    ratio = refill_ratio(whole.size, sample)
    variance = (ratio * error) ** 2 + PACE_ERROR**2
    memory_share = whole.memory_share
    prior = memory_share * MEMORY_PRIOR + (1 - memory_share) * OTHER_PRIOR
    if whole.unequal:
        prior = max(prior, UNEQUAL_PRIOR)
    if whole.looks_up:
        prior = max(prior, LOOK_UP_PRIOR)
    weight = prior**2 / (prior**2 + variance)
    pace = 1 + weight * ratio * (slope - 1)
    head = detail.first - coarse.first
    rest = (detail.end - detail.first) - (coarse.end - coarse.first)
    grown = (whole.end_ps - coarse.end) * (pace - 1)
    added = max(0.0, whole.end_ps + head + RETURNING * rest + grown - detail.end)
    return Whole(detail.end + added, pace, prior * float(np.sqrt(1 - weight)), added)


def _to_scale(detail: Course, coarse: Course, whole: Run) -> Whole:
    """The end of a launch in one wave, some SMs of which run on alone: the sample's course from its steady part on,
    stretched as the tile grain stretches its own."""
    stretch = (whole.end_ps - coarse.first) / (coarse.end - coarse.first)
    end = detail.first + stretch * (detail.end - detail.first)
    pace = (detail.end - detail.first) / (coarse.end - coarse.first)
    return Whole(max(end, detail.end), pace, UNEQUAL_PRIOR, max(0.0, end - detail.end))


def relative_ci95(whole: Whole, total_ps: float, chance_ps: float) -> float:
    """Half width of the interval in which 95 of 100 full runs should lie, as a share of the time. chance_ps: standard
    deviation of a run as its tiles happen to meet."""
    return NORMAL_95 * float(np.hypot(whole.added_ps * whole.pace_error, chance_ps)) / total_ps + LEAST_ERROR
