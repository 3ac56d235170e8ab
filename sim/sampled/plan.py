"""Which part of a launch is simulated in detail.

Whole groups of splits from the beginning of the grid, so that CTAs that run side by side also run side by side in the
sample, and the last tiles of each, so that every slot of the machine works and what is sampled is what most of the
time goes to (a prefix that all share comes first, and costs little). Small launches run whole, and replays just past
what an LRU cache holds: what runs ahead of the rest finds all there and the rest nothing, so that hits hang on how far
SMs get ahead, and take them further. No sample shows that (up to 13% off), and the bytes are few.
"""

from dataclasses import dataclass, replace

import numpy as np

from sim.coarse.estimate import Coarse, Problem
from sim.coarse.grid import Grid
from sim.coarse.hits import held, taken_in
from sim.config.hardware import Hardware
from sim.lowering.attention_tiles import tile_counts
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.units import Units, take_units

BUDGET_US = 180_000
"""What the detail of a sample may take on one quick core; so much again for all around it leaves a run below 0.5 s."""
CHUNK_US, COPY_US, CHECK_US = 0.35, 0.3, 0.5
"""Of a request; what it takes longer where partitions of L2 keep copies, as half of all pass a second slice and the
link before it; and where memory keeps check bits inline."""
ALONE_US, SHARED_US = (7.0, 60.0), (32.0, 190.0)
"""Of a tile and of a CTA, where one of one stream has its SM alone and works through its tiles in compiled code, and
where each turn of the SM's units is an event of the control plane (fitted to 87 runs of random points)."""
WHOLE = 1.75
"""A launch that would cost this many samples runs whole."""
LEAST_TILES = 6
"""Tiles of a CTA in the sample: enough to fill its buffers twice and come to rest."""
FEWEST_TILES = 2
"""Of a CTA in the sample, whatever that costs."""
WAVES = 2
PAST_LRU = 1.5
"""Footprint over capacity up to which some SMs may get far enough ahead."""


@dataclass(frozen=True)
class Cost:
    """Microseconds of a launch in detail: of each tile with its requests, and of each CTA."""

    tile: float
    cta: float

    def of(self, ctas: float, tiles: float) -> float:
        return ctas * self.cta + tiles * self.tile

    def tiles(self, ctas: int) -> int:
        """As many as a sample of so many CTAs may have."""
        return max(0, int((BUDGET_US - ctas * self.cta) / self.tile))


def detail_cost(grid: Grid, hw: Hardware) -> Cost:
    """Of the tiles and CTAs of a launch."""
    launch = grid.sample
    tile, cta = ALONE_US if launch.ctas_per_sm == launch.streams == 1 else SHARED_US
    chunk = CHUNK_US
    if hw.l2.far_copies and hw.l2.partitions > 1:
        chunk += COPY_US
    if hw.hbm.inline_ecc_bytes:
        chunk += CHECK_US
    return Cost(tile + chunk * chunks_per_tile(launch, hw), cta)


def chunks_per_tile(launch: Launch, hw: Hardware) -> float:
    """Requests that one tile becomes: its bytes in pieces of a channel's interleave, at least one per run."""
    runs = np.diff(launch.fetches.run_ptr)[: launch.tiles]
    size = np.maximum(1, launch.work.packed_bytes)
    return float(np.maximum(runs, size / hw.hbm.interleave_bytes).mean())


def plan_sample(units: Units, grid: Grid, cut: Cut, hw: Hardware) -> Units | None:
    """The sampled CTAs, shortened to their last tiles; None: the whole launch is simulated."""
    slots = hw.sm.count * cut.ctas_per_sm
    cost = detail_cost(grid, hw)
    if cost.of(grid.ctas, grid.tiles) <= WHOLE * BUDGET_US:
        return None
    ctas = min(grid.ctas, WAVES * slots, max(slots, int(BUDGET_US / cost.of(1, LEAST_TILES))))
    counts = tile_counts(units, cut)
    affordable = cost.tiles(ctas)
    tiles = max(FEWEST_TILES, affordable // ctas)
    if tiles >= counts[:ctas].max():
        ctas = min(grid.ctas, max(ctas, int(BUDGET_US / cost.of(1, max(1.0, counts[:ctas].mean())))))
    ctas = 1 + int(np.flatnonzero(units.group == units.group[ctas - 1])[-1])
    part = take_units(units, np.arange(ctas))
    left_out = np.maximum(0, counts[:ctas] - tiles) // cut.profile.block_tiles * cut.profile.block_tiles
    return replace(part, lo=part.lo + left_out * cut.tile_tokens)


def is_past_lru(problem: Problem, whole: Coarse) -> bool:
    """Whether the launch replays a footprint that an LRU L2 nearly holds."""
    if not problem.memory.warm or problem.hw.l2.replacement != "lru" or whole.reuse.cache is None:
        return False
    return 1 < taken_in(whole.grid, whole.reuse) / held(problem.hw) < PAST_LRU
