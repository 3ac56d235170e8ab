"""Event queue of the compiled plane: short buckets of time, a sorted list of what is due next, and a binary heap.

An event is a row (a request, or a channel that wakes up): EV_TIME says when, TIE breaks equal times (by port and the
port's own sequence). It waits in a bucket (`buckets`), or in a heap (`event_heap`) if it is farther ahead than these
reach. The buckets that come next are sorted into the list (`agenda`), which asks for the rows, so that they are near
when it is their turn. Order is total, hence independent of how the run was cut into windows.
"""

from sim.memory import agenda, buckets, event_chain, event_heap
from sim.memory.buckets import BUCKETS, CROWDED, PLACES, SHIFT
from sim.memory.jit import compiled, inlined
from sim.memory.layout import EV_TIME, LINK, Q_COUNT, Q_COVERED, Q_CROWD, Q_HEAP, Q_LAST, Q_NEXT, Memory
from sim.memory.loads_ahead import ask_for

AHEAD = 4096 >> SHIFT
"""Buckets in the list at most: hardly an event is queued for so soon, which would have to be put in between."""
NEXT_EVENTS = 2 * 8
"""Cells of the list between an event that is taken and the one for which further rows are asked."""


@inlined
def push(m: Memory, node: int, time: int) -> None:
    """Queue row `node` at `time`; it must not be queued already."""
    m[node + EV_TIME] = time
    number = time >> SHIFT
    if 0 <= number - m[Q_COVERED] < BUCKETS:
        buckets.add(m, node, number, time)
    else:
        push_elsewhere(m, node, time)


@compiled
def push_elsewhere(m: Memory, node: int, time: int) -> None:
    """Queue what is due before the first bucket, or behind the last."""
    crowd = m[Q_CROWD]
    if time >> SHIFT >= m[Q_COVERED]:
        event_heap.push(m, node)
    elif crowd >= 0 and not event_chain.before(m, node, crowd):
        m[Q_CROWD] = event_chain.put_in(m, crowd, node)
        m[Q_COUNT] += 1
    elif not agenda.put_in(m, node, time):
        event_heap.push(m, node)


@compiled
def refill(m: Memory, horizon: int) -> None:
    """Move the events of the next buckets, up to that of `horizon`, to the list until that is long enough."""
    agenda.close_up(m)
    admit_crowd(m)
    if m[Q_CROWD] >= 0 or m[Q_COUNT] == 0:
        return
    number = m[Q_COVERED]
    first = buckets.occupied(m, number, number + BUCKETS) if m[Q_NEXT] == m[Q_LAST] else m[m[Q_NEXT]] >> SHIFT
    limit = max(number, min(first + AHEAD, (horizon >> SHIFT) + 1))
    number = buckets.occupied(m, number, limit)
    while number < limit and agenda.is_short(m):
        word, shift = buckets.counts_of(m, number)
        counts = m[word] >> shift
        count = counts & buckets.COUNT
        if count < CROWDED:
            agenda.append(m, buckets.places_of(m, number), count, number << SHIFT)
            m[Q_COUNT] -= count
        elif buckets.is_large(m, number):
            m[Q_CROWD] = buckets.crowd(m, number)
            admit_crowd(m)
        else:
            append_all(m, number)
        m[word] -= count << shift
        number = buckets.following(m, number + 1, counts, limit)
    m[Q_COVERED] = number


@compiled
def append_all(m: Memory, number: int) -> None:
    """Move the events of a bucket to the list of which a few have no place of their own."""
    agenda.append(m, buckets.places_of(m, number), PLACES, number << SHIFT)
    m[Q_COUNT] -= PLACES
    node = buckets.chained(m, number)
    while node >= 0:
        agenda.put_in(m, node, m[node + EV_TIME])
        m[Q_COUNT] -= 1
        node = m[node + LINK]


@compiled
def admit_crowd(m: Memory) -> None:
    """Move events of a crowded bucket, whose turn it is, to the list until that is long enough."""
    while m[Q_CROWD] >= 0 and agenda.is_short(m):
        node = m[Q_CROWD]
        m[Q_CROWD] = m[node + LINK]
        m[Q_COUNT] -= 1
        agenda.enter(m, m[Q_LAST], m[node + EV_TIME], node)
        m[Q_LAST] += 2


@inlined
def pop(m: Memory, horizon: int) -> int:
    """The next row with a time before `horizon`, -1 when there is none."""
    if agenda.is_low(m) and m[Q_COUNT] > 0:
        refill(m, horizon)
    at = m[Q_NEXT]
    if m[Q_HEAP] > 0 and (at == m[Q_LAST] or event_heap.is_first(m, m[at], m[at + 1])):
        return pop_heap(m, horizon)
    if at == m[Q_LAST] or m[at] >= horizon:
        return pass_by(m, horizon)
    m[Q_NEXT] = at + 2
    if at + NEXT_EVENTS < m[Q_LAST]:
        ask_for(m, m[at + NEXT_EVENTS + 1])
    return int(m[at + 1])


@compiled
def pop_heap(m: Memory, horizon: int) -> int:
    """The same when the heap's first event comes before all others."""
    time = m[event_heap.first(m) + EV_TIME]
    if time >= horizon:
        return pass_by(m, horizon)
    m[Q_COVERED] = max(m[Q_COVERED], time >> SHIFT)
    return event_heap.pop(m)


@compiled
def pass_by(m: Memory, horizon: int) -> int:
    """Nothing is due before `horizon`: the buckets go on to it. Always -1."""
    m[Q_COVERED] = max(m[Q_COVERED], horizon >> SHIFT)
    return -1


@compiled
def next_time(m: Memory) -> int:
    """Time of the next event, -1 when there is none."""
    time = -1
    if m[Q_NEXT] < m[Q_LAST]:
        time = m[m[Q_NEXT]]
    elif m[Q_CROWD] >= 0:
        time = m[m[Q_CROWD] + EV_TIME]
    elif m[Q_COUNT] > 0:
        time = buckets.first_time(m, buckets.occupied(m, m[Q_COVERED], m[Q_COVERED] + BUCKETS))
    if m[Q_HEAP] > 0 and (time < 0 or m[event_heap.first(m) + EV_TIME] < time):
        time = m[event_heap.first(m) + EV_TIME]
    return int(time)


@compiled
def remove(m: Memory, node: int) -> None:
    """Take a row, which is queued, out of the queue."""
    number = m[node + EV_TIME] >> SHIFT
    if number >= m[Q_COVERED]:
        if number < m[Q_COVERED] + BUCKETS and buckets.take_out(m, number, node):
            return
    elif agenda.take_out(m, node):
        return
    elif event_chain.holds(m, m[Q_CROWD], node):
        m[Q_CROWD] = event_chain.take_out(m, m[Q_CROWD], node)
        m[Q_COUNT] -= 1
        return
    event_heap.take_out(m, node)
