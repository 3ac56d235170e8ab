"""Which rows a queued event will touch beside its own: they are asked for a little before its time.

Asking for what is not there costs little: a hint cannot fail.
"""

from sim.memory.bits import trailing_zeros
from sim.memory.jit import inlined
from sim.memory.layout import (
    C_CLOSED,
    C_HELD,
    C_PARTNER,
    C_READ_HEAD,
    C_TRAINS,
    ENTRY,
    FETCH,
    FILL,
    P_RING,
    S_STALL_HEAD,
    STAGE,
    WAKE,
    Memory,
)
from sim.memory.params import BANK_COLS, ENTRY_COLS, LINE_CELLS, Param
from sim.memory.prefetch import prefetch
from sim.memory.request import slice_at

WAYS, OFF_BANK, OFF_ENTRIES = int(Param.WAYS), int(Param.OFF_BANK), int(Param.OFF_ENTRIES)


@inlined
def ask_for(m: Memory, node: int) -> None:
    """Ask for what an event will touch beside the beginning of its row. Kinds of requests are not told apart by a
    branch, since nobody could guess: what one of them does not need is asked for in vain.
    """
    stage = m[node + STAGE]
    if stage == WAKE:
        ask_for_lines(m, node + 2 * LINE_CELLS, node + m[OFF_BANK])
        ask_for_lines(m, m[node + C_PARTNER], m[node + C_PARTNER] + m[OFF_BANK])
        ask_for_queue(m, node)
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
    prefetch(m, looks + 16)
    ask_for_set(m, m[looks + ENTRY])


@inlined
def ask_for_queue(m: Memory, c: int) -> None:
    """Ask for the trains that a channel's scheduler sees, banks of reads, and what arrives next. Its header is near.
    Rows of trains that left are used first, so that about as many are in use as there are trains.
    """
    prefetch(m, m[c + C_READ_HEAD])
    prefetch(m, m[c + C_READ_HEAD] + LINE_CELLS)
    banks = m[c + C_CLOSED] | m[c + C_HELD]
    while banks:
        prefetch(m, c + m[OFF_BANK] + trailing_zeros(banks) * BANK_COLS)
        banks &= banks - 1
    ask_for_lines(m, c + m[OFF_ENTRIES], c + m[OFF_ENTRIES] + m[c + C_TRAINS] * ENTRY_COLS)


@inlined
def ask_for_lines(m: Memory, first: int, end: int) -> None:
    """Ask for cells from `first`, where a line begins, up to `end`."""
    for line in range(first, end, LINE_CELLS):
        prefetch(m, line)


@inlined
def ask_for_set(m: Memory, row: int) -> None:
    """Ask for the tags and states of a set."""
    prefetch(m, row)
    prefetch(m, row + 8)
    prefetch(m, row + m[WAYS])
    prefetch(m, row + m[WAYS] + 8)


@inlined
def ask_for_row(m: Memory, node: int) -> None:
    """Ask for what all stages use of a request's row."""
    prefetch(m, node)
    prefetch(m, node + LINE_CELLS)


@inlined
def ask_for_port(m: Memory, sm: int) -> None:
    """Ask for a port's state."""
    for line in range(sm, sm + P_RING, 8):
        prefetch(m, line)
