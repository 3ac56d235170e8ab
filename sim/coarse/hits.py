"""Shares of each tile that a launch finds in L2, from a functional walk at tile grain."""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse import tags
from sim.coarse.grid import Grid
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.runs import repeat_index
from sim.lowering.units import Units

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
MIB = 2**20


def canonical_tiles(step: Step, tile_tokens: int) -> tuple[Int64, Int64]:
    """([S + 1] pointer, [sum] number of the content) of the tiles of each sequence: equal frames, equal content."""
    counts = -(-step.context.astype(np.int64) // tile_tokens)
    ptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ptr[1:])
    sequence, rank = repeat_index(counts)
    token = rank * tile_tokens
    frame = step.table[step.table_ptr[sequence] + token // step.page_tokens].astype(np.int64)
    offset = token % step.page_tokens // tile_tokens
    key = frame * max(1, -(-step.page_tokens // tile_tokens)) + offset
    _, number = np.unique(key, return_inverse=True)
    return ptr, number.reshape(-1).astype(np.int64)


def tile_objects(step: Step, units: Units, grid: Grid, cut: Cut) -> Int64:
    """[T] number of the KV that each tile reads: equal for tiles of the same frames and head."""
    ptr, number = canonical_tiles(step, cut.tile_tokens)
    counts = np.diff(grid.tile_ptr)
    cta, rank = repeat_index(counts)
    token = units.lo[cta] + rank * cut.tile_tokens
    tile = ptr[units.sequence[cta]] + token // cut.tile_tokens
    groups = step.geometry.kv_heads // cut.kv_heads_per_cta
    objects: Int64 = number[tile] * groups + units.head[cta] // cut.kv_heads_per_cta
    return objects


def _is_read_once(objects: Int64) -> bool:
    return len(objects) == 0 or len(np.unique(objects)) == len(objects)


def tile_hits(
    step: Step, units: Units, grid: Grid, cut: Cut, hw: Hardware, *, warm: bool
) -> tuple[Int32, Int32]:
    """[T] shares found in L2, and in L2 or the last-level cache, in 1/65536."""
    none = np.zeros(grid.tiles, np.int32)
    objects = tile_objects(step, units, grid, cut)
    if not warm and _is_read_once(objects):
        return none, none
    size = int(grid.tile_bytes().max(initial=1))
    parts = max(1, -(-size // tags.BLOCK_BYTES))
    block = size / parts
    usable = hw.l2.capacity_mib * MIB * hw.l2.effective_fraction
    partitions = hw.l2.partitions if hw.l2.private else 1
    first = np.tile(np.array([max(1, int(usable / partitions / block)), hw.sm.count], np.int64), (partitions, 1))
    last = int(hw.llc.capacity_mib * MIB / block) if hw.llc else 0
    return tags.walk(
        grid.tile_ptr,
        objects,
        parts,
        hw.sm.count * cut.ctas_per_sm,
        2 if warm else 1,
        first,
        last,
        hw.l2.replacement == "lru",
        int(objects.max()) + 1,
    )
