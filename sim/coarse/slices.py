"""On which slices of L2 the blocks of a tile lie.

One server for all slices of a partition takes a tile at the rate of all of them. Readers in step ask for the same
lines: the slices that have most of a tile's bytes then serve all of them one after the other, while others have nothing
to do, and what else passes those slices waits behind them. A contiguous range loads all slices evenly but for one
block; a tile is short for that, and has several ranges, each of which begins at a slice of its own. So where tiles are
read more than once, each block is taken through its slice. Tiles of a class lie like the one that was lowered, further
on in memory.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.grid import Grid
from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.lowering.runs import pointer, repeat_index
from sim.memory import params
from sim.memory.mapping import GOLDEN
from sim.memory.params import Param

Int64 = NDArray[np.int64]

PLACES = 8
"""Places in memory at which the slices of a tile are listed: the rounds of a tile are turned by other hashes at each."""


def slice_numbers(block: Int64, count: int, *, hashed: bool) -> Int64:
    """Number of each block's slice, of so many, as `sim.memory.mapping` has it."""
    round_ = block // count
    at = block - round_ * count
    if hashed:
        folded = (round_ ^ (round_ >> 20)) & 0xFFFFFF
        at = (at + (((folded * GOLDEN) >> 12) & 0xFFFF)) % count
    return at


def blocks_of(launch: Launch) -> tuple[Int64, Int64, Int64]:
    """(address, bytes, tile) of each run of KV: what a CTA's first tile reads before that are its query rows."""
    fetches = launch.fetches
    ptr = fetches.run_ptr[: launch.tiles + 1]
    counts = np.diff(ptr)
    first = launch.ctas.tile_ptr[:-1]
    kv = np.ones(int(ptr[-1]), bool)
    kv[ptr[first]] = counts[first] == 1
    tile, _ = repeat_index(counts)
    return fetches.run_addr[: len(kv)][kv], fetches.run_bytes[: len(kv)][kv].astype(np.int64), tile[kv]


def tile_slices(launch: Launch, hw: Hardware) -> tuple[Int64, Int64]:
    """([T + 1] pointer, [PLACES, blocks] slice within its partition) of the blocks of each tile, in order."""
    v = params.build(hw)
    seen, shift = int(v[Param.SLICES_SEEN]), int(v[Param.BLOCK_SHIFT])
    near = int(v[Param.SLICES_NEAR]) if v[Param.COPIES] else seen
    start, size, tile = blocks_of(launch)
    first = start >> shift
    run, rank = repeat_index(((start + size - 1) >> shift) - first + 1)
    block = first[run] + rank
    further = np.arange(PLACES)[:, None] * seen
    numbers = slice_numbers(block + further, seen, hashed=bool(v[Param.HASH])) % near
    return pointer(np.bincount(tile[run], minlength=launch.tiles)), numbers


def with_slices(grid: Grid, hw: Hardware) -> Grid:
    """The grid, whose tiles several CTAs read."""
    ptr, numbers = tile_slices(grid.sample, hw)
    classes = grid.classes.copy()
    classes[: grid.sample.tiles, c.FIRST_BLOCK], classes[: grid.sample.tiles, c.BLOCKS] = ptr[:-1], np.diff(ptr)
    return replace(grid, classes=classes, slices=numbers)
