"""Which part of a launch is simulated in detail.

Whole groups of splits from the beginning of the grid, so that CTAs that run side by side also run side by side in the
sample, and the last tiles of each, so that every slot of the machine works and what is sampled is what most of the
time goes to (a prefix that all share comes first, and costs little). Small launches run whole, and replays just past
what an LRU cache holds: what runs ahead of the rest finds all there and the rest nothing, so that hits hang on how far
SMs get ahead, and take them further. No sample shows that (up to 13% off), and the bytes are few.
"""

from dataclasses import replace

import numpy as np

from sim.coarse.estimate import Coarse, Problem
from sim.coarse.grid import Grid
from sim.coarse.hits import held, taken_in
from sim.config.hardware import Hardware
from sim.lowering.attention_tiles import tile_counts
from sim.lowering.cut import Cut
from sim.lowering.units import Units, take_units

BUDGET_TILES = 8000
BUDGET_CHUNKS = 330_000
"""Detail that a sample may cost: about a quarter of a second each on one core."""
COPIED = 1.8
"""Requests that a chunk counts for where partitions of L2 keep copies: half of all pass a second slice and the link
before it."""
SHARED_SM = 2.0
"""Tiles that one counts for where CTAs share an SM: each turn of its units is an event of the control plane, where a
CTA that has its SM alone works through its tiles in compiled code (100 to 140 us a tile beside 30 to 50, one host)."""
WHOLE = 2.0
"""A launch that would cost this many samples runs whole."""
LEAST_TILES = 6
"""Tiles of a CTA in the sample: enough to fill its buffers twice and come to rest."""
WAVES = 2
PAST_LRU = 1.5
"""Footprint over capacity up to which some SMs may get far enough ahead."""


def chunks_per_tile(grid: Grid, hw: Hardware) -> float:
    """Requests that one tile becomes: its bytes in pieces of a channel's interleave, at least one per run."""
    fetches = grid.sample.fetches
    runs = np.diff(fetches.run_ptr)[: grid.sample.tiles]
    size = np.maximum(1, grid.sample.work.packed_bytes)
    passed = COPIED if hw.l2.far_copies and hw.l2.partitions > 1 else 1.0
    return passed * float(np.maximum(runs, size / hw.hbm.interleave_bytes).mean())


def cost(tiles: int, chunks: float, ctas_per_sm: int) -> float:
    """Detailed work in samples: 1.0 is the budget."""
    turns = SHARED_SM if ctas_per_sm > 1 else 1.0
    return turns * tiles / BUDGET_TILES + tiles * chunks / BUDGET_CHUNKS


def plan_sample(units: Units, grid: Grid, cut: Cut, hw: Hardware) -> Units | None:
    """The sampled CTAs, shortened to their last tiles; None: the whole launch is simulated."""
    slots = hw.sm.count * cut.ctas_per_sm
    chunks = chunks_per_tile(grid, hw)
    whole = cost(grid.tiles, chunks, cut.ctas_per_sm)
    if whole <= WHOLE:
        return None
    affordable = int(grid.tiles / whole)
    ctas = min(grid.ctas, WAVES * slots, max(slots, affordable // LEAST_TILES))
    counts = tile_counts(units, cut)
    tiles = max(2, affordable // ctas)
    if tiles >= counts[:ctas].max():
        ctas = min(grid.ctas, max(ctas, int(affordable // max(1.0, counts[:ctas].mean()))))
    ctas = 1 + int(np.flatnonzero(units.group == units.group[ctas - 1])[-1])
    part = take_units(units, np.arange(ctas))
    left_out = np.maximum(0, counts[:ctas] - tiles) // cut.profile.block_tiles * cut.profile.block_tiles
    return replace(part, lo=part.lo + left_out * cut.tile_tokens)


def is_past_lru(problem: Problem, whole: Coarse) -> bool:
    """Whether the launch replays a footprint that an LRU L2 nearly holds."""
    if not problem.memory.warm or problem.hw.l2.replacement != "lru" or whole.reuse.cache is None:
        return False
    return 1 < taken_in(whole.grid, whole.reuse) / held(problem.hw) < PAST_LRU
