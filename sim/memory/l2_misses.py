"""The way from an L2 slice to what lies behind it: another partition, a last-level cache, or memory.

Lines in flight, and lines being written back, hold MSHRs of their slice.
"""

from sim.memory import copies, hbm_ahead, llc, pool, tags
from sim.memory.bits import ones
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ADDR,
    AVAIL,
    PATH,
    PLACE,
    S_INFLIGHT,
    S_NUMBER,
    S_SEQ,
    S_TAGS,
    TIE,
    WHAT,
    Memory,
)
from sim.memory.mapping import place
from sim.memory.params import Param
from sim.memory.request import (
    AWAY,
    BYTE,
    OWN_SHIFT,
    WRITES,
    channel_of,
    path,
    what,
)

ACCESS_SHIFT, SECTOR_SHIFT = int(Param.ACCESS_SHIFT), int(Param.SECTOR_SHIFT)
LINE_LAST, GRANULE_SHIFT = int(Param.LINE_LAST), int(Param.GRANULE_SHIFT)
CTRL_IN, LLC = int(Param.CTRL_IN), int(Param.LLC)
N_MISS, N_DIRTY = INDEX["l2_miss"], INDEX["evictions_dirty"]
N_HBM_READ, N_HBM_WRITE = INDEX["hbm_read"], INDEX["hbm_write"]
SLICE_TIE = 1 << 60


@inlined
def lines(m: Memory, mask: int) -> int:
    """MSHRs for the sectors of a mask: one for each line that has any of them."""
    last = m[LINE_LAST]
    others = tags.SECTORS ^ last
    # a line's other sectors, if any is there, carry into its last one when all of them are added
    return ones(((mask & others) + others | mask) & last)


@inlined
def fetch(m: Memory, node: int, at: int, row: int, miss: int, missing: int, time: int, now: int) -> None:
    """Get missing sectors of a request, whose set in slice `at` lies in `row`: from another partition, from the
    last-level cache, where there is one that has them, or from memory.
    """
    if m[node + WHAT] & AWAY:
        copies.ask_home(m, node, row - m[at + S_TAGS], miss, missing, time)
        return
    m[N_MISS] += missing
    if m[LLC] and llc.serves(m, channel_of(m, node), node, m[node + ADDR], miss, missing, time):
        return
    m[N_HBM_READ] += missing
    to_memory(m, node, missing, time, now)


@inlined
def to_memory(m: Memory, node: int, count: int, time: int, now: int) -> None:
    """Send a train of `count` bytes to its channel, where it arrives CTRL_IN after `time`."""
    m[node + PLACE] = (m[node + PLACE] & ~BYTE) | count >> m[ACCESS_SHIFT]
    m[node + AVAIL] = time + m[CTRL_IN]
    hbm_ahead.enqueue(m, node, channel_of(m, node), now)


@compiled
def push_out(m: Memory, at: int, cell: int, dirty: int, now: int) -> None:
    addr = (m[cell] >> tags.TAG_SHIFT) << m[GRANULE_SHIFT]
    write_back(m, at, addr, dirty, now)
    m[N_DIRTY] += 1


@compiled
def write_back(m: Memory, at: int, addr: int, mask: int, now: int) -> None:
    """Dirty sectors leave for memory; they hold MSHRs until memory has taken them."""
    node = pool.take(m)
    count = ones(mask) << m[SECTOR_SHIFT]
    m[at + S_SEQ] += 1
    m[at + S_INFLIGHT] += lines(m, mask)
    m[node + TIE] = SLICE_TIE | (m[at + S_NUMBER] << 40) | m[at + S_SEQ]
    m[node + PATH] = path(-1, at)
    m[node + WHAT] = what(count, WRITES) | mask << OWN_SHIFT
    m[node + ADDR] = addr
    m[node + PLACE] = place(m, addr)
    m[N_HBM_WRITE] += count
    if m[LLC]:
        llc.keep(m, channel_of(m, node), addr, mask)
    to_memory(m, node, count, now, now)
