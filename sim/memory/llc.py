"""The last-level cache in front of memory, behind private L2s (MI300X): tags by channel, one bandwidth
server each.

A read that misses L2 is answered here when every missing sector of its granule is present, after the
cache's latency and its turn at the channel's share of the bandwidth; otherwise memory serves all of it
and leaves it here. Lines written back pass through to memory and stay too. Two L2s that miss the same
sectors at the same time both read memory. Replacement is in order of entry.
"""

from sim.memory import events, mapping
from sim.memory.counters import INDEX
from sim.memory.division import quotient
from sim.memory.jit import compiled
from sim.memory.layout import (
    AT_CHANNELS,
    AT_LLC,
    AVAIL,
    FILL,
    HBM_DONE,
    L2_DONE,
    STAGE,
    Memory,
)
from sim.memory.params import Param
from sim.memory.tlb import find, put

LLC_SETS, LLC_WAYS, LLC_LATENCY = int(Param.LLC_SETS), int(Param.LLC_WAYS), int(Param.LLC_LATENCY)
LLC_Q16, CHANNELS, CHAN_COLS = int(Param.LLC_Q16), int(Param.CHANNELS), int(Param.CHAN_COLS)
BLOCK_SHIFT, GRANULE_SHIFT = int(Param.BLOCK_SHIFT), int(Param.GRANULE_SHIFT)
N_HIT = INDEX["llc_hit"]


@compiled
def share_of(m: Memory, c: int) -> int:
    """Position of channel c's share: when its server is free, then its rows."""
    number = quotient(m, c - m[AT_CHANNELS], CHAN_COLS)
    return int(m[AT_LLC] + number * (1 + m[LLC_SETS] * (2 * m[LLC_WAYS] + 1)))


@compiled
def row_of(m: Memory, c: int, addr: int) -> int:
    row = mapping.among(m, addr, quotient(m, addr >> m[BLOCK_SHIFT], CHANNELS), LLC_SETS)
    return int(share_of(m, c) + 1 + row * (2 * m[LLC_WAYS] + 1))


@compiled
def keep(m: Memory, c: int, addr: int, mask: int) -> None:
    """Sectors of a granule are here from now on."""
    row = row_of(m, c, addr)
    ways = m[LLC_WAYS]
    cell = find(m, row, ways, addr >> m[GRANULE_SHIFT])
    if cell < 0:
        put(m, row, ways, addr >> m[GRANULE_SHIFT], mask)
    else:
        m[cell + ways] |= mask


@compiled
def holds(m: Memory, c: int, addr: int, mask: int) -> bool:
    """Whether these sectors of a granule are here."""
    cell = find(m, row_of(m, c, addr), m[LLC_WAYS], addr >> m[GRANULE_SHIFT])
    return bool(cell >= 0 and not mask & ~m[cell + m[LLC_WAYS]])


@compiled
def serves(m: Memory, c: int, node: int, addr: int, miss: int, count: int, time: int) -> bool:
    """Answer a miss of `count` bytes that arrives at `time`, if all of it is here."""
    if not holds(m, c, addr, miss):
        return False
    free = share_of(m, c)
    start = max(time, m[free])
    service = (count * m[LLC_Q16]) >> 16
    m[free] = start + service
    m[N_HIT] += count
    m[node + L2_DONE] += start - time
    m[node + AVAIL] = start
    m[node + HBM_DONE] = start + m[LLC_LATENCY] + service
    m[node + STAGE] = FILL
    events.push(m, node, m[node + HBM_DONE])
    return True
