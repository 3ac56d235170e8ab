"""An SM's port: which L2 it reads through, and the line of tiles and look-ups in front of it, first come first served,
in a ring."""

from sim.coarse import columns as c
from sim.coarse.jit import inlined
from sim.coarse.state import P_COUNT, P_HEAD, Grid, State
from sim.coarse.units import SM_COLS


@inlined
def group_of(d: Grid, sm: int) -> int:
    """Number of the SM's group: those of one partition, where each has an L2 or copies of its own."""
    return int(sm % d.p[c.GROUPS])


@inlined
def wrapped(place: int, length: int) -> int:
    """A place of a ring that is less than twice around."""
    return place if place < length else place - length


@inlined
def join(d: Grid, s: State, sm: int, in_line: int) -> None:
    """Put a slot's next tile, or its look-up, in line at its port."""
    room = d.p[c.ROOM]
    place = wrapped(s.sms[sm * SM_COLS + P_HEAD] + s.sms[sm * SM_COLS + P_COUNT], room)
    s.waiting[sm * room + place] = in_line
    s.sms[sm * SM_COLS + P_COUNT] += 1


@inlined
def pass_on(d: Grid, s: State, sm: int) -> None:
    """What was first in line at a port has left."""
    s.sms[sm * SM_COLS + P_HEAD] = wrapped(s.sms[sm * SM_COLS + P_HEAD] + 1, d.p[c.ROOM])
    s.sms[sm * SM_COLS + P_COUNT] -= 1
