"""L2 slices: a bandwidth server and sectored tags with merging of requests to lines in flight.

A request occupies its slice for bytes / slice bandwidth, in order of arrival. Its missing sectors, all in one DRAM row,
go to memory as one train; sectors that another request has in flight are waited for. Every line in flight, and
every line being written back, holds an MSHR of its slice; a miss without a free one waits in the slice's FIFO
while hits pass. Writes allocate without fetching; the dirty victim goes to memory before the acknowledgement counts.
"""

from sim.memory import events, pool, tags
from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import (
    ADDR,
    BANK,
    BURSTS,
    BYTES,
    CHAN,
    ENQUEUE,
    HBM_DONE,
    HBM_ENQ,
    HBMQ,
    L2_ARRIVE,
    L2_DONE,
    L2Q,
    LINK,
    OWN,
    ROW,
    S_FREE,
    S_INFLIGHT,
    S_NUMBER,
    S_SEQ,
    S_STALL_HEAD,
    S_STALL_TAIL,
    SLICE,
    SM,
    STAGE,
    TIE,
    WAIT,
    WRITE,
    Memory,
)
from sim.memory.mapping import place
from sim.memory.noc import send_back
from sim.memory.params import Param

LINE, SECTOR, ACCESS = int(Param.LINE), int(Param.SECTOR), int(Param.ACCESS)
SLICE_Q16, L2_LATENCY, MSHRS = int(Param.SLICE_Q16), int(Param.L2_LATENCY), int(Param.MSHRS)
CTRL_IN = int(Param.CTRL_IN)
N_HIT, N_MISS, N_READ, N_WRITE = INDEX["l2_hit"], INDEX["l2_miss"], INDEX["l2_read"], INDEX["l2_write"]
N_BUSY, N_STALLS, N_MERGES = INDEX["l2_busy"], INDEX["mshr_stalls"], INDEX["merges"]
N_DIRTY, N_HBM_READ, N_HBM_WRITE = INDEX["evictions_dirty"], INDEX["hbm_read"], INDEX["hbm_write"]
SLICE_TIE = 1 << 60


@compiled
def arrive(m: Memory, node: int, now: int) -> None:
    """A request reaches its slice."""
    at = m[node + SLICE]
    start = max(now, m[at + S_FREE])
    service = (m[node + BYTES] * m[SLICE_Q16]) >> 16
    m[at + S_FREE] = start + service
    m[N_BUSY] += service
    m[node + L2_ARRIVE] = now
    m[node + L2Q] = start - now
    m[node + L2_DONE] = start + m[L2_LATENCY]
    if (m[at + S_STALL_HEAD] >= 0 and demand(m, node, at) > 0) or not look_up(m, node, at, now):
        stall(m, node, at)


@compiled
def stall(m: Memory, node: int, at: int) -> None:
    m[N_STALLS] += 1
    m[node + LINK] = -1
    if m[at + S_STALL_HEAD] < 0:
        m[at + S_STALL_HEAD] = node
    else:
        m[m[at + S_STALL_TAIL] + LINK] = node
    m[at + S_STALL_TAIL] = node


@compiled
def demand(m: Memory, node: int, at: int) -> int:
    """MSHRs that a request needs at most: lines it must fetch, dirty lines it may push out."""
    lo = m[node + ADDR]
    hi = lo + m[node + BYTES]
    need = 0
    for line in range(lo // m[LINE], (hi - 1) // m[LINE] + 1):
        row = tags.row_of(m, at, line * m[LINE])
        way = tags.find(m, row, line)
        if way < 0:
            way = tags.victim(m, at, row)
            dirty = way >= 0 and (m[row + m[tags.WAYS] + way] >> tags.DIRTY_SHIFT) & tags.SECTORS != 0
            need += (0 if m[node + WRITE] else 1) + (1 if dirty else 0)
        elif not m[node + WRITE]:
            have = m[row + m[tags.WAYS] + way] | (m[row + m[tags.WAYS] + way] >> tags.FLIGHT_SHIFT)
            if tags.wanted(m, line, lo, hi) & ~have:
                need += 1
    return need


@compiled
def look_up(m: Memory, node: int, at: int, now: int) -> bool:
    """Serve a request from the tags, or say that it has to wait for MSHRs."""
    lo = m[node + ADDR]
    hi = lo + m[node + BYTES]
    first = lo // m[LINE]
    lines = (hi - 1) // m[LINE] + 1 - first
    used = m[at + S_INFLIGHT]
    if used > 0 and used + 2 * lines > m[MSHRS] and used + demand(m, node, at) > m[MSHRS]:
        return False
    if m[node + WRITE]:
        write(m, node, at, now)
        return True
    missing = 0
    for i in range(lines):
        missing += look_up_line(m, node, at, first + i, i, now)
    m[N_READ] += hi - lo
    m[N_HIT] += hi - lo - missing
    m[N_MISS] += missing
    if missing:
        fetch(m, node, missing, now)
    elif m[node + WAIT]:
        m[N_MERGES] += 1
        attach(m, node, at)
    else:
        done = max(now, m[node + L2_DONE])
        no_memory(m, node)
        send_back(m, node, done + ((m[node + BYTES] * m[SLICE_Q16]) >> 16))
    return True


@compiled
def no_memory(m: Memory, node: int) -> None:
    m[node + HBM_ENQ] = m[node + L2_DONE]
    m[node + HBM_DONE] = m[node + L2_DONE]


@compiled
def look_up_line(m: Memory, node: int, at: int, line: int, index: int, now: int) -> int:
    """Note what one line needs; return the bytes that must come from memory."""
    row = tags.row_of(m, at, line * m[LINE])
    lo = m[node + ADDR]
    want = tags.wanted(m, line, lo, lo + m[node + BYTES])
    way = tags.find(m, row, line)
    if way < 0:
        way = allocate(m, at, row, line, now)
    else:
        tags.touch(m, at, row, way)
    have = 0
    flight = 0
    if way >= 0:
        have = m[row + m[tags.WAYS] + way] & tags.SECTORS
        flight = (m[row + m[tags.WAYS] + way] >> tags.FLIGHT_SHIFT) & tags.SECTORS
    if want & flight:
        m[node + WAIT] |= 1 << index
    miss = want & ~(have | flight)
    if not miss:
        return 0
    m[node + OWN] |= 1 << index
    m[at + S_INFLIGHT] += 1
    if way >= 0:
        m[row + m[tags.WAYS] + way] |= miss << tags.FLIGHT_SHIFT
    return bits(miss) * m[SECTOR]


@compiled
def bits(mask: int) -> int:
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count


@compiled
def allocate(m: Memory, at: int, row: int, line: int, now: int) -> int:
    """A way for a new line, -1 when the set is full of lines in flight (the line then passes uncached)."""
    way = tags.victim(m, at, row)
    if way < 0:
        return -1
    dirty = (m[row + m[tags.WAYS] + way] >> tags.DIRTY_SHIFT) & tags.SECTORS
    if dirty:
        write_back(m, at, m[row + way] * m[LINE], bits(dirty) * m[SECTOR], now)
        m[N_DIRTY] += 1
    tags.replace(m, at, row, way, line)
    return way


@compiled
def to_memory(m: Memory, node: int, addr: int, count: int, time: int) -> None:
    """Send a train of `count` bytes at `addr` towards its channel."""
    channel, bank, dram_row = place(m, addr)
    m[node + CHAN] = channel
    m[node + BANK] = bank
    m[node + ROW] = dram_row
    m[node + BURSTS] = count // m[ACCESS]
    m[node + STAGE] = ENQUEUE
    events.push(m, node, time + m[CTRL_IN])


@compiled
def fetch(m: Memory, node: int, missing: int, now: int) -> None:
    m[N_HBM_READ] += missing
    to_memory(m, node, m[node + ADDR], missing, max(now, m[node + L2_DONE]))


@compiled
def write_back(m: Memory, at: int, addr: int, count: int, now: int) -> None:
    """A dirty line leaves for memory; it holds an MSHR until memory has taken it."""
    node = pool.take(m)
    m[at + S_SEQ] += 1
    m[at + S_INFLIGHT] += 1
    m[node + TIE] = SLICE_TIE | (m[at + S_NUMBER] << 40) | m[at + S_SEQ]
    m[node + SLICE] = at
    m[node + WRITE] = 1
    m[node + ADDR] = addr
    m[node + BYTES] = count
    m[node + SM] = -1
    m[N_HBM_WRITE] += count
    to_memory(m, node, addr, count, now)


@compiled
def write(m: Memory, node: int, at: int, now: int) -> None:
    """Take a write into the tags and acknowledge it."""
    lo = m[node + ADDR]
    hi = lo + m[node + BYTES]
    m[N_WRITE] += hi - lo
    for line in range(lo // m[LINE], (hi - 1) // m[LINE] + 1):
        row = tags.row_of(m, at, line * m[LINE])
        want = tags.wanted(m, line, lo, hi)
        way = tags.find(m, row, line)
        if way < 0:
            way = allocate(m, at, row, line, now)
        else:
            tags.touch(m, at, row, way)
        if way < 0:
            start = max(lo, line * m[LINE])
            write_back(m, at, start, bits(want) * m[SECTOR], now)
        else:
            m[row + m[tags.WAYS] + way] |= want | (want << tags.DIRTY_SHIFT)
    no_memory(m, node)
    send_back(m, node, max(now, m[node + L2_DONE]))


@compiled
def attach(m: Memory, node: int, at: int) -> bool:
    """Queue a request on the first line that it still waits for; False when none is left."""
    lo = m[node + ADDR]
    hi = lo + m[node + BYTES]
    first = lo // m[LINE]
    for i in range((hi - 1) // m[LINE] + 1 - first):
        if not (m[node + WAIT] >> i) & 1:
            continue
        line = first + i
        row = tags.row_of(m, at, line * m[LINE])
        way = tags.find(m, row, line)
        if way >= 0:
            flight = (m[row + m[tags.WAYS] + way] >> tags.FLIGHT_SHIFT) & tags.SECTORS
            if flight & tags.wanted(m, line, lo, hi):
                m[node + LINK] = m[row + 2 * m[tags.WAYS] + way]
                m[row + 2 * m[tags.WAYS] + way] = node
                return True
        m[node + WAIT] &= ~(1 << i)
    return False


@compiled
def filled(m: Memory, node: int, now: int) -> None:
    """A train came back: its lines turn valid, who waited for them goes on, MSHRs are free again."""
    at = m[node + SLICE]
    if m[node + SM] < 0:
        m[at + S_INFLIGHT] -= 1
        pool.give(m, node)
    else:
        lo = m[node + ADDR]
        first = lo // m[LINE]
        for i in range((lo + m[node + BYTES] - 1) // m[LINE] + 1 - first):
            if (m[node + OWN] >> i) & 1:
                m[at + S_INFLIGHT] -= 1
                fill_line(m, node, at, first + i, now)
        if not (m[node + WAIT] and attach(m, node, at)):
            send_back(m, node, now)
    retry(m, at, now)


@compiled
def fill_line(m: Memory, node: int, at: int, line: int, now: int) -> None:
    row = tags.row_of(m, at, line * m[LINE])
    way = tags.find(m, row, line)
    if way < 0:
        return
    lo = m[node + ADDR]
    want = tags.wanted(m, line, lo, lo + m[node + BYTES])
    got = want & (m[row + m[tags.WAYS] + way] >> tags.FLIGHT_SHIFT)
    m[row + m[tags.WAYS] + way] = (m[row + m[tags.WAYS] + way] & ~(got << tags.FLIGHT_SHIFT)) | got
    waiter = m[row + 2 * m[tags.WAYS] + way]
    m[row + 2 * m[tags.WAYS] + way] = -1
    while waiter >= 0:
        following = m[waiter + LINK]
        if not attach(m, waiter, at):
            release(m, waiter, now)
        waiter = following


@compiled
def release(m: Memory, waiter: int, now: int) -> None:
    """Data that others fetched is here. Without a train of its own the wait counts as memory queueing."""
    if not m[waiter + OWN]:
        m[waiter + HBM_ENQ] = m[waiter + L2_DONE]
        m[waiter + HBM_DONE] = max(now, m[waiter + L2_DONE])
        m[waiter + HBMQ] = m[waiter + HBM_DONE] - m[waiter + L2_DONE]
    send_back(m, waiter, max(now, m[waiter + L2_DONE]))


@compiled
def retry(m: Memory, at: int, now: int) -> None:
    """Let stalled misses go on, in order, while there are MSHRs."""
    while m[at + S_STALL_HEAD] >= 0:
        node = m[at + S_STALL_HEAD]
        following = m[node + LINK]
        late = now - m[node + L2_DONE]
        if not look_up(m, node, at, now):
            return
        if late > 0:
            m[node + L2_DONE] = now
            m[node + L2Q] += late
        m[at + S_STALL_HEAD] = following
