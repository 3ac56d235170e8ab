"""Which set of L2 each block of a tile uses: the one in which the memory plane keeps the bytes at its place.

Addresses step through the sets (`sim.memory.mapping`), and what a launch reads at one time lies as it happens: some
sets are asked for more than they hold while others keep all. A block at tile grain stands for as many bytes, some of
which lie elsewhere in its part of the tile: a place is drawn among them, the same one in every run.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse.grid import Grid
from sim.coarse.slices import slice_numbers
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.runs import repeat_index
from sim.lowering.units import Units
from sim.memory import params
from sim.memory.addresses import AddressMap
from sim.memory.granule import granule_bytes
from sim.memory.params import Param

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Of blocks, to be broadcast to [objects, parts]: sequence, KV head, token, and pool (0: K, 1: V)."""

    sequence: Int64
    head: Int64
    token: Int64
    pool: Int64

    def addresses(self, step: Step, addresses: AddressMap) -> Int64:
        """[objects, parts] address of each block's token."""
        frame = step.table[step.table_ptr[self.sequence] + self.token // step.page_tokens].astype(np.int64)
        fmt = addresses.frame_format[frame].astype(np.int64)
        pools = [[(part.base, part.token_bytes) for part in parts] for parts in addresses.parts]
        base = np.array([[part[min(i, len(part) - 1)] for i in (0, 1)] for part in pools], np.int64)
        of_part = base[fmt, np.broadcast_to(self.pool, fmt.shape)]
        return addresses.run_start(
            of_part[..., 0], of_part[..., 1], frame, self.head, self.token % step.page_tokens
        )


def places_of(step: Step, units: Units, grid: Grid, cut: Cut, objects: Int64, parts: int) -> Places:
    """Where the `parts` blocks of each object lie. objects: [T] number of the KV that each tile reads."""
    count = int(objects.max(initial=-1)) + 1
    cta, rank = repeat_index(np.diff(grid.tile_ptr))
    reader = np.zeros(count, np.int64)
    reader[objects] = np.arange(len(objects))
    of, rank = cta[reader], rank[reader]
    pools = 1 if step.geometry.latent or parts == 1 else 2
    each = -(-parts // pools)
    part = np.arange(parts)
    drawn = np.random.default_rng(0).random((count, parts))
    within = ((part % each + drawn) * cut.tile_tokens / each).astype(np.int64)
    token = (units.lo[of] + rank * cut.tile_tokens)[:, None] + within
    token = np.minimum(token, units.hi[of][:, None] - 1)
    return Places(units.sequence[of][:, None], units.head[of][:, None], token, part // each)


def sets_of(address: Int64, sets: int, grid: Grid, hw: Hardware) -> Int64:
    """Of so many sets, all slices of a partition together, the one that an address uses."""
    v = params.build(hw, granule=granule_bytes(hw, grid.sample.fetches))
    block_shift, near = int(v[Param.BLOCK_SHIFT]), int(v[Param.SLICES_NEAR])
    block = address >> block_shift
    turn = block // int(v[Param.SET_ROUND])
    own = int(v[Param.SETS])
    if v[Param.COPIES]:
        turn = turn + turn // own
    further = block_shift - int(v[Param.GRANULE_SHIFT])
    granule = (address & ((1 << block_shift) - 1)) >> int(v[Param.GRANULE_SHIFT])
    in_slice = (turn + granule * (own >> further)) % own
    seen = int(v[Param.SLICES_SEEN])
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
    places = places_of(step, units, grid, cut, objects, parts)
    return sets_of(places.addresses(step, addresses), sets, grid, hw).reshape(-1)
