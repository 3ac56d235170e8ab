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
    """Ask for what an event will touch beside the beginning of its row. Kinds of requests are not told apart by a
    branch, since nobody could guess: what one of them does not need is asked for in vain.
    """
    stage = m[node + STAGE]
    if stage == WAKE:
        ask_for_channel(m, node)
        if m[node + C_PARTNER] != node:
            ask_for_channel(m, m[node + C_PARTNER])
        return
    # of data that come back, the tag; the fetch, or what a copy serves
    prefetch(m, m[node + ENTRY])
    prefetch(m, m[node + ENTRY] + m[WAYS])
    prefetch(m, m[node + FETCH])
    prefetch(m, m[node + FETCH] + 8)
    # whoever looks a set up: who waits for MSHRs when data come back, else the request
    stalled = m[slice_at(m, node) + S_STALL_HEAD]
    looks = stalled if stage == FILL and stalled >= 0 else node
    prefetch(m, looks + 8)
    ask_for_set(m, m[looks + ENTRY])


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
