"""Functional warming of L2: tags as an earlier, identical launch left them, at no simulated time."""

import numpy as np
from numpy.typing import NDArray

from sim.memory import copies, llc, tags
from sim.memory.jit import compiled, entry
from sim.memory.layout import (
    AT_FETCHES,
    AT_PORTS,
    F_KIND,
    F_RUN,
    F_RUN_END,
    FETCH_COLS,
    P_PART,
    PORT_COLS,
    R_ADDR,
    R_BYTES,
    RUN_COLS,
    Memory,
)
from sim.memory.mapping import home_of, place, slice_of
from sim.memory.params import Param
from sim.memory.pointer import cells

SECTOR, GRANULE_SHIFT, LLC = int(Param.SECTOR), int(Param.GRANULE_SHIFT), int(Param.LLC)
COPIES = int(Param.COPIES)


@compiled
def warm_range(m: Memory, addr: int, count: int, part: int, written: bool) -> None:
    """Walk the sectors of [addr, addr + count) in order."""
    sector = m[SECTOR] - 1
    at = addr & ~sector
    end = (addr + count + sector) & ~sector
    while at < end:
        stop = min(end, ((at >> m[GRANULE_SHIFT]) + 1) << m[GRANULE_SHIFT])
        warm_slices(m, at, stop - at, part, written)
        if m[LLC]:
            llc.keep(m, place(m, at)[0], at, tags.wanted(m, at, stop - at))
        at = stop


@compiled
def warm_slices(m: Memory, addr: int, count: int, part: int, written: bool) -> None:
    """Leave a granule's sectors where an access by an SM of partition `part` leaves them."""
    at = slice_of(m, addr, part)
    if not m[COPIES]:
        tags.warm(m, addr, count, at)
        return
    home = home_of(m, addr)
    if written:
        tags.warm(m, addr, count, home)
        copies.drop(m, addr, tags.wanted(m, addr, count), home)
        return
    if home != at and not tags.holds(m, addr, count, at):
        tags.warm(m, addr, count, home)
    tags.warm(m, addr, count, at)


@entry
def warm_fetches(m: Memory, fetches: NDArray[np.int64], sms: NDArray[np.int64]) -> None:
    """Walk the runs of `fetches`, in order, each on behalf of its SM."""
    m = cells(m)
    for i in range(len(fetches)):
        part = m[m[AT_PORTS] + sms[i] * PORT_COLS + P_PART]
        f = m[AT_FETCHES] + fetches[i] * FETCH_COLS
        for run in range(m[f + F_RUN], m[f + F_RUN_END], RUN_COLS):
            warm_range(m, m[run + R_ADDR], m[run + R_BYTES], part, m[f + F_KIND] != 0)


@entry
def warm_ranges(m: Memory, addresses: NDArray[np.int64], counts: NDArray[np.int64], sm: int) -> None:
    """Walk byte ranges in order, on behalf of one SM."""
    m = cells(m)
    part = m[m[AT_PORTS] + sm * PORT_COLS + P_PART]
    for i in range(len(addresses)):
        warm_range(m, addresses[i], counts[i], part, False)
