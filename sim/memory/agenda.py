"""The events that are due next, in order of time: cells of time and row in turn, from Q_NEXT to Q_LAST.

The rows of events that enter are asked for, so that they are near when it is their turn. Only where times are equal
is TIE read, which is in the rows.
"""

from sim.memory.buckets import PLACES, ROW, TIME_SHIFT
from sim.memory.jit import compiled, inlined
from sim.memory.layout import AT_AGENDA, Q_LAST, Q_NEXT, TIE, Memory
from sim.memory.prefetch import prefetch

FEW, ENOUGH = 2 * 16, 2 * 40
"""Cells: with fewer than FEW the list is filled up until there are ENOUGH."""
AGENDA_CELLS = 2 * 128
ROOM = AGENDA_CELLS - 2 * PLACES
"""Cells that may be in use before an event is put in or a bucket is appended."""
SIGN = 63
MISSING = 1 << 40
"""Of a place without an event: behind all events, at a time of its own."""


@inlined
def is_low(m: Memory) -> bool:
    """Whether the list is to be filled up."""
    return bool(m[Q_LAST] - m[Q_NEXT] < FEW)


@inlined
def is_short(m: Memory) -> bool:
    """Whether the list, closed up, is shorter than it should be."""
    return bool(m[Q_LAST] < m[AT_AGENDA] + ENOUGH)


@inlined
def close_up(m: Memory) -> None:
    """Let the list begin at the first of its cells."""
    to = m[AT_AGENDA]
    for at in range(m[Q_NEXT], m[Q_LAST], 2):
        m[to] = m[at]
        m[to + 1] = m[at + 1]
        to += 2
    m[Q_NEXT] = m[AT_AGENDA]
    m[Q_LAST] = to


@inlined
def append(m: Memory, places: int, count: int, begin: int) -> None:
    """Put the `count` events of a bucket that begins at `begin` ps behind all others; there is room for PLACES.

    The order of times is found without a branch: nobody could guess where it goes.
    """
    at = m[Q_LAST]
    m[Q_LAST] = at + 2 * count
    a = m[places]
    alone = (count - 2) >> SIGN  # all ones or none: a branch would be guessed wrong one time in three
    b = (m[places + 1] & ~alone) | (MISSING & alone)
    if count <= 2:  # nearly always
        enter(m, at, begin + (min(a, b) >> TIME_SHIFT), min(a, b) & ROW)
        enter(m, at + 2, begin + (max(a, b) >> TIME_SHIFT), max(a, b) & ROW)
        if (a ^ b) >> TIME_SHIFT == 0:
            settle_ties(m, at)
        return
    c = m[places + 2]
    d = m[places + 3] if count > 3 else 2 * MISSING
    a, b, c, d = min(a, b), max(a, b), min(c, d), max(c, d)
    a, c, b, d = min(a, c), max(a, c), min(b, d), max(b, d)
    b, c = min(b, c), max(b, c)
    enter(m, at, begin + (a >> TIME_SHIFT), a & ROW)
    enter(m, at + 2, begin + (b >> TIME_SHIFT), b & ROW)
    enter(m, at + 4, begin + (c >> TIME_SHIFT), c & ROW)
    enter(m, at + 6, begin + (d >> TIME_SHIFT), d & ROW)
    if ((a ^ b) >> TIME_SHIFT == 0) | ((b ^ c) >> TIME_SHIFT == 0) | ((c ^ d) >> TIME_SHIFT == 0):
        settle_ties(m, at)


@inlined
def enter(m: Memory, at: int, time: int, node: int) -> None:
    """Write one event and ask for its row."""
    m[at] = time
    m[at + 1] = node
    prefetch(m, node)
    prefetch(m, node + 8)


@compiled
def settle_ties(m: Memory, first: int) -> None:
    """Bring the events from cell `first` on, which are in order of time, in order of TIE where times are equal."""
    for at in range(first + 2, m[Q_LAST], 2):
        node, to = m[at + 1], at
        while to > first and m[to - 2] == m[at] and m[node + TIE] < m[m[to - 1] + TIE]:
            m[to + 1] = m[to - 1]
            to -= 2
        m[to + 1] = node


@compiled
def put_in(m: Memory, node: int, time: int) -> bool:
    """Put an event into the list in its order, if there is room."""
    at = m[Q_LAST]
    if at - m[AT_AGENDA] > ROOM:
        return False
    m[Q_LAST] = at + 2
    while at > m[Q_NEXT] and (time < m[at - 2] or (time == m[at - 2] and m[node + TIE] < m[m[at - 1] + TIE])):
        m[at] = m[at - 2]
        m[at + 1] = m[at - 1]
        at -= 2
    m[at] = time
    m[at + 1] = node
    return True


@compiled
def take_out(m: Memory, node: int) -> bool:
    """Take a row out of the list, if it is there."""
    at = m[Q_NEXT]
    while at < m[Q_LAST] and m[at + 1] != node:
        at += 2
    if at == m[Q_LAST]:
        return False
    while at + 2 < m[Q_LAST]:
        m[at] = m[at + 2]
        m[at + 1] = m[at + 3]
        at += 2
    m[Q_LAST] = at
    return True
