"""Chains of queued events in order of time: TIE breaks equal times, and what is alike in both keeps its order.

Chains of one event or two are common; at the start of a launch, when all SMs ask at once, they have hundreds.
"""

from sim.memory.jit import compiled, inlined
from sim.memory.layout import EV_NEXT, EV_TIME, TIE, Memory


@inlined
def before(m: Memory, a: int, b: int) -> bool:
    """Whether event a comes first."""
    ta = m[a + EV_TIME]
    tb = m[b + EV_TIME]
    return bool(ta < tb or (ta == tb and m[a + TIE] < m[b + TIE]))


@inlined
def arranged(m: Memory, first: int) -> int:
    """Bring a chain, in which what was queued last comes first, in order; returns its first event."""
    second = m[first + EV_NEXT]
    if second < 0:
        return first
    if m[second + EV_NEXT] >= 0:
        return merge_sorted(m, first)
    if before(m, first, second):
        return first
    m[second + EV_NEXT] = first
    m[first + EV_NEXT] = -1
    return int(second)


@compiled
def merge_sorted(m: Memory, first: int) -> int:
    """The same for longer chains: sorted pieces of 1, 2, 4 ... events are merged pair by pair."""
    width = 1
    while True:
        rest = first
        first = last = -1
        pieces = 0
        while rest >= 0:
            pieces += 1
            later, left, right = rest, 0, width  # queued later, hence behind what is alike
            while left < width and rest >= 0:
                rest = m[rest + EV_NEXT]
                left += 1
            while left > 0 or (right > 0 and rest >= 0):
                if left == 0 or (right > 0 and rest >= 0 and not before(m, later, rest)):
                    node = rest
                    rest = m[rest + EV_NEXT]
                    right -= 1
                else:
                    node = later
                    later = m[later + EV_NEXT]
                    left -= 1
                if last < 0:
                    first = node
                else:
                    m[last + EV_NEXT] = node
                last = node
        m[last + EV_NEXT] = -1
        if pieces <= 1:
            return int(first)
        width *= 2


@compiled
def put_in(m: Memory, first: int, node: int) -> int:
    """Put an event into a chain that is in order, behind what is alike; returns the chain's first event."""
    if first < 0 or before(m, node, first):
        m[node + EV_NEXT] = first
        return node
    at = first
    following = m[at + EV_NEXT]
    while following >= 0 and not before(m, node, following):
        at = following
        following = m[at + EV_NEXT]
    m[at + EV_NEXT] = node
    m[node + EV_NEXT] = following
    return first
