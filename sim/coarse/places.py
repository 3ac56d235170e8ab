"""Where the KV of tiles lies in memory: addresses of the parts of what they read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse.grid import Grid
from sim.lowering.cut import Cut
from sim.lowering.runs import repeat_index
from sim.lowering.units import Units
from sim.memory.addresses import AddressMap

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


def places_of(
    step: Step, units: Units, grid: Grid, cut: Cut, tiles: Int64, within: NDArray[np.float64]
) -> Places:
    """Where the parts of what some tiles read lie, K before V. tiles: [O] numbers of the tiles; within: [O, parts]
    place in each part, from 0 to 1."""
    parts = within.shape[1]
    cta, rank = repeat_index(np.diff(grid.tile_ptr))
    of, rank = cta[tiles], rank[tiles]
    pools = 1 if step.geometry.latent or parts == 1 else 2
    each = -(-parts // pools)
    part = np.arange(parts)
    further = ((part % each + within) * cut.tile_tokens / each).astype(np.int64)
    token = (units.lo[of] + rank * cut.tile_tokens)[:, None] + further
    token = np.minimum(token, units.hi[of][:, None] - 1)
    return Places(units.sequence[of][:, None], units.head[of][:, None], token, part // each)


def a_tile_of_each(grid: Grid, objects: Int64) -> Int64:
    """[O] a tile that reads most of each object: at the end of what it may see, a CTA reads the beginning of one.
    objects: [T] number of the KV that each tile reads."""
    tile = np.zeros(int(objects.max(initial=-1)) + 1, np.int64)
    by_size = np.argsort(grid.tile_bytes, kind="stable")
    tile[objects[by_size]] = by_size
    return tile
