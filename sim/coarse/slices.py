"""How unevenly the lines of a tile lie on the slices of L2.

One server for all slices of a partition takes a tile at the rate of all of them. Readers in step ask for the same
lines: the slice that has most of a tile's bytes then serves all of them one after the other, while others have nothing
to do. A contiguous range loads all slices evenly but for one block; a tile is short for that, and has several ranges,
each of which begins at a slice of its own.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.grid import Grid
from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.lowering.runs import repeat_index
from sim.memory import params
from sim.memory.mapping import GOLDEN
from sim.memory.params import Param

Int64 = NDArray[np.int64]

PLACES = 8
"""Places in memory over which a tile's load of its fullest slice is averaged."""


def slice_numbers(block: Int64, count: int, *, hashed: bool) -> Int64:
    """Number of each block's slice, of so many, as `sim.memory.mapping` has it."""
    round_ = block // count
    at = block - round_ * count
    if hashed:
        folded = (round_ ^ (round_ >> 20)) & 0xFFFFFF
        at = (at + (((folded * GOLDEN) >> 12) & 0xFFFF)) % count
    return at


def fullest_shares(launch: Launch, hw: Hardware) -> NDArray[np.float64]:
    """[T] KV bytes of each tile on the slice of a partition that has most of them, over the mean of its slices."""
    v = params.build(hw)
    seen, shift = int(v[Param.SLICES_SEEN]), int(v[Param.BLOCK_SHIFT])
    near = int(v[Param.SLICES_NEAR]) if v[Param.COPIES] else seen
    fetches, tiles = launch.fetches, launch.tiles
    ptr = fetches.run_ptr[: tiles + 1]
    kv = np.ones(int(ptr[-1]), bool)
    rows = ptr[launch.ctas.tile_ptr[:-1]]
    kv[rows] = np.diff(ptr)[launch.ctas.tile_ptr[:-1]] == 1
    tile, _ = repeat_index(np.diff(ptr))
    start, size, tile = fetches.run_addr[: len(kv)][kv], fetches.run_bytes[: len(kv)][kv], tile[kv]
    first = start >> shift
    run, rank = repeat_index(((start + size - 1) >> shift) - first + 1)
    block = first[run] + rank
    held = np.minimum(start[run] + size[run], (block + 1) << shift) - np.maximum(start[run], block << shift)
    shares = np.zeros(tiles)
    for place in range(PLACES):
        number = slice_numbers(block + place * seen, seen, hashed=bool(v[Param.HASH])) % near
        load = np.bincount(tile[run] * near + number, held, minlength=tiles * near).reshape(tiles, near)
        shares += load.max(axis=1) / load.mean(axis=1) / PLACES
    return shares


def with_fullest_slices(grid: Grid, hw: Hardware) -> Grid:
    """The grid, whose tiles several CTAs read."""
    classes = grid.classes.copy()
    classes[: grid.sample.tiles, c.FULLEST] = np.rint(fullest_shares(grid.sample, hw) * ONE)
    return replace(grid, classes=classes)
