"""Functional warming of L2: tags as an earlier, identical launch left them, at no simulated time."""

import numpy as np
from numpy.typing import NDArray

from sim.memory import copies, llc, residency, tags
from sim.memory.assist import sector_of
from sim.memory.fetch_rows import entries_of
from sim.memory.jit import compiled, entry, inlined
from sim.memory.layout import (
    AT_ENTRIES,
    AT_PORTS,
    AT_RUNS,
    P_PART,
    PORT_COLS,
    R_ADDR,
    R_BYTES,
    RUN_COLS,
    Memory,
)
from sim.memory.mapping import channel_at, home_of, slice_of
from sim.memory.params import Param
from sim.memory.pointer import cells
from sim.memory.regions import DataClass

SECTOR, GRANULE_SHIFT, LLC = int(Param.SECTOR), int(Param.GRANULE_SHIFT), int(Param.LLC)
COPIES, RESIDENCY = int(Param.COPIES), int(Param.RESIDENCY)
METADATA = int(DataClass.METADATA)


@inlined
def granule_stop(m: Memory, at: int, end: int) -> int:
    """Where the granule of an address ends, or the range before."""
    return int(min(end, ((at >> m[GRANULE_SHIFT]) + 1) << m[GRANULE_SHIFT]))


@compiled
def warm_range(m: Memory, addr: int, count: int, part: int, written: bool, cls: int) -> None:
    """Walk the sectors of [addr, addr + count), data of class `cls`, in order."""
    sector = m[SECTOR] - 1
    at = addr & ~sector
    end = (addr + count + sector) & ~sector
    while at < end:
        stop = granule_stop(m, at, end)
        warm_slices(m, at, stop - at, part, written, cls)
        if m[LLC]:
            llc.keep(m, channel_at(m, at), at, tags.wanted(m, at, stop - at))
        at = stop


@compiled
def warm_slices(m: Memory, addr: int, count: int, part: int, written: bool, cls: int) -> None:
    """Leave a granule's sectors where an access by an SM of partition `part` leaves them."""
    at = slice_of(m, addr, part)
    if not m[COPIES]:
        leave(m, addr, count, at, cls)
        return
    home = home_of(m, addr)
    if written:
        leave(m, addr, count, home, cls)
        copies.drop(m, addr, tags.wanted(m, addr, count), home)
        return
    if home != at and not tags.holds(m, addr, count, at):
        leave(m, addr, count, home, cls)
    leave(m, addr, count, at, cls)


@compiled
def leave(m: Memory, addr: int, count: int, at: int, cls: int) -> None:
    """An access leaves sectors in slice `at`, as the policy of their class has it."""
    if m[RESIDENCY]:
        residency.warm(m, addr, count, at, cls)
    else:
        tags.warm(m, addr, count, at)


@compiled
def warm_entries(m: Memory, first: int, end: int, part: int) -> None:
    """Walk the sectors that hold entries [first, end) of the block table."""
    before = -1
    for number in range(first, end):
        at = sector_of(m, m[AT_ENTRIES] + number)
        if at != before:
            warm_range(m, at, m[SECTOR], part, False, METADATA)
        before = at


@entry
def warm_fetches(
    m: Memory,
    fetches: NDArray[np.int64],
    sms: NDArray[np.int64],
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    entries: NDArray[np.int64],
) -> None:
    """Walk the runs of `fetches`, in order, each on behalf of its SM and behind its block-table entries, where an
    assist reads those; runs, kinds, entries: of all, as in FetchTable."""
    m = cells(m)
    for i in range(len(fetches)):
        part = m[m[AT_PORTS] + sms[i] * PORT_COLS + P_PART]
        written = kinds[fetches[i]] != 0
        warm_entries(m, *entries_of(entries, fetches[i]), part)
        for number in range(runs[fetches[i]], runs[fetches[i] + 1]):
            run = m[AT_RUNS] + number * RUN_COLS
            cls = residency.class_of_run(m, run) if m[RESIDENCY] else 0
            warm_range(m, m[run + R_ADDR], m[run + R_BYTES], part, written, cls)


@entry
def warm_ranges(
    m: Memory,
    addresses: NDArray[np.int64],
    counts: NDArray[np.int64],
    classes: NDArray[np.int64],
    sm: int,
) -> None:
    """Walk byte ranges in order, on behalf of one SM."""
    m = cells(m)
    part = m[m[AT_PORTS] + sm * PORT_COLS + P_PART]
    for i in range(len(addresses)):
        warm_range(m, addresses[i], counts[i], part, False, classes[i])


@compiled
def is_held(m: Memory, addr: int, count: int, part: int) -> bool:
    """Whether an SM of partition `part` would find a granule's sectors, in L2 or in the cache behind it."""
    if tags.holds(m, addr, count, slice_of(m, addr, part)):
        return True
    if m[COPIES]:
        return tags.holds(m, addr, count, home_of(m, addr))
    return bool(m[LLC] and llc.holds(m, channel_at(m, addr), addr, tags.wanted(m, addr, count)))


@entry
def held_bytes(
    m: Memory, fetches: NDArray[np.int64], sms: NDArray[np.int64], runs: NDArray[np.int64]
) -> tuple[int, int]:
    """(found, all) bytes, in whole sectors, of the runs of `fetches`, each on behalf of its SM; runs: of all, as in
    FetchTable."""
    m = cells(m)
    sector = m[SECTOR] - 1
    held = asked = 0
    for i in range(len(fetches)):
        part = m[m[AT_PORTS] + sms[i] * PORT_COLS + P_PART]
        for number in range(runs[fetches[i]], runs[fetches[i] + 1]):
            run = m[AT_RUNS] + number * RUN_COLS
            at = m[run + R_ADDR] & ~sector
            end = (m[run + R_ADDR] + m[run + R_BYTES] + sector) & ~sector
            asked += end - at
            while at < end:
                stop = granule_stop(m, at, end)
                held += stop - at if is_held(m, at, stop - at, part) else 0
                at = stop
    return held, asked
