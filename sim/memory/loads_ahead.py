"""Which rows a queued event will touch beside its own: they are asked for a little before its time.

Asking for what is not there costs little: a hint cannot fail.
"""

from sim.memory.jit import inlined
from sim.memory.layout import (
    C_PARTNER,
    C_READ_HEAD,
    ENTRY,
    FETCH,
    FILL,
    HOME,
    P_RING,
    S_STALL_HEAD,
    STAGE,
    WAKE,
    Memory,
)
from sim.memory.params import Param
from sim.memory.prefetch import prefetch
from sim.memory.request import slice_at

WAYS, OFF_READS = int(Param.WAYS), int(Param.OFF_READS)


@inlined
def ask_for(m: Memory, node: int) -> None:
    """Ask for what an event will touch beside the beginning of its row."""
    stage = m[node + STAGE]
    if stage == WAKE:
        ask_for_channel(m, node)
        if m[node + C_PARTNER] != node:
            ask_for_channel(m, m[node + C_PARTNER])
        return
    entry = m[node + ENTRY]
    stalled = m[slice_at(m, node) + S_STALL_HEAD]
    if stage == FILL:
        prefetch(m, entry)
        prefetch(m, entry + m[WAYS])
        # the fetch, or what a copy serves: not told apart, since nobody could guess
        prefetch(m, m[node + FETCH])
        prefetch(m, m[node + FETCH] + 8)
        if stalled >= 0:
            prefetch(m, stalled + 8)
            ask_for_set(m, m[stalled + ENTRY])
    elif stalled < 0 or stage == HOME:
        ask_for_set(m, entry)
    else:  # it will wait as well, unless it is a hit
        prefetch(m, entry)
        prefetch(m, entry + 8)


@inlined
def ask_for_channel(m: Memory, c: int) -> None:
    """Ask for a channel's state, and for what arrives at it next."""
    prefetch(m, m[c + C_READ_HEAD])
    prefetch(m, m[c + C_READ_HEAD] + 8)
    for line in range(c + 16, c + m[OFF_READS], 8):
        prefetch(m, line)


@inlined
def ask_for_set(m: Memory, row: int) -> None:
    """Ask for the tags and states of a set."""
    prefetch(m, row)
    prefetch(m, row + 8)
    prefetch(m, row + m[WAYS])
    prefetch(m, row + m[WAYS] + 8)


@inlined
def ask_for_port(m: Memory, sm: int) -> None:
    """Ask for a port's state."""
    for line in range(sm, sm + P_RING, 8):
        prefetch(m, line)
