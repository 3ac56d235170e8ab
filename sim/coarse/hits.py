"""What the tiles of a launch find in L2, from functional look-ups at tile grain."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse import columns as c
from sim.coarse import tags
from sim.coarse.grid import Grid
from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.runs import repeat_index, table_entries
from sim.lowering.units import Units
from sim.memory.params import KEEP_CODE, REPLACEMENT_CODE, pin_ways
from sim.memory.regions import shared_frames

Int64 = NDArray[np.int64]
Lie = Callable[[int, int], Int64]
MIB = 2**20
NOTHING_LEFT = 5
"""Caches over: a replay of so large a footprint finds less than 1% (random replacement keeps a share h with
h = exp(-(1 - h) F / C); LRU and NRU keep less), and is not walked."""


SETS_AS_ONE = 2
"""Blocks are larger than what the plane has a tag for, and fall less evenly on sets: sets taken together make up for
that. With many, no set finds anything by chance (replays of 1.1 to 2 times L2 on all machines: alike with 1, 2 and 4,
but for one of RTX PRO 6000 at 1.1, which is 14% too fast with 1, 3% too slow with 2 and 9% with 4)."""


@dataclass(frozen=True)
class Reuse:
    """objects: [T] number of the KV that each tile reads; cache: where they are looked up, as the launch finds it.

    Without a cache `hits` says what they find: [T] shares in 1/65536; query_hits: [Q] what the first readers of query
    rows do, none: nothing.
    """

    objects: Int64
    hits: Int64
    cache: tags.Cache | None = None
    query_hits: Int64 | None = None


def nothing_found(tiles: int) -> Reuse:
    """Of tiles that are all different and in no cache."""
    return Reuse(np.arange(tiles), np.zeros(tiles, np.int64))


def object_policies(step: Step, units: Units, grid: Grid, cut: Cut, hw: Hardware, objects: Int64) -> Int64:
    """[O] how the L2 keeps each object: by the class of its first page."""
    policies = np.full(int(objects.max(initial=-1)) + 1, tags.NORMAL, np.int64)
    keep = hw.l2.residency
    if not keep.is_plain:
        cta, rank = repeat_index(np.diff(grid.tile_ptr))
        page = (units.lo[cta] + rank * cut.tile_tokens) // step.page_tokens
        frame = table_entries(step, units.sequence[cta], page)
        codes = np.array([KEEP_CODE[keep.streaming], KEEP_CODE[keep.shared_prefix]], np.int64)
        policies[objects] = codes[shared_frames(step)[frame].astype(np.int64)]
    return policies


def is_read_once(objects: Int64) -> bool:
    """Whether no two tiles read the same KV."""
    return len(objects) == 0 or bool(np.bincount(objects).max() <= 1)


def _cached_bytes(hw: Hardware) -> float:
    return (hw.l2.capacity_mib * hw.l2.effective_fraction + (hw.llc.capacity_mib if hw.llc else 0)) * MIB


def _is_large(grid: Grid, hw: Hardware) -> bool:
    return int(grid.tile_bytes.sum()) > NOTHING_LEFT * _cached_bytes(hw)


def different(objects: Int64) -> int:
    """How many of these numbers there are."""
    return int(np.count_nonzero(np.bincount(objects)))


def taken_in(grid: Grid, reuse: Reuse) -> int:
    """Bytes that the caches take in over the launch, if everything is fetched once."""
    size = grid.tile_bytes
    if reuse.cache is None:
        missing = float((size * (1 - reuse.hits / ONE)).sum())
    else:
        missing = float(size.mean()) * different(reuse.objects)
    return round(missing + query_missing(grid, reuse.query_hits)) + int(grid.output_ptr[-1])


def query_missing(grid: Grid, hits: Int64 | None) -> float:
    """Bytes of query rows that come from memory. hits: [Q] share that their first readers find, none: nothing."""
    size = np.diff(grid.query_ptr)
    return float(size.sum() if hits is None else (size * (1 - hits / ONE)).sum())


def held(hw: Hardware) -> int:
    """Bytes that the caches hold: of what all partitions read, some twice."""
    groups = hw.l2.partitions if hw.l2.far_copies else 1
    return round(_cached_bytes(hw) / (2 - 1 / groups))


def first_found(grid: Grid, reuse: Reuse, slots: int) -> float:
    """Share in L2, before a launch starts, of the first tiles of the CTAs that start at once. Of all that an identical
    launch before has read, they are as old as its code: what is left of them tells what is left of that."""
    return float(found_of(grid, reuse, np.asarray(grid.order[:slots], np.int64)).mean())


def found_of(grid: Grid, reuse: Reuse, ctas: Int64) -> NDArray[np.float64]:
    """[ctas] share in L2, before a launch starts, of the first tile of each of some CTAs, in the order of starts."""
    first = grid.tile_ptr[ctas]
    if reuse.cache is None:
        return reuse.hits[first] / ONE
    p = reuse.cache.p
    group = np.arange(len(ctas)) % p[tags.SMS] % p[tags.GROUPS]
    blocks = reuse.objects[first][:, None] * p[tags.PARTS] + np.arange(p[tags.PARTS])
    there = np.isin(blocks, reuse.cache.last_tags)
    places = len(reuse.cache.stamps)
    for number, own in enumerate(reuse.cache.tags[:places].reshape(p[tags.GROUPS], -1)):
        asked = (group == number)[:, None]
        if p[tags.COPIES]:
            asked = asked | (blocks % p[tags.GROUPS] == number)
        there |= asked & np.isin(blocks, own)
    found: NDArray[np.float64] = there.mean(axis=1)
    return found


def _sets(capacity_bytes: float, ways: int, block: float) -> int:
    return max(1, round(capacity_bytes / (ways * block)))


def _scalars(hw: Hardware, size: int, slots: int, objects: int) -> Int64:
    """Scalars of a cache for `objects` tiles of `size` bytes."""
    l2, parts = hw.l2, max(1, -(-size // tags.BLOCK_BYTES))
    block = size / parts
    copies = l2.far_copies and l2.partitions > 1
    groups = l2.partitions if l2.private or copies else 1
    usable = l2.capacity_mib * MIB * l2.effective_fraction / groups
    p = np.zeros(tags.SCALARS, np.int64)
    p[tags.SLOTS], p[tags.SMS], p[tags.OBJECTS] = slots, hw.sm.count, objects
    p[tags.PARTS], p[tags.GROUPS], p[tags.COPIES] = parts, groups, int(copies)
    p[tags.BLOCK] = max(1, round(block))
    p[tags.WAYS] = SETS_AS_ONE * l2.ways
    p[tags.SETS] = _sets(usable, int(p[tags.WAYS]), block)
    if hw.llc is not None:
        p[tags.LAST_SETS], p[tags.LAST_WAYS] = (
            _sets(hw.llc.capacity_mib * MIB, hw.llc.ways, block),
            hw.llc.ways,
        )
    p[tags.POLICY] = REPLACEMENT_CODE[l2.replacement]
    p[tags.KEEPS], p[tags.PIN_WAYS] = int(not l2.residency.is_plain), SETS_AS_ONE * pin_ways(l2)
    return p


def _blocks(grid: Grid, objects: Int64, foreign: Int64, p: Int64) -> Int64:
    """[O] blocks of each object."""
    own = grid.tile_bytes * (1 - foreign / ONE)
    count = np.ones(int(p[tags.OBJECTS]), np.int64)
    parts = np.ceil(own / (grid.tile_bytes.max(initial=1) / p[tags.PARTS]) - 1e-6).astype(np.int64)
    count[objects] = parts
    return count


def tile_reuse(
    objects: Int64, policies: Int64, grid: Grid, cut: Cut, hw: Hardware, lie: Lie, *, warm: bool
) -> Reuse:
    """What a launch finds in L2, or in the last-level cache behind it. objects, policies: as of `tile_contents` and
    `object_policies`; lie: as of `block_sets`, for so many parts and sets."""
    foreign = grid.classes[:, c.FOREIGN].take(grid.tile_class)
    nothing_left = hw.l2.residency.is_plain and _is_large(grid, hw)
    if is_read_once(objects) and (not warm or nothing_left):
        return Reuse(objects, foreign)
    size = int(grid.tile_bytes.max(initial=1))
    p = _scalars(hw, size, hw.sm.count * cut.ctas_per_sm, int(objects.max()) + 1)
    cache = tags.new_cache(
        p, policies, lie(int(p[tags.PARTS]), int(p[tags.SETS])), _blocks(grid, objects, foreign, p)
    )
    if warm:
        order = np.asarray(grid.order, np.int64)
        tags.walk(cache, grid.tile_ptr, order, objects, grid.output_ptr, grid.query, grid.query_ptr)
    return Reuse(objects, np.zeros(grid.tiles, np.int64), cache)
