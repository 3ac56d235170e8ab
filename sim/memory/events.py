"""Event queue of the compiled plane: a calendar of short buckets, with a binary heap for what lies far
ahead.

An event is a row (a request, or a channel that wakes up): EV_TIME says when, TIE breaks equal times (by
port and the port's own sequence), EV_NEXT chains the row into its bucket. Buckets are so short that they hold one
event or two; one bit for each tells where the occupied ones are. A bucket's rows are brought in order when it is their
turn, not when they are queued: then they have been asked for and are near. So push and pop cost some ten
nanoseconds where a heap of ten thousand rows costs a hundred. Order is total, hence independent of how the run was
cut into windows.
"""

from sim.memory.bits import trailing_zeros
from sim.memory.event_chain import arranged, before, put_in
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    AT_CHUNKS,
    AT_HEADS,
    AT_WORDS,
    CHUNK_COLS,
    EV_NEXT,
    EV_TIME,
    HEAP_SLOT,
    Q_ARRANGED,
    Q_COUNT,
    Q_CURSOR,
    Q_HEAP,
    Q_SEEN_FAR,
    Q_SEEN_NEAR,
    Memory,
)
from sim.memory.loads_ahead import ask_for
from sim.memory.prefetch import prefetch

SHIFT = 6
"""A bucket is 64 ps long, and all of them 2.1 us: a channel that sleeps (`hbm_train.MAX_SLEEP_PS`) must lie among them,
not in the heap, when it is woken early (`remove`)."""
BUCKETS = 1 << 15
WORD_SHIFT = 5
"""Buckets whose occupancy bits share a word: 32, so that none is a sign."""
IN_WORD = (1 << WORD_SHIFT) - 1
NEAR_AHEAD, FAR_AHEAD = 320 >> SHIFT, 960 >> SHIFT
"""Buckets between asking for a row and using it."""


@inlined
def push(m: Memory, node: int, time: int) -> None:
    """Queue row `node` at `time`; it must not be queued already."""
    m[node + EV_TIME] = time
    if (time >> SHIFT) - m[Q_CURSOR] < BUCKETS:
        insert(m, node)
    else:
        heap_push(m, node)


@inlined
def insert(m: Memory, node: int) -> None:
    number = m[node + EV_TIME] >> SHIFT
    bucket = number & (BUCKETS - 1)
    head = m[AT_HEADS] + bucket
    word = m[AT_WORDS] + (bucket >> WORD_SHIFT)
    bit = 1 << (bucket & IN_WORD)
    m[Q_COUNT] += 1
    # asked of the bits, which stay in the nearest cache: heads of empty buckets are written, not read
    first = m[head] if m[word] & bit else -1
    m[word] |= bit
    if number == m[Q_ARRANGED]:
        m[head] = put_in(m, first, node)
    else:
        m[node + EV_NEXT] = first
        m[head] = node


@inlined
def arrange(m: Memory, at: int) -> int:
    """Bring the occupied bucket `at` (absolute) in order; returns its first event."""
    head = m[AT_HEADS] + (at & (BUCKETS - 1))
    if m[Q_ARRANGED] != at:
        m[head] = arranged(m, m[head])
        m[Q_ARRANGED] = at
    return int(m[head])


@inlined
def emptied(m: Memory, bucket: int) -> None:
    """Note that a bucket holds nothing any more."""
    m[m[AT_WORDS] + (bucket >> WORD_SHIFT)] &= ~(1 << (bucket & IN_WORD))


@compiled
def remove(m: Memory, node: int) -> None:
    """Take a row out of the calendar (it must lie in the calendar, not in the heap)."""
    bucket = (m[node + EV_TIME] >> SHIFT) & (BUCKETS - 1)
    at = m[m[AT_HEADS] + bucket]
    m[Q_COUNT] -= 1
    if at == node:
        m[m[AT_HEADS] + bucket] = m[node + EV_NEXT]
        if m[node + EV_NEXT] < 0:
            emptied(m, bucket)
        return
    while m[at + EV_NEXT] != node:
        at = m[at + EV_NEXT]
    m[at + EV_NEXT] = m[node + EV_NEXT]


@inlined
def heap_cell(m: Memory, at: int) -> int:
    """The heap has one cell in each request's row, so that both grow together."""
    return int(m[AT_CHUNKS] + at * CHUNK_COLS + HEAP_SLOT)


@inlined
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


@inlined
def occupied(m: Memory, at: int, limit: int) -> int:
    """Absolute index of the first occupied bucket of [at, limit), `limit` when there is none."""
    while at < limit:
        word = m[m[AT_WORDS] + ((at & (BUCKETS - 1)) >> WORD_SHIFT)] >> (at & IN_WORD)
        if word:
            return int(min(at + trailing_zeros(word), limit))
        at = (at | IN_WORD) + 1
    return limit


@inlined
def first_bucket(m: Memory) -> int:
    """Absolute index of the first occupied bucket; the calendar must not be empty."""
    return occupied(m, m[Q_CURSOR], m[Q_CURSOR] + BUCKETS)


@compiled
def next_time(m: Memory) -> int:
    """Time of the next event, -1 when there is none."""
    far = -1
    if m[Q_HEAP] > 0:
        far = m[slot(m, 0) + EV_TIME]
    if m[Q_COUNT] == 0:
        return far
    near = m[arrange(m, first_bucket(m)) + EV_TIME]
    return int(far if 0 <= far < near else near)


@compiled
def look_ahead(m: Memory, at: int) -> None:
    """Ask for the rows of coming events, and, nearer, for what these rows point to."""
    bucket = occupied(m, max(m[Q_SEEN_FAR], at), at + FAR_AHEAD)
    while bucket < at + FAR_AHEAD:
        node = m[m[AT_HEADS] + (bucket & (BUCKETS - 1))]
        prefetch(m, node)
        prefetch(m, node + 8)
        bucket = occupied(m, bucket + 1, at + FAR_AHEAD)
    m[Q_SEEN_FAR] = at + FAR_AHEAD
    bucket = occupied(m, max(m[Q_SEEN_NEAR], at), at + NEAR_AHEAD)
    while bucket < at + NEAR_AHEAD:
        node = m[m[AT_HEADS] + (bucket & (BUCKETS - 1))]
        while node >= 0:
            ask_for(m, node)
            node = m[node + EV_NEXT]
        bucket = occupied(m, bucket + 1, at + NEAR_AHEAD)
    m[Q_SEEN_NEAR] = at + NEAR_AHEAD


@inlined
def pop(m: Memory, horizon: int) -> int:
    """The next row with a time before `horizon`, -1 when there is none."""
    while True:
        if m[Q_HEAP] > 0:
            migrate(m)
        if m[Q_COUNT] == 0:
            if m[Q_HEAP] == 0 or m[slot(m, 0) + EV_TIME] >= horizon:
                return -1
            m[Q_CURSOR] = m[slot(m, 0) + EV_TIME] >> SHIFT
            continue
        at = first_bucket(m)
        node = arrange(m, at)
        if m[node + EV_TIME] >= horizon:
            m[Q_CURSOR] = max(m[Q_CURSOR], min(at, horizon >> SHIFT))
            return -1
        if at > m[Q_CURSOR]:
            look_ahead(m, at)
        m[Q_CURSOR] = at
        bucket = at & (BUCKETS - 1)
        following = m[node + EV_NEXT]
        if following >= 0:
            m[m[AT_HEADS] + bucket] = following
        else:
            emptied(m, bucket)
        m[Q_COUNT] -= 1
        return int(node)
