"""L2 slices: a bandwidth server and sectored tags with merging of requests to sectors in flight.

A request occupies its slice for bytes / slice bandwidth, in order of arrival. Its missing sectors, all in
one DRAM row, go to memory as one train; sectors that another request has in flight are waited for. Lines
in flight, and lines being written back, hold MSHRs of their slice; a miss that finds too few waits in the
slice's FIFO while hits pass. Writes allocate without fetching; what they push out goes to memory.
With `l2.far_copies` a miss whose home is in another partition asks there (`copies`).
"""

from sim.memory import copies, llc, pool, residency, tags
from sim.memory.bits import ones
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.l2_misses import fetch, lines, push_out, write_back
from sim.memory.layout import (
    ADDR,
    AVAIL,
    HBM_DONE,
    HBMQ,
    L2_ARRIVE,
    L2_DONE,
    LINK,
    MSHRW,
    NOCQ,
    S_COPY_FREE,
    S_FREE,
    S_INFLIGHT,
    S_STALL_HEAD,
    S_STALL_TAIL,
    WHAT,
    Memory,
)
from sim.memory.params import Param
from sim.memory.prefetch import prefetch
from sim.memory.request import (
    COPY,
    OWN_SHIFT,
    WANT_SHIFT,
    bytes_of,
    channel_of,
    entry_of,
    is_write,
    owns,
    set_entry,
    slice_at,
    sm_of,
    wants,
)
from sim.memory.returns import send_back, send_now

SECTOR_SHIFT, GRANULE_SHIFT, WAYS = int(Param.SECTOR_SHIFT), int(Param.GRANULE_SHIFT), int(Param.WAYS)
SLICE_Q16, L2_LATENCY, MSHRS = int(Param.SLICE_Q16), int(Param.L2_LATENCY), int(Param.MSHRS)
LLC, COPIES = int(Param.LLC), int(Param.COPIES)
N_HIT, N_READ, N_WRITE = INDEX["l2_hit"], INDEX["l2_read"], INDEX["l2_write"]
N_BUSY, N_STALLS, N_MERGES = INDEX["l2_busy"], INDEX["mshr_stalls"], INDEX["merges"]


@inlined
def arrive(m: Memory, node: int, now: int) -> None:
    """A request reaches its slice."""
    at = slice_at(m, node)
    start = max(now, m[at + S_FREE])
    service = (bytes_of(m, node) * m[SLICE_Q16]) >> 16
    m[at + S_FREE] = start + service
    m[N_BUSY] += service
    m[node + L2_ARRIVE] = now
    m[node + L2_DONE] = start + m[L2_LATENCY]
    m[node + WHAT] |= tags.wanted(m, m[node + ADDR], bytes_of(m, node)) << WANT_SHIFT
    if not look_up(m, node, at, now, m[at + S_STALL_HEAD] < 0):
        m[N_STALLS] += 1
        m[node + LINK] = -1
        if m[at + S_STALL_HEAD] < 0:
            m[at + S_STALL_HEAD] = node
        else:
            m[m[at + S_STALL_TAIL] + LINK] = node
        m[at + S_STALL_TAIL] = node


@inlined
def at_home(m: Memory, node: int, now: int) -> None:
    """A copy's request reaches the home slice, whose look-up is part of the way between partitions. It goes ahead of
    those of the slice's own SMs and waits for no MSHR: it holds one of its own partition, and two partitions whose
    requests queue behind each other's would leave memory idle.
    """
    at = slice_at(m, node)
    start = max(now, m[at + S_COPY_FREE])
    service = (bytes_of(m, node) * m[SLICE_Q16]) >> 16
    m[at + S_COPY_FREE] = start + service
    m[at + S_FREE] = max(start, m[at + S_FREE]) + service
    m[N_BUSY] += service
    m[node + L2_ARRIVE] = now
    m[node + L2_DONE] = start
    look_up(m, node, at, now, True)


@inlined
def must_wait(m: Memory, node: int, at: int, need: int, first: bool) -> bool:
    """Whether a request that needs so many MSHRs of its slice has to queue for them."""
    used = m[at + S_INFLIGHT]
    return bool(not m[node + WHAT] & COPY and (not first or (used > 0 and used + need > m[MSHRS])))


@inlined
def mshrs_for(m: Memory, node: int, at: int, miss: int, first: bool) -> int:
    """MSHRs that a request takes for the sectors it misses, -1 where it has to queue for them."""
    if not miss or is_write(m, node):
        return 0
    if not first:  # a copy's request is
        return -1
    need = lines(m, miss)
    return -1 if must_wait(m, node, at, need, first) else need


@inlined
def look_up(m: Memory, node: int, at: int, now: int, first: bool) -> bool:
    """Serve a request from the tags, or say that it must wait for MSHRs (`first`: none waits before it).

    Until it is served, its entry is the row of its set; from then on its tag cell.
    """
    row = entry_of(m, node)
    cell = tags.find(m, row, m[node + ADDR] >> m[GRANULE_SHIFT])
    miss = wants(m, node)
    found = cell >= 0
    if found:
        state = m[cell + m[WAYS]]
        miss &= ~(state | (state >> tags.FLIGHT_SHIFT))
    need = mshrs_for(m, node, at, miss, first)
    if need < 0:
        return False
    dirty = 0
    if not found:
        cell = residency.victim(m, at, row, node)
        if cell >= 0:
            dirty = (m[cell + m[WAYS]] >> tags.DIRTY_SHIFT) & tags.SECTORS
    if dirty and must_wait(m, node, at, need + lines(m, dirty), first):
        return False
    if dirty:
        push_out(m, at, cell, dirty, now)
    if not found and cell >= 0:
        tags.replace(m, at, cell, m[node + ADDR] >> m[GRANULE_SHIFT])
    elif found:
        tags.touch(m, at, cell)
    residency.served(m, node, row, cell, found, miss)
    set_entry(m, node, max(cell, 0))
    if is_write(m, node):
        write(m, node, at, cell, now)
    else:
        read(m, node, at, row, cell, miss, need, now)
    return True


@inlined
def read(m: Memory, node: int, at: int, row: int, cell: int, miss: int, need: int, now: int) -> None:
    """Fetch what is missing, with `need` MSHRs, wait for what is in flight, or send what is here."""
    count = bytes_of(m, node)
    missing = ones(miss) << m[SECTOR_SHIFT]
    if not m[node + WHAT] & COPY:
        m[N_READ] += count
    m[N_HIT] += count - missing
    m[node + WHAT] |= miss << OWN_SHIFT
    if miss:
        m[at + S_INFLIGHT] += need
        if cell >= 0:
            m[cell] |= tags.BUSY
            m[cell + m[WAYS]] |= miss << tags.FLIGHT_SHIFT
        fetch(m, node, at, row, miss, missing, max(now, m[node + L2_DONE]), now)
    elif (m[cell + m[WAYS]] >> tags.FLIGHT_SHIFT) & wants(m, node):
        m[N_MERGES] += 1
        wait(m, node, cell)
    else:
        at_once(m, node)
        send_back(m, node, max(now, m[node + L2_DONE]) + ((count * m[SLICE_Q16]) >> 16), now)


@inlined
def at_once(m: Memory, node: int) -> None:
    """Memory has no part in it."""
    m[node + AVAIL] = m[node + L2_DONE]
    m[node + HBM_DONE] = m[node + L2_DONE]


@compiled
def wait(m: Memory, node: int, cell: int) -> None:
    """Queue a request on a granule of which it wants sectors that are in flight."""
    head = cell + 2 * m[WAYS]
    m[node + LINK] = m[head] if m[cell + m[WAYS]] & tags.WAITED else -1
    m[head] = node
    m[cell + m[WAYS]] |= tags.WAITED


@compiled
def write(m: Memory, node: int, at: int, cell: int, now: int) -> None:
    """Take a write into the tags (past them when its set is all in flight) and acknowledge it."""
    m[N_WRITE] += bytes_of(m, node)
    if m[COPIES]:
        copies.drop(m, m[node + ADDR], wants(m, node), at)
    if cell < 0:
        write_back(m, at, m[node + ADDR], wants(m, node), now)
    else:
        m[cell + m[WAYS]] |= wants(m, node) | (wants(m, node) << tags.DIRTY_SHIFT)
    at_once(m, node)
    send_back(m, node, max(now, m[node + L2_DONE]), now)


@inlined
def filled(m: Memory, node: int, now: int) -> None:
    """A train came back: its sectors turn valid, who waited for them goes on, its MSHRs are free again."""
    at = slice_at(m, node)
    m[at + S_INFLIGHT] -= lines(m, owns(m, node))
    if sm_of(m, node) < 0:
        pool.give(m, node)
    else:
        if m[LLC]:
            llc.keep(m, channel_of(m, node), m[node + ADDR], owns(m, node))
        cell = entry_of(m, node)
        if cell == 0:
            send_now(m, node, now)
        else:
            fill(m, node, cell, now)
    if m[at + S_STALL_HEAD] >= 0:
        retry(m, at, now)


@inlined
def fill(m: Memory, node: int, cell: int, now: int) -> None:
    """Sectors arrive in a granule: they turn valid, the request and who waits for them go on."""
    got = owns(m, node)
    before = m[cell + m[WAYS]]
    state = (before & ~(got << tags.FLIGHT_SHIFT | tags.WAITED)) | got
    m[cell + m[WAYS]] = state
    if not state & tags.FLIGHT:
        m[cell] &= ~tags.BUSY
    waiter = m[cell + 2 * m[WAYS]] if before & tags.WAITED else -1
    # before it is sent back: its row may serve another request then
    way = way_of(m, node) if waiter >= 0 else NO_WAY
    if (state >> tags.FLIGHT_SHIFT) & wants(m, node):
        wait(m, node, cell)
    elif waiter < 0:
        send_now(m, node, now)
    else:
        send_back(m, node, now, now)
    while waiter >= 0:
        following = m[waiter + LINK]
        if (state >> tags.FLIGHT_SHIFT) & wants(m, waiter):
            wait(m, waiter, cell)
        else:
            release(m, waiter, way, now)
        waiter = following


Way = tuple[int, int, int, int, int, int]
"""Of a request that was filled: L2_DONE, how long it queued until then (not for MSHRs), AVAIL, the end of its queue in
memory, HBM_DONE, NOCQ."""
NO_WAY: Way = (0, 0, 0, 0, 0, 0)


@inlined
def way_of(m: Memory, node: int) -> Way:
    looked_up, arrive = m[node + L2_DONE], m[node + AVAIL]
    queue = looked_up - m[L2_LATENCY] - m[node + L2_ARRIVE] - m[node + MSHRW]
    return looked_up, max(0, queue), arrive, arrive + m[node + HBMQ], m[node + HBM_DONE], m[node + NOCQ]


@compiled
def release(m: Memory, waiter: int, way: Way, now: int) -> None:
    """Sectors that another request fetched are here: from when the waiter met that one on, it was where that was."""
    looked_up, queue, arrive, started, done, link = way
    if owns(m, waiter):
        m[waiter + HBMQ] += max(0, started - max(m[waiter + HBM_DONE], arrive))
        m[waiter + HBM_DONE] = max(m[waiter + HBM_DONE], done)
    else:
        late = looked_up - m[waiter + L2_DONE]
        if late > 0:  # at a home slice or a last-level cache, where the queue comes last
            m[waiter + L2_ARRIVE] += late - min(late, queue)
            m[waiter + L2_DONE] = looked_up
        begin = max(m[waiter + L2_DONE], arrive)
        m[waiter + AVAIL] = begin
        m[waiter + HBMQ] = max(0, started - begin)
        m[waiter + HBM_DONE] = max(begin, done)
        m[waiter + NOCQ] = min(link, max(0, now - m[waiter + HBM_DONE]))
    send_back(m, waiter, max(now, m[waiter + L2_DONE]), now)


@inlined
def retry(m: Memory, at: int, now: int) -> None:
    """Let stalled misses go on, in order, while there are MSHRs."""
    while m[at + S_STALL_HEAD] >= 0:
        node = m[at + S_STALL_HEAD]
        used = m[at + S_INFLIGHT]
        if used > 0 and (used >= m[MSHRS] or used + lines(m, wants(m, node)) > m[MSHRS]):
            return  # mostly without a look at the row, which only now comes near
        following = m[node + LINK]
        if now > m[node + L2_DONE]:
            m[node + MSHRW] += now - m[node + L2_DONE]
            m[node + L2_DONE] = now
        if not look_up(m, node, at, now, True):
            return
        m[at + S_STALL_HEAD] = following
        if following >= 0:
            prefetch(m, following)
            prefetch(m, following + 8)
