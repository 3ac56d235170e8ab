"""Event queue of the compiled plane: a calendar of short buckets, with a binary heap for what lies far
ahead.

An event is a row (a request, or a channel that wakes up): EV_TIME says when, TIE breaks equal times (by
port and the port's own sequence), EV_NEXT chains the row into its bucket, kept sorted. With about two
events a bucket, push and pop cost some ten nanoseconds where a heap of ten thousand rows costs a hundred.
Order is total, hence independent of how the run was cut into windows.
"""

from sim.memory.jit import compiled
from sim.memory.layout import (
    ARRIVE,
    AT_CHUNKS,
    AT_GROUPS,
    AT_HEADS,
    C_NEXT,
    C_READ_HEAD,
    CHUNK_COLS,
    ENTRY,
    EV_NEXT,
    EV_TIME,
    FILL,
    HEAP_SLOT,
    Q_COUNT,
    Q_CURSOR,
    Q_HEAP,
    S_STALL_HEAD,
    SLICE,
    STAGE,
    TIE,
    WAKE,
    Memory,
)
from sim.memory.params import Param
from sim.memory.prefetch import prefetch

WAYS = int(Param.WAYS)

NEAR_AHEAD, MID_AHEAD, FAR_AHEAD = 5, 9, 14
"""Buckets between asking for a row and using it."""
SHIFT = 6
"""A bucket is 64 ps long."""
BUCKETS = 1 << 15
GROUP_SHIFT = 6
"""Buckets whose occupancy is summed, so that idle stretches are skipped 64 buckets at a time."""
SPAN = (BUCKETS - 1) << SHIFT
"""Picoseconds ahead of the cursor that the calendar covers."""


@compiled
def before(m: Memory, a: int, b: int) -> bool:
    """Whether event a comes first."""
    ta = m[a + EV_TIME]
    tb = m[b + EV_TIME]
    return bool(ta < tb or (ta == tb and m[a + TIE] < m[b + TIE]))


@compiled
def push(m: Memory, node: int, time: int) -> None:
    """Queue row `node` at `time`; it must not be queued already."""
    m[node + EV_TIME] = time
    if (time >> SHIFT) - m[Q_CURSOR] < BUCKETS:
        insert(m, node)
    else:
        heap_push(m, node)


@compiled
def insert(m: Memory, node: int) -> None:
    bucket = (m[node + EV_TIME] >> SHIFT) & (BUCKETS - 1)
    at = m[m[AT_HEADS] + bucket]
    last = -1
    while at >= 0 and before(m, at, node):
        last = at
        at = m[at + EV_NEXT]
    m[node + EV_NEXT] = at
    if last < 0:
        m[m[AT_HEADS] + bucket] = node
    else:
        m[last + EV_NEXT] = node
    m[m[AT_GROUPS] + (bucket >> GROUP_SHIFT)] += 1
    m[Q_COUNT] += 1


@compiled
def remove(m: Memory, node: int) -> None:
    """Take a row out of the calendar (it must lie in the calendar, not in the heap)."""
    bucket = (m[node + EV_TIME] >> SHIFT) & (BUCKETS - 1)
    at = m[m[AT_HEADS] + bucket]
    if at == node:
        m[m[AT_HEADS] + bucket] = m[node + EV_NEXT]
    else:
        while m[at + EV_NEXT] != node:
            at = m[at + EV_NEXT]
        m[at + EV_NEXT] = m[node + EV_NEXT]
    m[m[AT_GROUPS] + (bucket >> GROUP_SHIFT)] -= 1
    m[Q_COUNT] -= 1


@compiled
def heap_cell(m: Memory, at: int) -> int:
    """The heap has one cell in each request's row, so that both grow together."""
    return int(m[AT_CHUNKS] + at * CHUNK_COLS + HEAP_SLOT)


@compiled
def slot(m: Memory, at: int) -> int:
    return int(m[heap_cell(m, at)])


@compiled
def heap_push(m: Memory, node: int) -> None:
    at = m[Q_HEAP]
    m[Q_HEAP] = at + 1
    while at > 0:
        parent = (at - 1) >> 1
        if not before(m, node, slot(m, parent)):
            break
        m[heap_cell(m, at)] = slot(m, parent)
        at = parent
    m[heap_cell(m, at)] = node


@compiled
def heap_pop(m: Memory) -> int:
    top = slot(m, 0)
    count = m[Q_HEAP] - 1
    m[Q_HEAP] = count
    node = slot(m, count)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and before(m, slot(m, child + 1), slot(m, child)):
            child += 1
        if not before(m, slot(m, child), node):
            break
        m[heap_cell(m, at)] = slot(m, child)
        at = child
    m[heap_cell(m, at)] = node
    return int(top)


@compiled
def migrate(m: Memory) -> None:
    """Move events of the heap that the calendar now covers."""
    while m[Q_HEAP] > 0:
        if (m[slot(m, 0) + EV_TIME] >> SHIFT) - m[Q_CURSOR] >= BUCKETS:
            return
        insert(m, heap_pop(m))


@compiled
def first_bucket(m: Memory) -> int:
    """Absolute index of the first occupied bucket; the calendar must not be empty."""
    at = m[Q_CURSOR]
    while True:
        if m[m[AT_GROUPS] + ((at & (BUCKETS - 1)) >> GROUP_SHIFT)] == 0:
            at = ((at >> GROUP_SHIFT) + 1) << GROUP_SHIFT
        elif m[m[AT_HEADS] + (at & (BUCKETS - 1))] >= 0:
            return int(at)
        else:
            at += 1


@compiled
def next_time(m: Memory) -> int:
    """Time of the next event, -1 when there is none. Moves nothing."""
    far = -1
    if m[Q_HEAP] > 0:
        far = m[slot(m, 0) + EV_TIME]
    if m[Q_COUNT] == 0:
        return far
    near = m[m[m[AT_HEADS] + (first_bucket(m) & (BUCKETS - 1))] + EV_TIME]
    return int(far if 0 <= far < near else near)


@compiled
def look_ahead(m: Memory, at: int) -> None:
    """Ask for the rows of coming events, and, nearer, for what these rows point to."""
    node = m[m[AT_HEADS] + ((at + FAR_AHEAD) & (BUCKETS - 1))]
    if node >= 0:
        prefetch(m, node)
        prefetch(m, node + 8)
    node = m[m[AT_HEADS] + ((at + MID_AHEAD) & (BUCKETS - 1))]
    if node >= 0 and m[node + EV_NEXT] >= 0:
        prefetch(m, m[node + EV_NEXT])
        prefetch(m, m[node + EV_NEXT] + 8)
    node = m[m[AT_HEADS] + ((at + NEAR_AHEAD) & (BUCKETS - 1))]
    while node >= 0:
        stage = m[node + STAGE]
        if stage == WAKE:
            prefetch(m, m[node + C_NEXT])
            prefetch(m, m[node + C_NEXT] + 16)
            prefetch(m, m[node + C_READ_HEAD])
            prefetch(m, m[node + C_READ_HEAD] + 16)
        elif stage == ARRIVE:
            entry = m[node + ENTRY]
            prefetch(m, entry)
            prefetch(m, entry + 8)
            prefetch(m, entry + m[WAYS])
            prefetch(m, entry + m[WAYS] + 8)
            prefetch(m, node + 16)
        elif stage == FILL:
            entry = m[node + ENTRY]
            prefetch(m, entry)
            prefetch(m, entry + m[WAYS])
            prefetch(m, entry + 2 * m[WAYS])
            stalled = m[m[node + SLICE] + S_STALL_HEAD]
            if stalled >= 0:
                prefetch(m, m[stalled + ENTRY])
                prefetch(m, m[stalled + ENTRY] + 8)
                prefetch(m, stalled + 16)
        prefetch(m, node + 24)
        node = m[node + EV_NEXT]
        if node >= 0:
            prefetch(m, node + 8)


@compiled
def pop(m: Memory, horizon: int) -> int:
    """The next row with a time before `horizon`, -1 when there is none."""
    while True:
        migrate(m)
        if m[Q_COUNT] == 0:
            if m[Q_HEAP] == 0 or m[slot(m, 0) + EV_TIME] >= horizon:
                return -1
            m[Q_CURSOR] = m[slot(m, 0) + EV_TIME] >> SHIFT
            continue
        at = first_bucket(m)
        node = m[m[AT_HEADS] + (at & (BUCKETS - 1))]
        if m[node + EV_TIME] >= horizon:
            m[Q_CURSOR] = max(m[Q_CURSOR], min(at, horizon >> SHIFT))
            return -1
        for passed in range(max(m[Q_CURSOR] + 1, at - 3), at + 1):
            look_ahead(m, passed)
        m[Q_CURSOR] = at
        bucket = at & (BUCKETS - 1)
        m[m[AT_HEADS] + bucket] = m[node + EV_NEXT]
        m[m[AT_GROUPS] + (bucket >> GROUP_SHIFT)] -= 1
        m[Q_COUNT] -= 1
        return int(node)
