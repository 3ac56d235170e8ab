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

from kernels_ref.trace import Step
from sim.coarse import columns as c
from sim.coarse.grid import Grid
from sim.coarse.places import a_tile_of_each, places_of
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.runs import pointer, repeat_index
from sim.lowering.units import Units
from sim.memory import params
from sim.memory.addresses import AddressMap
from sim.memory.mapping import GOLDEN
from sim.memory.params import Param

Int64 = NDArray[np.int64]

PLACES = 8
"""Places in memory at which the slices of a tile are listed: at each other hashes turn its rounds."""
MOST_LISTED = 1 << 18
"""Blocks of tiles that several CTAs read, up to which the place of each is looked up. Of more (long prompts, which
seldom wait for L2) tiles lie anywhere."""


def slice_numbers(block: Int64, count: int, *, hashed: bool) -> Int64:
    """Number of each block's slice, of so many, as `sim.memory.mapping` has it."""
    round_ = block // count
    at = block - round_ * count
    return (at + mixed(round_)) % count if hashed else at


def mixed(value: Int64) -> Int64:
    """`sim.memory.mapping.mix` of each."""
    folded = (value ^ (value >> 20)) & 0xFFFFFF
    return ((folded * GOLDEN) >> 12) & 0xFFFF


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
    shift = int(v[Param.BLOCK_SHIFT])
    start, size, tile = blocks_of(launch)
    first = start >> shift
    run, rank = repeat_index(((start + size - 1) >> shift) - first + 1)
    block = first[run] + rank
    further = np.arange(PLACES)[:, None] * int(v[Param.SLICES_SEEN])
    return pointer(np.bincount(tile[run], minlength=launch.tiles)), slices_near(block + further, hw)


def slices_near(block: Int64, hw: Hardware) -> Int64:
    """Slice of each block within its partition."""
    v = params.build(hw)
    seen = int(v[Param.SLICES_SEEN])
    near = int(v[Param.SLICES_NEAR]) if v[Param.COPIES] else seen
    return slice_numbers(block, seen, hashed=bool(v[Param.HASH])) % near


def _by_turns(block: Int64, pools: int) -> Int64:
    """[O, blocks] with a block of V after one of K: those at the beginning of a tile come first, however much of it a
    CTA reads."""
    count, blocks = block.shape
    return block.reshape(count, pools, blocks // pools).swapaxes(1, 2).reshape(count, blocks)


def with_slices(
    step: Step, units: Units, grid: Grid, cut: Cut, addresses: AddressMap, objects: Int64, hw: Hardware
) -> Grid:
    """The grid, some of whose tiles several CTAs read. objects: [T] number of the KV that each tile reads."""
    ptr, numbers = tile_slices(grid.sample, hw)
    classes = grid.classes.copy()
    classes[: grid.sample.tiles, c.FIRST_BLOCK], classes[: grid.sample.tiles, c.BLOCKS] = (
        ptr[:-1],
        np.diff(ptr),
    )
    pools = 1 if step.geometry.latent else 2
    blocks = pools * -(-int(np.diff(ptr).max()) // pools)
    met = np.flatnonzero(np.bincount(objects) > 1)
    if len(met) * blocks > MOST_LISTED:
        met = met[:0]
    places = places_of(
        step, units, grid, cut, a_tile_of_each(grid, objects)[met], np.zeros((len(met), blocks))
    )
    block = places.addresses(step, addresses) >> int(params.build(hw)[Param.BLOCK_SHIFT])
    known = slices_near(_by_turns(block, pools), hw)
    first = np.full(int(objects.max()) + 1, -1, np.int64)
    first[met] = numbers.size + np.arange(len(met)) * blocks
    return replace(
        grid,
        classes=classes,
        listed=numbers.shape[1],
        slices=np.concatenate([numbers.reshape(-1), known.reshape(-1)]),
        slices_of=first,
    )
