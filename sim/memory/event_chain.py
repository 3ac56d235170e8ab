"""Chains of queued events in order of time: TIE breaks equal times, and what is alike in both keeps its order.

They are for crowds: at the start of a launch, when all SMs ask at once, hundreds of events share a bucket.
"""

from sim.memory.jit import compiled, inlined
from sim.memory.layout import EV_TIME, LINK, TIE, Memory


@inlined
def before(m: Memory, a: int, b: int) -> bool:
    """Whether event a comes first."""
    ta = m[a + EV_TIME]
    tb = m[b + EV_TIME]
    return bool(ta < tb or (ta == tb and m[a + TIE] < m[b + TIE]))


@compiled
def arranged(m: Memory, first: int) -> int:
    """Bring a chain, in which what was queued last comes first, in order; returns its first event. Sorted pieces of
    1, 2, 4 ... events are merged pair by pair.
    """
    width = 1
    while True:
        rest = first
        first = last = -1
        pieces = 0
        while rest >= 0:
            pieces += 1
            later, left, right = rest, 0, width  # queued later, hence behind what is alike
            while left < width and rest >= 0:
                rest = m[rest + LINK]
                left += 1
            while left > 0 or (right > 0 and rest >= 0):
                if left == 0 or (right > 0 and rest >= 0 and not before(m, later, rest)):
                    node = rest
                    rest = m[rest + LINK]
                    right -= 1
                else:
                    node = later
                    later = m[later + LINK]
                    left -= 1
                if last < 0:
                    first = node
                else:
                    m[last + LINK] = node
                last = node
        m[last + LINK] = -1
        if pieces <= 1:
            return int(first)
        width *= 2


@compiled
def put_in(m: Memory, first: int, node: int) -> int:
    """Put an event into a chain that is in order, behind what is alike; returns the chain's first event."""
    if first < 0 or before(m, node, first):
        m[node + LINK] = first
        return node
    at = first
    following = m[at + LINK]
    while following >= 0 and not before(m, node, following):
        at = following
        following = m[at + LINK]
    m[at + LINK] = node
    m[node + LINK] = following
    return first


@compiled
def holds(m: Memory, first: int, node: int) -> bool:
    """Whether an event is in a chain, which may be empty (first: -1)."""
    while first >= 0 and first != node:
        first = m[first + LINK]
    return first == node


@compiled
def take_out(m: Memory, first: int, node: int) -> int:
    """Take an event, which is there, out of a chain; returns the chain's first event, -1 when there is none left."""
    if first == node:
        return int(m[node + LINK])
    at = first
    while m[at + LINK] != node:
        at = m[at + LINK]
    m[at + LINK] = m[node + LINK]
    return first
