"""Which rows a queued event will touch beside its own: they are asked for a little before its time.

Asking for what is not there costs little: a hint cannot fail.
"""

from sim.memory.bits import trailing_zeros
from sim.memory.jit import inlined
from sim.memory.layout import (
    ARRIVE,
    C_CLOSED,
    C_HELD,
    C_PARTNER,
    C_READ_HEAD,
    C_TRAINS,
    FILL,
    HOME,
    P_RING,
    S_STALL_HEAD,
    STAGE,
    WAKE,
    Memory,
)
from sim.memory.params import (
    BANK_COLS,
    ENTRY_COLS,
    GROUP_COLS,
    LINE_CELLS,
    OFF_BANK,
    OFF_ENTRIES,
    OFF_GROUP,
    Param,
)
from sim.memory.prefetch import prefetch
from sim.memory.request import channel_of, entry_of, fetch_of, slice_at

WAYS, BANK_GROUPS = int(Param.WAYS), int(Param.BANK_GROUPS)


@inlined
def ask_for(m: Memory, node: int) -> None:
    """Ask for what an event will touch beside the beginning of its row. Kinds of requests are not told apart by a
    branch, since nobody could guess: where one of them does not need something, what is near is asked for again.
    """
    stage = m[node + STAGE]
    if stage == WAKE:
        header = OFF_GROUP + GROUP_COLS * m[BANK_GROUPS]
        ask_for_lines(m, node + 2 * LINE_CELLS, node + header)
        ask_for_lines(m, m[node + C_PARTNER], m[node + C_PARTNER] + header)
        ask_for_queue(m, node)
        return
    stalled = m[slice_at(m, node) + S_STALL_HEAD]
    comes = (stage == ARRIVE) | (stage == HOME)
    queues = (stage == ARRIVE) & (stalled >= 0)  # mostly a miss, which sees no more than the tags of its set
    # of data that come back: the fetch, or what a copy serves
    fetch = fetch_of(m, node)
    served = node if comes else fetch
    prefetch(m, served)
    prefetch(m, served + LINE_CELLS)
    ways = m[WAYS]
    states = 0 if queues else ways
    own = entry_of(m, node)
    prefetch(m, own)
    prefetch(m, own + states)
    # whoever looks a set up, and will mostly go to memory: who waits for MSHRs when data come back, else the request
    looks = stalled if (stage == FILL) & (stalled >= 0) else node
    prefetch(m, looks + LINE_CELLS)
    ask_for_set(m, entry_of(m, looks), states)
    channel = channel_of(m, looks)
    prefetch(m, node if queues else channel)


@inlined
def ask_for_queue(m: Memory, c: int) -> None:
    """Ask for the trains that a channel's scheduler sees, banks of reads, and what arrives next. Its header is near.
    Rows of trains that left are used first, so that about as many are in use as there are trains.
    """
    prefetch(m, m[c + C_READ_HEAD])
    prefetch(m, m[c + C_READ_HEAD] + LINE_CELLS)
    banks = m[c + C_CLOSED] | m[c + C_HELD]
    while banks:
        prefetch(m, c + OFF_BANK + trailing_zeros(banks) * BANK_COLS)
        banks &= banks - 1
    ask_for_lines(m, c + OFF_ENTRIES, c + OFF_ENTRIES + m[c + C_TRAINS] * ENTRY_COLS)


@inlined
def ask_for_lines(m: Memory, first: int, end: int) -> None:
    """Ask for cells from `first`, where a line begins, up to `end`."""
    for line in range(first, end, LINE_CELLS):
        prefetch(m, line)


@inlined
def ask_for_set(m: Memory, row: int, states: int) -> None:
    """Ask for the tags of a set, and for what lies `states` cells behind: its states, or the tags once more."""
    prefetch(m, row)
    prefetch(m, row + LINE_CELLS)
    prefetch(m, row + states)
    prefetch(m, row + states + LINE_CELLS)


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
