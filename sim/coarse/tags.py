"""Functional walk of the cache at tile grain: which share of each tile is found in L2, whatever is timed.

Every tile of the launch walks the tags in the order in which CTAs take turns (breadth first over the slots, wave after
wave), so a run that times a few tiles sees the hits of the whole launch. A tile is cut into equal blocks of about
BLOCK_BYTES. Sets, ways and replacement are those of the chip's L2, with blocks in place of lines.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import compiled, entry

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

BLOCK_BYTES = 8192
ONE = 1 << 16
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
"""Knuth's MMIX linear congruential generator: draws victims, the same in every run."""
LRU, RANDOM, NRU = range(3)
EMPTY = -1

# Scalars of a walk. COPIES: partitions keep copies of what others own; PRIVATE: of everything.
SLOTS, SMS, PASSES, PARTS, PARTITIONS, COPIES, PRIVATE, SETS, WAYS, LAST_SETS, LAST_WAYS, POLICY = range(12)
SCALARS = 12


@compiled
def victim(tags: Int64, stamps: Int64, first: int, ways: int, policy: int, state: Int64) -> int:
    """Place to replace in the set of `ways` places from `first` on."""
    best = first
    for at in range(first, first + ways):
        if tags[at] == EMPTY:
            return int(at)
        if stamps[at] < stamps[best]:
            best = at
    if policy == LRU:
        return int(best)
    state[1] = state[1] * MULTIPLIER + INCREMENT
    start = ((state[1] >> 33) & 0x3FFFFFFF) % ways
    if policy == NRU and stamps[best] > 0:
        stamps[first : first + ways] = 0
    for i in range(ways):
        at = first + (start + i) % ways
        if policy == RANDOM or stamps[at] == 0:
            return int(at)
    return int(best)


@compiled
def touch(tags: Int64, stamps: Int64, at: int, ways: int, block: int, policy: int, state: Int64) -> bool:
    """Look a block up in set `at` and leave it there. `state`: clock, random state."""
    first = at * ways
    state[0] += 1
    for place in range(first, first + ways):
        if tags[place] == block:
            stamps[place] = state[0]
            return True
    place = victim(tags, stamps, first, ways, policy, state)
    tags[place] = block
    stamps[place] = state[0]
    return False


@compiled
def look_up(
    p: Int64,
    tags: Int64,
    stamps: Int64,
    last_tags: Int64,
    last_stamps: Int64,
    block: int,
    group: int,
    state: Int64,
) -> bool:
    """Whether a read by an SM of partition `group` finds the block in any cache; all that it passes keep it."""
    at = block % p[SETS]
    if p[COPIES]:
        at = block // p[PARTITIONS] % p[SETS]  # else those with one home would share every other set
    if touch(tags[group], stamps[group], at, p[WAYS], block, p[POLICY], state):
        return True
    if p[COPIES]:
        home = block % p[PARTITIONS]
        if home != group:
            return touch(tags[home], stamps[home], at, p[WAYS], block, p[POLICY], state)
    if p[LAST_SETS] > 0:
        return touch(last_tags, last_stamps, block % p[LAST_SETS], p[LAST_WAYS], block, p[POLICY], state)
    return False


@entry
def walk(p: Int64, tile_ptr: Int64, order: Int64, objects: Int64) -> Int32:
    """Walk a grid. p: [SCALARS]; tile_ptr: [C + 1]; order: [C] CTAs as they start; objects: [T] what each tile is a
    copy of.

    Returns [T] the shares found in the last pass, in 1/65536.
    """
    groups = p[PARTITIONS] if p[COPIES] or p[PRIVATE] else 1
    found = np.zeros(len(objects), np.int32)
    tags = np.full((groups, p[SETS] * p[WAYS]), EMPTY, np.int64)
    stamps = np.zeros((groups, p[SETS] * p[WAYS]), np.int64)
    last_tags = np.full(max(1, p[LAST_SETS] * p[LAST_WAYS]), EMPTY, np.int64)
    last_stamps = np.zeros(max(1, p[LAST_SETS] * p[LAST_WAYS]), np.int64)
    state = np.zeros(2, np.int64)
    ctas, slots, parts = len(tile_ptr) - 1, p[SLOTS], p[PARTS]
    for _ in range(p[PASSES]):
        found[:] = 0
        for wave in range(0, ctas, slots):
            last = min(ctas, wave + slots)
            longest = 0
            for cta in order[wave:last]:
                longest = max(longest, tile_ptr[cta + 1] - tile_ptr[cta])
            for rank in range(longest):
                for turn in range(wave, last):
                    cta = order[turn]
                    tile = tile_ptr[cta] + rank
                    if tile >= tile_ptr[cta + 1]:
                        continue
                    group = (turn - wave) % p[SMS] * groups // p[SMS]
                    for part in range(parts):
                        block = objects[tile] * parts + part
                        if look_up(p, tags, stamps, last_tags, last_stamps, block, group, state):
                            found[tile] += 1
    for tile in range(len(objects)):
        found[tile] = found[tile] * ONE // parts
    return found
