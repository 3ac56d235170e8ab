"""What a sample cannot tell, as a standard deviation of the time: it widens the stated interval.

Four things. How the tiles of this launch happen to meet, which is the scatter of draws at tile grain. What is of a
kind that the sample has none of: tiles that are found in L2 though the launch starts cold (a shared prefix comes first,
the sample has the last tiles). A replay past an LRU cache, where what runs ahead of the rest finds all and the rest
nothing: hits then hang on how far SMs get ahead, and take them further. And a long tail, in which some SMs run on
alone: when it begins hangs on which places come free first (partitions of L2 may run apart, the faster one takes what
is left).
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.estimate import Coarse, Problem
from sim.coarse.grid import Grid
from sim.coarse.hits import held, taken_in
from sim.coarse.shares import ONE
from sim.sampled.draws import Drawn
from sim.sampled.extrapolate import LONG_TAIL

UNSEEN_ERROR = 0.05
"""Of the time of tiles of a kind that the sample has none of (points with shared prefixes of all grids of
benchmarks/bench_sampled.py, up to 5% of the whole where half of it was such)."""
PAST_LRU_ERROR = 0.03
"""Of the time of a replay past an LRU cache (same grids: -7 to +3%)."""
TAIL_ERROR = 0.12
"""Of the time in which some SMs run on alone, where that is long (13 points of all grids: up to 0.27, half below
0.05)."""
PAST_LRU = 1.5
"""Footprint over capacity up to which some SMs may get far enough ahead."""


def found_share(grid: Grid, hits: NDArray[np.int64]) -> float:
    """Part of the KV bytes that L2 has. hits: [T] shares in 1/65536."""
    size = grid.tile_bytes
    return float((size * (hits / ONE)).sum() / size.sum())


def is_past_lru(problem: Problem, whole: Coarse) -> bool:
    """Whether the launch replays a footprint that an LRU L2 nearly holds."""
    if not problem.memory.warm or problem.hw.l2.replacement != "lru" or whole.reuse.cache is None:
        return False
    return 1 < taken_in(whole.grid, whole.reuse) / held(problem.hw) < PAST_LRU


def chance_ps(problem: Problem, whole: Coarse, drawn: Drawn, unseen: float, tail: float = 0.0) -> float:
    """Standard deviation of the launch's time. unseen: part of its bytes whose like the sample does not have; tail:
    part of the time in which some SMs run on alone."""
    end = drawn.time.end_ps
    past_lru = PAST_LRU_ERROR * end if is_past_lru(problem, whole) else 0.0
    alone = TAIL_ERROR * tail * end if tail > LONG_TAIL else 0.0
    return float(np.linalg.norm([drawn.scatter_ps, UNSEEN_ERROR * unseen * end, past_lru, alone]))
