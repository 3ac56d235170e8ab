"""The time at tile grain as the mean of some draws of the channels' delays, and how far they lie apart.

Which CTAs meet in L2, which slots come free first and so which SMs get the last CTAs hangs on small delays. A run in
detail is one draw of that too; what tile grain can say is the mean, and how much is left to chance.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.coarse.estimate import Coarse, CoarseTime, Problem, coarse_time
from sim.coarse.machine import Timing

SEEDS = (1, 1_234_567, 987_654_321)
"""Starts of the generator, far from each other."""
MOST_TILES = 100_000
"""Of all draws together: about a tenth of a second. Among more tiles than that chance evens out."""


@dataclass(frozen=True)
class Drawn:
    """time: the mean of the draws; scatter_ps: standard deviation of the end among them."""

    time: CoarseTime
    scatter_ps: float


def _mean(values: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    mean: NDArray[np.int64] = np.rint(np.mean(values, axis=0)).astype(np.int64)
    return mean


def mean_timing(draws: list[Timing]) -> Timing:
    """Field by field. Some draws of a long launch may have run in short forms, others whole: the first's `consumed`
    stands for all then."""
    alike = len({len(draw.consumed) for draw in draws}) == 1
    return Timing(
        start=draws[0].start,
        end=round(np.mean([draw.end for draw in draws])),
        consumed=_mean([draw.consumed for draw in draws]) if alike else draws[0].consumed,
        hits=_mean([draw.hits for draw in draws]),
        query_hits=_mean([draw.query_hits for draw in draws]),
        memory_ps=round(np.mean([draw.memory_ps for draw in draws])),
        written=round(np.mean([draw.written for draw in draws])),
        idle=round(np.mean([draw.idle for draw in draws])),
    )


def drawn_time(problem: Problem, kernel: Coarse) -> Drawn:
    """Run a kernel once for each seed, as long as MOST_TILES allow more than one."""
    seeds = SEEDS[: max(1, MOST_TILES // kernel.grid.tiles)]
    draws = [
        coarse_time(replace(problem, memory=replace(problem.memory, seed=seed)), kernel) for seed in seeds
    ]
    ends = np.array([draw.end_ps for draw in draws], np.float64)
    time = CoarseTime(mean_timing([draw.attention for draw in draws]), round(ends.mean()))
    return Drawn(time, float(ends.std(ddof=1)) if len(draws) > 1 else 0.0)
