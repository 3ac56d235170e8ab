"""Functional walk of the cache at tile grain: which share of each tile is found in L2, whatever is timed.

Every tile of the launch walks the tags in the order in which CTAs take turns (breadth first over the slots, wave after
wave), so a run that times a few tiles sees the hits of the whole launch. A tile is cut into equal blocks of at most
BLOCK_BYTES; blocks are replaced as the chip's L2 replaces lines.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import compiled, entry

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

BLOCK_BYTES = 8192
ONE = 1 << 16
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
"""Knuth's MMIX linear congruential generator: the victim's place, the same in every run."""


@compiled
def touch(cache: Int64, places: Int64, recent: Int64, state: Int64, block: int, lru: bool) -> bool:
    """Look a block up and leave it in the cache. `state`: blocks held, clock, random state."""
    at = places[block]
    state[1] += 1
    if at >= 0:
        recent[at] = state[1]
        return True
    if state[0] < len(cache):
        at = state[0]
        state[0] += 1
    else:
        if lru:
            at = np.argmin(recent)
        else:
            state[2] = state[2] * MULTIPLIER + INCREMENT
            at = ((state[2] >> 33) & 0x3FFFFFFF) % len(cache)
        places[cache[at]] = -1
    cache[at] = block
    recent[at] = state[1]
    places[block] = at
    return False


@entry
def walk(
    tile_ptr: Int64,
    objects: Int64,
    parts: int,
    slots: int,
    passes: int,
    first_level: Int64,
    last_level: int,
    lru: bool,
    n_objects: int,
) -> tuple[Int32, Int32]:
    """Walk the grid `passes` times. objects: [T] what each tile is a copy of; parts: blocks of a tile; first_level:
    [partitions, 2] cache blocks of each L2 partition and the first SM slot behind it; last_level: blocks of the
    last-level cache, 0 for none.

    Returns the hit shares of the last pass in L2, and in L2 or last level ([T] each, in 1/65536).
    """
    partitions = len(first_level)
    hit = np.zeros(len(objects), np.int32)
    near = np.zeros(len(objects), np.int32)
    size = first_level[0, 0]
    caches = np.zeros((partitions + 1, max(size, last_level, 1)), np.int64)
    recents = np.zeros((partitions + 1, max(size, last_level, 1)), np.int64)
    places = np.full((partitions + 1, n_objects * parts), -1, np.int64)
    states = np.zeros((partitions + 1, 3), np.int64)
    ctas = len(tile_ptr) - 1
    sms = first_level[0, 1]
    for turn in range(passes):
        hit[:] = 0
        near[:] = 0
        for wave in range(0, ctas, slots):
            last = min(ctas, wave + slots)
            longest = 0
            for cta in range(wave, last):
                longest = max(longest, tile_ptr[cta + 1] - tile_ptr[cta])
            for rank in range(longest):
                for cta in range(wave, last):
                    tile = tile_ptr[cta] + rank
                    if tile >= tile_ptr[cta + 1]:
                        continue
                    group = ((cta - wave) % sms) * partitions // sms
                    for part in range(parts):
                        block = objects[tile] * parts + part
                        if touch(caches[group, :size], places[group], recents[group], states[group], block, lru):
                            near[tile] += 1
                            hit[tile] += 1
                        elif last_level > 0 and touch(
                            caches[partitions, :last_level],
                            places[partitions],
                            recents[partitions],
                            states[partitions],
                            block,
                            lru,
                        ):
                            hit[tile] += 1
    for tile in range(len(objects)):
        near[tile] = near[tile] * ONE // parts
        hit[tile] = hit[tile] * ONE // parts
    return near, hit
