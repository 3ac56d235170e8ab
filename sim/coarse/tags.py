"""Functional look-ups in the cache at tile grain: which share of a tile is found in L2, whatever is timed.

A tile is cut into equal blocks of about BLOCK_BYTES. Sets, ways and replacement are those of the chip's L2, with blocks
in place of lines. The loop looks tiles up as it sends them; a warm launch finds what an identical one before it left,
whose tiles were looked up in the order in which CTAs take turns (breadth first over the slots, wave after wave). Where
the L2 keeps classes of data apart, tiles do what `sim.memory.residency` says of tags.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import compiled, entry, inlined
from sim.coarse.shares import ONE
from sim.memory.bits import TOGETHER, equal, trailing_zeros
from sim.memory.params import KEEP_CODE
from sim.memory.pointer import cells

Int64 = NDArray[np.int64]

BLOCK_BYTES = 8192
MULTIPLIER, MODULUS = 48271, 2**31 - 1
"""The minimal standard generator (Park, Miller and Stockmeyer, CACM 36, 1993): draws victims, the same in every run."""
LRU, RANDOM, NRU = range(3)
EMPTY = -1
WAY_BITS = 16
"""More than the number of a place in its set has."""
NORMAL, PIN, BYPASS = (KEEP_CODE[name] for name in ("normal", "pin", "bypass"))

# Scalars. GROUPS: of SMs with an L2 of their own; COPIES: one keeps copies of what others are home to; OBJECTS: how
# many different tiles there are, each of PARTS blocks of BLOCK bytes; the blocks of the output follow theirs, and those
# of the query rows come last. KEEPS: classes of data are kept apart; PIN_WAYS: blocks of a set that may be pinned.
SLOTS, SMS, PARTS, GROUPS, COPIES, SETS, WAYS, LAST_SETS, LAST_WAYS, POLICY, OBJECTS, BLOCK = range(12)
KEEPS, PIN_WAYS = range(12, 14)
SCALARS = 14
# Cells of the clock: look-ups, random state, blocks that the last-level cache took in; then those of each group.
C_USES, C_RANDOM, C_LAST, C_TAKEN = range(4)


class Cache(NamedTuple):
    """p: [SCALARS]; tags, stamps: [groups x sets x ways] and of the last-level cache, tags with TOGETHER empty cells
    behind them, since so many are compared at once; clock: [C_TAKEN + groups];
    sets: [objects x parts] the set of each block in any L2; counts: [objects] blocks of each, up to parts;
    complete: [groups x objects] 1 + what the group had taken in when it last held all of an object; keep:
    [objects] how the L2 keeps each object (NORMAL, PIN, BYPASS); marks: [groups x sets x ways] how it keeps a place."""

    p: Int64
    tags: Int64
    stamps: Int64
    last_tags: Int64
    last_stamps: Int64
    clock: Int64
    sets: Int64
    counts: Int64
    complete: Int64
    keep: Int64
    marks: Int64


def new_cache(
    p: Int64, keep: Int64 | None = None, sets: Int64 | None = None, counts: Int64 | None = None
) -> Cache:
    """An empty cache. keep: [objects], none: all NORMAL; sets: [objects x parts], none: as `set_in_l2` has it; counts:
    [objects], none: all have PARTS."""
    groups = int(p[GROUPS])
    clock = np.zeros(C_TAKEN + groups, np.int64)
    clock[C_RANDOM] = 1
    places, last = groups * int(p[SETS] * p[WAYS]), int(p[LAST_SETS] * p[LAST_WAYS])
    return Cache(
        p=p,
        tags=np.full(places + TOGETHER, EMPTY, np.int64),
        stamps=np.zeros(places, np.int64),
        last_tags=np.full(last + TOGETHER, EMPTY, np.int64),
        last_stamps=np.zeros(last, np.int64),
        clock=clock,
        sets=numbered_sets(p) if sets is None else sets,
        counts=np.full(int(p[OBJECTS]), p[PARTS], np.int64) if counts is None else counts,
        complete=np.zeros(groups * int(p[OBJECTS]), np.int64),
        keep=np.full(int(p[OBJECTS]), NORMAL, np.int64) if keep is None else keep,
        marks=np.full(places, NORMAL, np.int64),
    )


@compiled
def victim(tags: Int64, stamps: Int64, first: int, ways: int, policy: int, clock: Int64) -> int:
    """Place to replace in the set of `ways` places from `first` on: an empty one, else by the policy."""
    best = oldest(stamps, first, ways)
    if policy == LRU:
        return best
    for at in range(first, first + ways):
        if tags[at] == EMPTY:
            return int(at)
    clock[C_RANDOM] = clock[C_RANDOM] * MULTIPLIER % MODULUS
    start = clock[C_RANDOM] % ways
    if policy == NRU and stamps[best] > 0:
        for at in range(first, first + ways):
            stamps[at] = 0
    for i in range(ways):
        at = first + (start + i) % ways
        if policy == RANDOM or stamps[at] == 0:
            return int(at)
    return int(best)


@inlined
def oldest(stamps: Int64, first: int, ways: int) -> int:
    """The place with the least stamp, the first of equal ones: an empty one, whose stamp is 0, if there is any.

    Stamp and way are compared as one number, which the compiler does several at a time.
    """
    best = stamps[first] << WAY_BITS
    for way in range(1, ways):
        best = min(best, stamps[first + way] << WAY_BITS | way)
    return int(first + (best & ((1 << WAY_BITS) - 1)))


@compiled
def touch(
    tags: Int64, stamps: Int64, first: int, ways: int, block: int, policy: int, clock: Int64, taken: int
) -> bool:
    """Look a block up in the set from `first` on and leave it there. `taken`: cell that counts what is taken in."""
    clock[C_USES] += 1
    for begin in range(first, first + ways, TOGETHER):
        found = equal(tags, begin, -1, block)
        if found:
            place = begin + trailing_zeros(found)
            if place < first + ways:
                stamps[place] = clock[C_USES]
                return True
    place = victim(tags, stamps, first, ways, policy, clock)
    tags[place] = block
    stamps[place] = clock[C_USES]
    clock[taken] += 1
    return False


@inlined
def touch_l2(c: Cache, first: int, block: int, taken: int) -> bool:
    """`touch` in the L2's set from `first` on, where classes of data may be kept apart."""
    if c.p[KEEPS]:
        return touch_kept(c, first, block, taken)
    return touch(c.tags, c.stamps, first, c.p[WAYS], block, c.p[POLICY], c.clock, taken)


@compiled
def touch_kept(c: Cache, first: int, block: int, taken: int) -> bool:
    """`touch` by the policy of the block's class."""
    p = c.p
    number = block // p[PARTS]
    keep_as = c.keep[number] if number < p[OBJECTS] else NORMAL
    c.clock[C_USES] += 1
    for place in range(first, first + p[WAYS]):
        if c.tags[place] == block:
            c.stamps[place] = c.clock[C_USES]
            mark(c, first, place, keep_as)
            return True
    place = victim_for(c, first, keep_as)
    if place >= 0:
        c.tags[place] = block
        c.stamps[place] = c.clock[C_USES]
        c.marks[place] = BYPASS
        c.clock[taken] += 1
        mark(c, first, place, keep_as)
    return False


@compiled
def mark(c: Cache, first: int, place: int, keep_as: int) -> None:
    """Data of a policy are in a place: the strongest of all that were counts."""
    if keep_as != BYPASS and c.marks[place] == BYPASS:
        c.marks[place] = NORMAL
    if keep_as == PIN and c.marks[place] != PIN:
        pinned = 0
        for at in range(first, first + c.p[WAYS]):
            pinned += 1 if c.marks[at] == PIN else 0
        if pinned < c.p[PIN_WAYS]:
            c.marks[place] = PIN


@compiled
def victim_for(c: Cache, first: int, keep_as: int) -> int:
    """Place that data of a policy may take, -1 when there is none: free, then of bypassing data, then unpinned."""
    for at in range(first, first + c.p[WAYS]):
        if c.tags[at] == EMPTY:
            return int(at)
    place = among(c, first, BYPASS)
    if place >= 0 or keep_as == BYPASS:
        return place
    return among(c, first, NORMAL)


@compiled
def among(c: Cache, first: int, kept_as: int) -> int:
    """The replacement policy's choice among the places of a set that are kept alike; -1 when there is none."""
    ways, policy = c.p[WAYS], c.p[POLICY]
    best = -1
    for at in range(first, first + ways):
        if c.marks[at] == kept_as and (best < 0 or c.stamps[at] < c.stamps[best]):
            best = at
    if best < 0 or policy == LRU:
        return int(best)
    c.clock[C_RANDOM] = c.clock[C_RANDOM] * MULTIPLIER % MODULUS
    start = c.clock[C_RANDOM] % ways
    if policy == NRU and c.stamps[best] > 0:
        for at in range(first, first + ways):
            c.stamps[at] = 0 if c.marks[at] == kept_as else c.stamps[at]
    for i in range(ways):
        at = first + (start + i) % ways
        if c.marks[at] == kept_as and (policy == RANDOM or c.stamps[at] == 0):
            return int(at)
    return int(best)


def _set_of(number: Any, sets: int) -> Any:
    """Set of a block, or of an array of them: neighbours in neighbouring sets, and each `sets` of them shifted against
    those before.

    Tiles of one rank would share a few sets otherwise, where sequences are a multiple of `sets` apart: CTAs in step use
    them at one time, and any change of their order found some of them (the address hash of the plane prevents it).
    """
    return (number + number // sets * (sets * 5 // 8 + 1)) % sets


set_of = inlined(_set_of)


@inlined
def set_in_l2(p: Int64, block: int) -> int:
    """`set_of` in each L2; by turns of the homes where copies are kept: blocks of one home would share every other set
    otherwise."""
    return int(set_of(block // p[GROUPS] if p[COPIES] else block, p[SETS]))


def numbered_sets(p: Int64) -> Int64:
    """[objects x parts] `set_in_l2` of blocks that lie in order of their numbers."""
    number = np.arange(p[OBJECTS] * p[PARTS])
    sets: Int64 = _set_of(number // p[GROUPS] if p[COPIES] else number, max(1, int(p[SETS])))
    return sets


@compiled
def look_up(c: Cache, block: int, group: int) -> bool:
    """Whether a read by an SM of `group` finds the block in any cache; all that it passes keep it."""
    p = c.p
    at = c.sets[block] if block < p[OBJECTS] * p[PARTS] else set_in_l2(p, block)
    if touch_l2(c, (group * p[SETS] + at) * p[WAYS], block, C_TAKEN + group):
        return True
    if p[COPIES]:
        home = block % p[GROUPS]
        if home != group:
            return touch_l2(c, (home * p[SETS] + at) * p[WAYS], block, C_TAKEN + home)
    if p[LAST_SETS] > 0:
        first = set_of(block, p[LAST_SETS]) * p[LAST_WAYS]
        return touch(c.last_tags, c.last_stamps, first, p[LAST_WAYS], block, p[POLICY], c.clock, C_LAST)
    return False


@compiled
def find(c: Cache, tile_object: int, group: int) -> int:
    """Share of an object's blocks that an SM of `group` finds, in 1/65536.

    What was found whole is found again as long as its group has taken nothing in since. Order of use would change;
    only LRU minds.
    """
    known = group * c.p[OBJECTS] + tile_object
    if c.complete[known] == c.clock[C_TAKEN + group] + 1:
        return ONE
    parts = c.counts[tile_object]
    before = c.clock[C_TAKEN + group]
    found = 0
    for part in range(parts):
        found += 1 if look_up(c, tile_object * c.p[PARTS] + part, group) else 0
    if c.p[POLICY] != LRU and found == parts and c.clock[C_TAKEN + group] == before:
        c.complete[known] = before + 1
    return int(found * ONE // parts)


@inlined
def is_in_set(tags: Int64, first: int, ways: int, block: int) -> bool:
    """Whether a block lies among the `ways` places from `first` on."""
    found = False
    for place in range(first, first + ways):
        found = found or tags[place] == block
    return bool(found)


@compiled
def holds(c: Cache, block: int, group: int) -> bool:
    """Whether a read by an SM of `group` would find the block in any cache; nothing changes."""
    p, at = c.p, c.sets[block]
    if is_in_set(c.tags, (group * p[SETS] + at) * p[WAYS], p[WAYS], block):
        return True
    if p[COPIES]:
        return is_in_set(c.tags, (block % p[GROUPS] * p[SETS] + at) * p[WAYS], p[WAYS], block)
    first = set_of(block, p[LAST_SETS]) * p[LAST_WAYS] if p[LAST_SETS] > 0 else 0
    return is_in_set(c.last_tags, first, p[LAST_WAYS], block)


@compiled
def share_held(c: Cache, tile_object: int, group: int) -> int:
    """Share of an object's blocks that an SM of `group` would find, in 1/65536."""
    parts = c.counts[tile_object]
    held = 0
    for part in range(parts):
        held += 1 if holds(c, tile_object * c.p[PARTS] + part, group) else 0
    return int(held * ONE // parts)


@compiled
def keep(c: Cache, begin: int, end: int, group: int) -> None:
    """Bytes [begin, end) of the output stay where they are written: in their home's L2, or the group's own."""
    p = c.p
    if end > begin:
        for number in range(begin // p[BLOCK], (end - 1) // p[BLOCK] + 1):
            block = p[OBJECTS] * p[PARTS] + number
            at = set_in_l2(p, block)
            home = block % p[GROUPS] if p[COPIES] else group
            touch_l2(c, (home * p[SETS] + at) * p[WAYS], block, C_TAKEN + home)


@compiled
def find_rows(c: Cache, begin: int, end: int, group: int) -> int:
    """Share of the blocks of query rows [begin, end), which follow the output, that an SM of `group` finds, in 1/65536;
    they stay in L2."""
    first, last = begin // c.p[BLOCK], (end - 1) // c.p[BLOCK]
    found = 0
    for number in range(first, last + 1):
        found += 1 if look_up(c, c.p[OBJECTS] * c.p[PARTS] + number, group) else 0
    return int(found * ONE // (last + 1 - first))


@compiled
def pointers(c: Cache) -> Cache:
    """The same, by bare pointers."""
    return Cache(
        cells(c.p),
        cells(c.tags),
        cells(c.stamps),
        cells(c.last_tags),
        cells(c.last_stamps),
        cells(c.clock),
        cells(c.sets),
        cells(c.counts),
        cells(c.complete),
        cells(c.keep),
        cells(c.marks),
    )


@entry
def walk(
    cache: Cache,
    tile_ptr: Int64,
    order: Int64,
    objects: Int64,
    output_ptr: Int64,
    query: Int64,
    query_ptr: Int64,
) -> Int64:
    """Look up the tiles of a grid, and keep its output. tile_ptr: [C + 1]; order: [C] CTAs as they start; objects: [T]
    number of the KV that each tile reads; output_ptr: [C + 1] bytes written by the CTAs before; query: [C] number of
    the rows that each CTA reads first; query_ptr: [Q + 1] their bytes.

    Returns [T] the shares found, in 1/65536.
    """
    c = pointers(cache)
    found = np.zeros(len(objects), np.int64)
    ctas, slots, sms, groups = len(tile_ptr) - 1, c.p[SLOTS], c.p[SMS], c.p[GROUPS]
    for wave in range(0, ctas, slots):
        last = min(ctas, wave + slots)
        longest = 0
        for cta in order[wave:last]:
            longest = max(longest, tile_ptr[cta + 1] - tile_ptr[cta])
        for rank in range(longest):
            for turn in range(wave, last):
                cta = order[turn]
                tile = tile_ptr[cta] + rank
                if rank == 0 and query_ptr[query[cta] + 1] > query_ptr[query[cta]]:
                    rows = query[cta]
                    find_rows(c, query_ptr[rows], query_ptr[rows + 1], (turn - wave) % sms % groups)
                if tile < tile_ptr[cta + 1]:
                    found[tile] = find(c, objects[tile], (turn - wave) % sms % groups)
        for turn in range(wave, last):
            cta = order[turn]
            keep(c, output_ptr[cta], output_ptr[cta + 1], (turn - wave) % sms % groups)
    return found
