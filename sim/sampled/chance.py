"""What a sample cannot tell, as a standard deviation of the time: it widens the stated interval.

Three things. How the tiles of this launch happen to meet, which is the scatter of draws at tile grain. What is of a
kind that the sample has none of: tiles that are found in L2 though the launch starts cold (a shared prefix comes first,
the sample has the last tiles); where CTAs look pages up as they copy, all such tiles, as their readers stay in line at
the same slices of L2, and look-ups with them, for longer than tile grain has it. And a long tail, in which some SMs run
on alone: when it begins hangs on which places come free first (partitions of L2 may run apart, the faster one takes
what is left).
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.grid import Grid
from sim.coarse.shares import ONE
from sim.sampled.draws import Drawn
from sim.sampled.extrapolate import LONG_TAIL

UNSEEN_ERROR = 0.05
"""Of the time of tiles of a kind that the sample has none of (points with shared prefixes of all grids of
benchmarks/bench_sampled.py, up to 5% of the whole where half of it was such; 7% where CTAs look pages up)."""
TAIL_ERROR = 0.12
"""Of the time in which some SMs run on alone, where that is long (13 points of all grids: up to 0.27, half below
0.05)."""


def found_share(grid: Grid, hits: NDArray[np.int64]) -> float:
    """Part of the KV bytes that L2 has. hits: [T] shares in 1/65536."""
    size = grid.tile_bytes
    return float((size * (hits / ONE)).sum() / size.sum())


def chance_ps(drawn: Drawn, unseen: float, tail: float = 0.0) -> float:
    """Standard deviation of the launch's time. unseen: part of its bytes whose like the sample does not have; tail:
    part of the time in which some SMs run on alone."""
    end = drawn.time.end_ps
    alone = TAIL_ERROR * tail * end if tail > LONG_TAIL else 0.0
    return float(np.linalg.norm([drawn.scatter_ps, UNSEEN_ERROR * unseen * end, alone]))
