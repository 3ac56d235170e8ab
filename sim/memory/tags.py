"""Tags of the sectored L2: which sectors of a line are valid, in flight or dirty, and who is replaced.

`meta` packs one line's state: bits 0-7 valid sectors, 8-15 sectors in flight, 16-23 dirty sectors, above them the time of
last use as the slice's counter. Lines in flight are never replaced.
"""

from sim.memory.jit import compiled
from sim.memory.layout import S_STAMP, S_TAGS, Memory
from sim.memory.mapping import mix, set_of
from sim.memory.params import Param

WAYS, SETS, RANDOM, LINE, SECTOR = (
    int(Param.WAYS),
    int(Param.SETS),
    int(Param.RANDOM),
    int(Param.LINE),
    int(Param.SECTOR),
)
SECTORS = 0xFF
FLIGHT_SHIFT = 8
DIRTY_SHIFT = 16
STAMP_SHIFT = 24
FLIGHT = SECTORS << FLIGHT_SHIFT
STATE_BITS = (1 << STAMP_SHIFT) - 1


@compiled
def row_of(m: Memory, at: int, addr: int) -> int:
    """Row of `tags` for an address in slice `at`."""
    return int(m[at + S_TAGS] + set_of(m, addr) * 3 * m[WAYS])


@compiled
def find(m: Memory, row: int, line: int) -> int:
    """Way of a line, -1 when absent."""
    found = -1
    for way in range(m[WAYS]):
        if m[row + way] == line:
            found = way
    return found


@compiled
def wanted(m: Memory, line: int, lo: int, hi: int) -> int:
    """Mask of the sectors of `line` that [lo, hi) covers; lo and hi are multiples of a sector."""
    base = line * m[LINE]
    first = max(lo - base, 0) // m[SECTOR]
    last = min(hi - base, m[LINE]) // m[SECTOR]
    return int((1 << last) - (1 << first))


@compiled
def touch(m: Memory, at: int, row: int, way: int) -> None:
    m[at + S_STAMP] += 1
    m[row + m[WAYS] + way] = (m[row + m[WAYS] + way] & STATE_BITS) | (m[at + S_STAMP] << STAMP_SHIFT)


@compiled
def victim(m: Memory, at: int, row: int) -> int:
    """Way to replace: free, else least recently used or random; -1 when all are in flight."""
    ways = m[WAYS]
    best = -1
    least = 0
    for way in range(ways):
        state = m[row + m[WAYS] + way]
        if not state & FLIGHT and (best < 0 or state < least):
            best = way
            least = state
    if m[RANDOM] and best >= 0 and m[row + best] >= 0:
        start = mix(m[at + S_STAMP] * 31 + row) % ways
        for i in range(ways):
            way = (start + i) % ways
            if not m[row + m[WAYS] + way] & FLIGHT:
                return int(way)
    return best


@compiled
def replace(m: Memory, at: int, row: int, way: int, line: int) -> None:
    """Put a line, all sectors invalid, in place of what `way` held."""
    m[row + way] = line
    m[row + m[WAYS] + way] = 0
    touch(m, at, row, way)


@compiled
def warm(m: Memory, lines: int, addr: int, part: int, at: int) -> None:
    """Make `lines` lines from `addr` on (all in one block of slice `at`) present, as after a read of them."""
    full = (1 << (m[LINE] // m[SECTOR])) - 1
    for i in range(lines):
        here = addr + i * m[LINE]
        row = row_of(m, at, here)
        line = here // m[LINE]
        way = find(m, row, line)
        if way < 0:
            way = victim(m, at, row)
            replace(m, at, row, way, line)
        touch(m, at, row, way)
        m[row + m[WAYS] + way] |= full
