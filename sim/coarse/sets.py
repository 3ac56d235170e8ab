"""Which set of L2 each block of a tile uses: the one in which the memory plane keeps the bytes at its place.

Addresses step through the sets (`sim.memory.mapping`), and what a launch reads at one time lies as it happens: some
sets are asked for more than they hold while others keep all. A block at tile grain stands for as many bytes, some of
which lie elsewhere in its part of the tile: a place is drawn among them, the same one in every run.
"""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse.grid import Grid
from sim.coarse.places import Places, a_tile_of_each, places_of
from sim.coarse.slices import mixed, slice_numbers
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.units import Units
from sim.memory import params
from sim.memory.addresses import AddressMap
from sim.memory.granule import granule_bytes
from sim.memory.params import Param

Int64 = NDArray[np.int64]


def drawn_places(step: Step, units: Units, grid: Grid, cut: Cut, objects: Int64, parts: int) -> Places:
    """Where the `parts` blocks of each object lie, each somewhere in its part of the tile. objects: [T] number of the
    KV that each tile reads."""
    tiles = a_tile_of_each(grid, objects)
    within = np.random.default_rng(0).random((len(tiles), parts))
    return places_of(step, units, grid, cut, tiles, within)


def sets_of(address: Int64, sets: int, grid: Grid, hw: Hardware) -> Int64:
    """Of so many sets, all slices of a partition together, the one that an address uses."""
    v = params.build(hw, granule=granule_bytes(hw, grid.sample.fetches))
    block_shift, near = int(v[Param.BLOCK_SHIFT]), int(v[Param.SLICES_NEAR])
    block = address >> block_shift
    seen, own = int(v[Param.SLICES_SEEN]), int(v[Param.SETS])
    round_ = block // seen
    turn = round_ // own
    if v[Param.COPIES]:
        round_ = round_ + (turn << (own & 1))
    elif v[Param.HASH]:
        round_ = round_ + mixed(turn)
    further = block_shift - int(v[Param.GRANULE_SHIFT])
    granule = (address & ((1 << block_shift) - 1)) >> int(v[Param.GRANULE_SHIFT])
    in_slice = (round_ + granule * (own >> further)) % own
    number = slice_numbers(block, seen, hashed=bool(v[Param.HASH]))
    count = near if v[Param.COPIES] else seen
    place: Int64 = (in_slice * count + number % count) * sets // (own * count)
    return place


def block_sets(
    step: Step,
    units: Units,
    grid: Grid,
    cut: Cut,
    hw: Hardware,
    addresses: AddressMap,
    objects: Int64,
    parts: int,
    sets: int,
) -> Int64:
    """[objects x parts] set, of `sets` in the L2 of a partition, of each block of a launch's tiles."""
    places = drawn_places(step, units, grid, cut, objects, parts)
    return sets_of(places.addresses(step, addresses), sets, grid, hw).reshape(-1)
