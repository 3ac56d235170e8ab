"""A binary heap of events in order of time, then of TIE: for what is farther ahead than the buckets reach.

It has one cell in each request's row, so that both grow together, and as many more as there are channels before them.
"""

from sim.memory.event_chain import before
from sim.memory.jit import compiled, inlined
from sim.memory.layout import AT_HEAP, CHUNK_COLS, EV_TIME, HEAP_SLOT, Q_HEAP, TIE, Memory


@inlined
def is_first(m: Memory, time: int, node: int) -> bool:
    """Whether the first event of the heap, which has one, comes before row `node` at `time`."""
    top = first(m)
    return bool(m[top + EV_TIME] < time or (m[top + EV_TIME] == time and m[top + TIE] < m[node + TIE]))


@inlined
def cell(m: Memory, at: int) -> int:
    return int(m[AT_HEAP] + at * CHUNK_COLS + HEAP_SLOT)


@inlined
def slot(m: Memory, at: int) -> int:
    return int(m[cell(m, at)])


@inlined
def first(m: Memory) -> int:
    return slot(m, 0)


@compiled
def push(m: Memory, node: int) -> None:
    m[Q_HEAP] += 1
    rise(m, m[Q_HEAP] - 1, node)


@compiled
def pop(m: Memory) -> int:
    """The first event."""
    top = first(m)
    m[Q_HEAP] -= 1
    sink(m, 0, slot(m, m[Q_HEAP]))
    return top


@compiled
def take_out(m: Memory, node: int) -> None:
    """Take a row, which is there, out of the heap."""
    at = 0
    while slot(m, at) != node:
        at += 1
    m[Q_HEAP] -= 1
    last = slot(m, m[Q_HEAP])
    if last != node:
        rise(m, at, last)
        sink(m, at, slot(m, at))


@compiled
def rise(m: Memory, at: int, node: int) -> None:
    """Put a row at a free place or above it."""
    while at > 0:
        parent = (at - 1) >> 1
        if not before(m, node, slot(m, parent)):
            break
        m[cell(m, at)] = slot(m, parent)
        at = parent
    m[cell(m, at)] = node


@compiled
def sink(m: Memory, at: int, node: int) -> None:
    """Put a row at a free place or below it."""
    count = m[Q_HEAP]
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and before(m, slot(m, child + 1), slot(m, child)):
            child += 1
        if not before(m, slot(m, child), node):
            break
        m[cell(m, at)] = slot(m, child)
        at = child
    m[cell(m, at)] = node
