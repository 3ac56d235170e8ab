"""Fields of a request's row that share a cell, so that what every stage uses fits two cache lines."""

from sim.memory.jit import inlined
from sim.memory.layout import PATH, PLACE, WHAT, Memory

WRITES, WALKER, COPY = 1, 2, 4
"""Marks in WHAT: a write; a block-table walker's read; a copy's read, on behalf of the request in FETCH. Behind them
lie the size in bytes and two masks of the granule's sectors: what the request is for, what it fetches itself."""
SIZE_SHIFT, WANT_SHIFT, OWN_SHIFT = 3, 27, 43
SIZE = (1 << (WANT_SHIFT - SIZE_SHIFT)) - 1
SECTORS = (1 << (OWN_SHIFT - WANT_SHIFT)) - 1
SM_SHIFT = 32
HANDLE = (1 << SM_SHIFT) - 1
BANK_SHIFT, ROW_SHIFT = 8, 16
BYTE = (1 << BANK_SHIFT) - 1
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
def place_in(bank: int, row: int, accesses: int) -> int:
    """PLACE of a train of up to 16 accesses in its channel."""
    return row << ROW_SHIFT | bank << BANK_SHIFT | accesses


@inlined
def bank_of(m: Memory, node: int) -> int:
    return int((m[node + PLACE] >> BANK_SHIFT) & BYTE)


@inlined
def row_of(m: Memory, node: int) -> int:
    return int(m[node + PLACE] >> ROW_SHIFT)


@inlined
def accesses_of(m: Memory, node: int) -> int:
    return int(m[node + PLACE] & BYTE)
