"""What KV each tile of a launch reads, and what of it is read by others too.

Tiles of one content are one object of L2. A tile in which a shared prefix ends is an object of its own, since what
comes behind the prefix is nobody else's; the part before is found, unless its sequence is the first to read it there.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse import columns as c
from sim.coarse.grid import Grid
from sim.coarse.shares import ONE
from sim.lowering.cut import Cut
from sim.lowering.runs import pointer, repeat_index
from sim.lowering.units import Units
from sim.memory.regions import shared_frames

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """Tiles of each sequence from its start on, [S + 1] by ptr. number: [K] of the content, equal for equal frames;
    foreign: [K] share of its tokens that sequences before have brought, where they part within a tile, in 1/65536."""

    ptr: Int64
    number: Int64
    foreign: Int64

    def at(self, sequence: Int64, rank: Int64) -> Int64:
        """Index of a sequence's tile of some rank; of the next sequence where it has no more."""
        index: Int64 = np.minimum(self.ptr[sequence] + rank, len(self.number) - 1)
        return index


def contents_of(step: Step, tile_tokens: int) -> Contents:
    """A page is in tables at one position, behind equal ones: tiles whose last pages are one are equal."""
    page, context = step.page_tokens, step.context.astype(np.int64)
    ptr = pointer(-(-context // tile_tokens))
    sequence, rank = repeat_index(np.diff(ptr))
    begin = rank * tile_tokens
    end = np.minimum(begin + tile_tokens, context[sequence])
    row = step.table_ptr[sequence].astype(np.int64)
    most = page // tile_tokens + 2
    last = step.table[row + (end - 1) // page].astype(np.int64)
    number = np.unique(last * most + rank % most, return_inverse=True)[1].reshape(-1).astype(np.int64)
    is_shared = shared_frames(step)[step.table].astype(np.int64)
    if not is_shared.any():
        return Contents(ptr, number, np.zeros(len(rank), np.int64))
    before = np.append(0, np.cumsum(is_shared)) * page

    def until(token: Int64) -> Int64:
        at = row + token // page
        further = np.where(token % page > 0, is_shared[np.minimum(at, len(is_shared) - 1)], 0)
        counted: Int64 = before[at] + token % page * further
        return counted

    shared = until(end) - until(begin)
    ends_here = np.flatnonzero((shared > 0) & (shared < end - begin))
    brought = step.table[(row + (begin + shared - 1) // page)[ends_here]]
    later = np.delete(ends_here, np.unique(brought, return_index=True)[1])
    foreign = np.zeros(len(rank), np.int64)
    foreign[later] = ONE * shared[later] // (end - begin)[later]
    return Contents(ptr, number, foreign)


def own_tiles(step: Step, units: Units, cta: Int64, token: Int64) -> Int64:
    """[T] number of the KV of tiles of CTAs `cta` that start at `token`, where no page is in two sequences."""
    start = step.table_ptr[units.sequence[cta]].astype(np.int64) * step.page_tokens + token
    number: Int64 = np.unique(start, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return number


@dataclass(frozen=True)
class Read:
    """[T] of what each tile reads: number of its KV, equal for equal frames of one head; share that others bring, in
    1/65536."""

    objects: Int64
    foreign: Int64


def tile_contents(step: Step, units: Units, grid: Grid, cut: Cut) -> Read:
    """What the tiles of a launch read.

    Splits may begin within a tile of those before. Where sequences share pages, what starts in the same tile counts as
    the same then, as splits of sequences of other lengths begin elsewhere in what they share.
    """
    cta, rank = repeat_index(np.diff(grid.tile_ptr))
    token = units.lo[cta] + rank * cut.tile_tokens
    if (units.lo % cut.tile_tokens).any() and not shared_frames(step).any():
        number, foreign = own_tiles(step, units, cta, token), np.zeros(grid.tiles, np.int64)
    else:
        contents = contents_of(step, cut.tile_tokens)
        tile = contents.at(units.sequence[cta], token // cut.tile_tokens)
        number, foreign = contents.number[tile], contents.foreign[tile]
    groups = step.geometry.kv_heads // cut.kv_heads_per_cta
    objects: Int64 = number * groups + units.head[cta] // cut.kv_heads_per_cta
    return Read(objects * 2 + units.half[cta] if cut.profile.cta_pairs else objects, foreign)


def with_foreign(step: Step, units: Units, cut: Cut, grid: Grid, foreign: Int64) -> Grid:
    """The grid, whose tiles are found as far as others bring them. foreign: [T] of `tile_contents`."""
    grid = _with_next_sequences(step, units, cut, grid)
    met = np.flatnonzero(foreign)
    if len(met) == 0:
        return grid
    kinds, kind = np.unique(
        np.stack([grid.tile_class[met], foreign[met]], axis=1), axis=0, return_inverse=True
    )
    further = grid.classes[kinds[:, 0]]
    further[:, c.FOREIGN] += kinds[:, 1] * (ONE - further[:, c.FOREIGN]) // ONE
    tile_class = grid.tile_class.copy()
    tile_class[met] = len(grid.classes) + kind.reshape(-1)
    return replace(grid, classes=np.concatenate([grid.classes, further]), tile_class=tile_class)


def _with_next_sequences(step: Step, units: Units, cut: Cut, grid: Grid) -> Grid:
    """Tiles at the end of a sequence hold pages of the next one, where the kernel loads tiles whole: who reads those
    pages as its own brings them, at about the same time, unless all CTAs begin further on."""
    if cut.profile.last_block != "whole" or len(step.formats) > 1 or (units.lo > 0).all():
        return grid
    work, page = grid.sample.work, step.page_tokens
    own = -(-(work.token_first + work.tokens) // page) * page - work.token_first
    classes = grid.classes.copy()
    classes[:, c.FOREIGN] = np.rint(ONE * np.maximum(0, 1 - own / cut.tile_tokens))
    return replace(grid, classes=classes)
