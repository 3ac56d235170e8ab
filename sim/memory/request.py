"""Fields of a request's row that share a cell, so that what every stage uses fits two cache lines."""

from sim.memory.jit import inlined
from sim.memory.layout import AT_CHANNELS, GOAL, PATH, PLACE, WHAT, Memory
from sim.memory.params import Param

WRITES, WALKER, COPY, AWAY = 1, 2, 4, 8
"""Marks in WHAT: a write; a block-table walker's read; a copy's read, on behalf of the request in GOAL; a read through
a slice that is not the home of its data (`copies`). Behind them lie the size in bytes and two masks of the granule's
sectors: what the request is for, what it fetches itself."""
CHAN_COLS = int(Param.CHAN_COLS)
SIZE_SHIFT, WANT_SHIFT, OWN_SHIFT = 4, 27, 43
SIZE = (1 << (WANT_SHIFT - SIZE_SHIFT)) - 1
SECTORS = (1 << (OWN_SHIFT - WANT_SHIFT)) - 1
SM_SHIFT = FETCH_SHIFT = 32
HANDLE = (1 << SM_SHIFT) - 1
BANK_SHIFT, ROW_SHIFT, CHANNEL_SHIFT = 8, 16, 48
"""Of PLACE: where a request's data lie in memory. Its lowest byte is the class of the data (`regions.DataClass`), where
the L2 tells classes apart, until memory is asked: from then on the accesses of the train."""
BYTE = (1 << BANK_SHIFT) - 1
ROW = (1 << (CHANNEL_SHIFT - ROW_SHIFT)) - 1
CHECKED = 1 << (BANK_SHIFT - 1)
"""Mark in PLACE of a train that is being served: its check bits are known (`hbm_ecc`)."""


@inlined
def what(size: int, marks: int) -> int:
    """WHAT of `size` bytes, its masks still empty."""
    return size << SIZE_SHIFT | marks


@inlined
def bytes_of(m: Memory, node: int) -> int:
    return int((m[node + WHAT] >> SIZE_SHIFT) & SIZE)


@inlined
def is_write(m: Memory, node: int) -> int:
    return int(m[node + WHAT] & WRITES)


@inlined
def wants(m: Memory, node: int) -> int:
    """Mask of the granule's sectors that a request is for."""
    return int((m[node + WHAT] >> WANT_SHIFT) & SECTORS)


@inlined
def owns(m: Memory, node: int) -> int:
    """Mask of the sectors that a request itself fetches (or writes back)."""
    return int(m[node + WHAT] >> OWN_SHIFT)


@inlined
def goal(fetch: int, entry: int) -> int:
    """GOAL of a request: what it is for, the row of a fetch or of the request that a copy serves, and where in L2 it
    looks: the row of its set, from when it is served on its tag cell, 0 where it has none.
    """
    return fetch << FETCH_SHIFT | entry


@inlined
def fetch_of(m: Memory, node: int) -> int:
    return int(m[node + GOAL] >> FETCH_SHIFT)


@inlined
def entry_of(m: Memory, node: int) -> int:
    return int(m[node + GOAL] & HANDLE)


@inlined
def set_entry(m: Memory, node: int, entry: int) -> None:
    m[node + GOAL] = (m[node + GOAL] & ~HANDLE) | entry


@inlined
def path(sm: int, at: int) -> int:
    """PATH between SM `sm` (-1: none) and slice `at`."""
    return sm << SM_SHIFT | at


@inlined
def sm_of(m: Memory, node: int) -> int:
    """Handle of the SM's port, -1 for a write-back."""
    return int(m[node + PATH] >> SM_SHIFT)


@inlined
def slice_at(m: Memory, node: int) -> int:
    """Handle of the slice that a request is at, or on its way to."""
    return int(m[node + PATH] & HANDLE)


@inlined
def place_in(channel: int, bank: int, row: int) -> int:
    """PLACE of data of no class, by numbers."""
    return channel << CHANNEL_SHIFT | row << ROW_SHIFT | bank << BANK_SHIFT


@inlined
def channel_of(m: Memory, node: int) -> int:
    """Handle of a request's channel."""
    return int(m[AT_CHANNELS] + (m[node + PLACE] >> CHANNEL_SHIFT) * m[CHAN_COLS])


@inlined
def bank_of(m: Memory, node: int) -> int:
    return int((m[node + PLACE] >> BANK_SHIFT) & BYTE)


@inlined
def row_of(m: Memory, node: int) -> int:
    return int((m[node + PLACE] >> ROW_SHIFT) & ROW)


@inlined
def class_of(m: Memory, node: int) -> int:
    return int(m[node + PLACE] & BYTE)


@inlined
def accesses_of(m: Memory, node: int) -> int:
    return int(m[node + PLACE] & BYTE)
