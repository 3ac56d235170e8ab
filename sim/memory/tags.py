"""Tags of the sectored L2: which sectors are valid, in flight or dirty, and who is replaced.

A tag covers a granule: a channel-interleave block, up to 16 sectors, or less where the pieces that are read are
smaller (`granule`). When whole granules are accessed their lines would move through their sets in lockstep, so one
tag for all of them is exact; a granule of which only some lines are used still holds the place of all.

A set is a row of `ways` tag cells, then as many state cells, then as many heads of waiting lists. A tag
cell packs the granule's number (bits 33 and up), whether anything of it is in flight (bit 32: never
replaced), and the slice's counter at its last use (bits 0-31). A state cell packs valid (0-15), in-flight
(16-31) and dirty (32-47) sectors, whether anyone waits in its list (48), and two marks of `residency` (49-50): so
the heads, a third of a set, are not touched where nobody waits.

Replacement `nru` (not recently used) takes, at random, one of those that were not used since all of the set had
been: a cycle over twice the capacity finds next to nothing, as with LRU, but one just over it still finds most.
"""

from sim.memory.bits import TOGETHER, equal, trailing_zeros
from sim.memory.division import remainder
from sim.memory.jit import compiled, inlined
from sim.memory.layout import AT_TAGS, S_STAMP, S_TAGS, Memory
from sim.memory.mapping import mix, set_of
from sim.memory.params import REPLACEMENT_CODE, Param

WAYS, REPLACEMENT, SECTOR_SHIFT = int(Param.WAYS), int(Param.REPLACEMENT), int(Param.SECTOR_SHIFT)
GRANULE_SHIFT = int(Param.GRANULE_SHIFT)
LRU, RANDOM, NRU = (REPLACEMENT_CODE[name] for name in ("lru", "random", "nru"))
TAG_SHIFT = 33
BUSY = 1 << 32
STAMP = BUSY - 1
TAG = -1 << TAG_SHIFT
EMPTY = TAG
SECTORS = 0xFFFF
FLIGHT_SHIFT = 16
DIRTY_SHIFT = 32
FLIGHT = SECTORS << FLIGHT_SHIFT
WAITED = 1 << 48
ROW_ARRAYS = 3
WAY_BITS = 24
"""More than a way's number has."""


@inlined
def row_of(m: Memory, at: int, addr: int) -> int:
    """Position of the row that can hold an address, in slice `at`."""
    return int(m[at + S_TAGS] + set_of(m, addr) * ROW_ARRAYS * m[WAYS])


@inlined
def find(m: Memory, row: int, granule: int) -> int:
    """Tag cell of a granule, -1 when absent. Compares several ways at a time, and what follows the last of them."""
    end = row + m[WAYS]
    for at in range(row, end, TOGETHER):
        found = equal(m, at, TAG, granule << TAG_SHIFT)
        if found:
            cell = at + trailing_zeros(found)
            return cell if cell < end else -1
    return -1


@inlined
def wanted(m: Memory, addr: int, count: int) -> int:
    """Mask of the granule's sectors that `count` bytes from `addr` on cover; both are whole sectors."""
    first = (addr & ((1 << m[GRANULE_SHIFT]) - 1)) >> m[SECTOR_SHIFT]
    return int(((1 << (count >> m[SECTOR_SHIFT])) - 1) << first)


@inlined
def touch(m: Memory, at: int, cell: int) -> None:
    """Note that a granule was used."""
    m[at + S_STAMP] += 1
    m[cell] = (m[cell] & ~STAMP) | (m[at + S_STAMP] & STAMP)


@inlined
def victim(m: Memory, at: int, row: int) -> int:
    """Tag cell to replace: free, else by the policy; -1 when all are in flight. Ways fill in order and stay full."""
    end = row + m[WAYS]
    if m[end - 1] == EMPTY:
        return int(end - count_empty(m, row))
    if m[REPLACEMENT] == LRU:
        return least_recent(m, row, end)
    start = drawn_way(m, at, row)
    if m[REPLACEMENT] == NRU:
        cell = first_without(m, row, start, end, BUSY | STAMP)
        if cell >= 0:
            return cell
        forget(m, row)
    return first_without(m, row, start, end, BUSY)


@inlined
def count_empty(m: Memory, row: int) -> int:
    """Number of empty ways of a set."""
    count = 0
    for cell in range(row, row + m[WAYS]):
        count += 1 if m[cell] == EMPTY else 0
    return count


@compiled
def drawn_way(m: Memory, at: int, row: int) -> int:
    """A tag cell of a row, at random."""
    drawn = m[at + S_STAMP] + row - m[AT_TAGS]
    # one hash alone would step through the ways in turn
    return int(row + remainder(m, mix(mix(drawn) * mix(drawn + 1)), WAYS))


@inlined
def least_recent(m: Memory, row: int, end: int) -> int:
    """Tag cell of a row that was used least recently; -1 when all are in flight.

    Stamp and way are compared as one number, of all ways, which the compiler does several at a time.
    """
    best = BUSY << WAY_BITS
    for way in range(end - row):
        best = min(best, (m[row + way] & (BUSY | STAMP)) << WAY_BITS | way)
    return int(row + (best & ((1 << WAY_BITS) - 1))) if best < BUSY << WAY_BITS else -1


@compiled
def first_without(m: Memory, row: int, start: int, end: int, marks: int) -> int:
    """First tag cell of a row, from `start` on and around, that has none of these bits; -1 when there is none."""
    for cell in range(start, end):
        if not m[cell] & marks:
            return cell
    for cell in range(row, start):
        if not m[cell] & marks:
            return cell
    return -1


@compiled
def forget(m: Memory, row: int) -> None:
    """All of a set has been used: from now on none has, but what is in flight."""
    for cell in range(row, row + m[WAYS]):
        if not m[cell] & BUSY:
            m[cell] &= ~STAMP


@inlined
def replace(m: Memory, at: int, cell: int, granule: int) -> None:
    """Put a granule, all sectors invalid, in place of what `cell` held."""
    m[cell] = granule << TAG_SHIFT
    m[cell + m[WAYS]] = 0
    touch(m, at, cell)


@compiled
def holds(m: Memory, addr: int, count: int, at: int) -> bool:
    """Whether slice `at` has all sectors of `count` bytes from `addr` on, all in one granule."""
    cell = find(m, row_of(m, at, addr), addr >> m[GRANULE_SHIFT])
    return bool(cell >= 0 and not wanted(m, addr, count) & ~m[cell + m[WAYS]])


@compiled
def warm(m: Memory, addr: int, count: int, at: int) -> None:
    """Make the sectors of `count` bytes from `addr` on, all in one granule, present, as after a read of
    them.
    """
    row = row_of(m, at, addr)
    granule = addr >> m[GRANULE_SHIFT]
    cell = find(m, row, granule)
    if cell < 0:
        cell = victim(m, at, row)
        replace(m, at, cell, granule)
    else:
        touch(m, at, cell)
    m[cell + m[WAYS]] |= wanted(m, addr, count)
