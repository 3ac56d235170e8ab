"""What an L2 keeps of each class of data (`l2.residency`): tags pinned, and tags that go first.

A pinned tag is never replaced. A set pins at most PIN_WAYS of its tags, as silicon sets a part of its L2 aside for
persisting accesses (CUDA programming guide, "L2 cache set-aside for persisting accesses"); who comes later is kept as
normal data are. Bypassing data take a free place or that of other bypassing data, else none, and pass by: no other
tag is lost to them. Normal and pinned data take the places of bypassing data first. Within each group the replacement
policy chooses.
A tag whose accesses differ is kept by the strongest of them: pin, then normal, then bypass.
Reads that pass by have no tag to meet at, so that two of the same sectors in flight both go to memory.
"""

from sim.memory import tags
from sim.memory.bits import ones
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.layout import AT_CLASSES, AT_RUNS, RUN_COLS, WHAT, Memory
from sim.memory.params import KEEP_CODE, Param
from sim.memory.request import COPY, bytes_of, class_of, is_write

WAYS, REPLACEMENT, GRANULE_SHIFT = int(Param.WAYS), int(Param.REPLACEMENT), int(Param.GRANULE_SHIFT)
PIN_WAYS, KEEP, SECTOR_SHIFT = int(Param.PIN_WAYS), int(Param.KEEP_OTHER), int(Param.SECTOR_SHIFT)
RESIDENCY = int(Param.RESIDENCY)
PIN, BYPASS = KEEP_CODE["pin"], KEEP_CODE["bypass"]
PINNED, GOES_FIRST = 1 << 49, 1 << 50
"""Marks of a state cell (`tags`)."""
N_PINS, N_REFUSED = INDEX["l2_pins"], INDEX["l2_pins_refused"]
N_READ, N_HIT = INDEX["l2_read_other"], INDEX["l2_hit_other"]


@compiled
def class_of_run(m: Memory, run: int) -> int:
    """Class of the data of a run, by the position of its row."""
    return int(m[m[AT_CLASSES] + (run - m[AT_RUNS]) // RUN_COLS])


@inlined
def victim(m: Memory, at: int, row: int, node: int) -> int:
    """Tag cell that a request may replace; -1: none, it passes by."""
    if not m[RESIDENCY]:
        return tags.victim(m, at, row)
    return victim_for(m, at, row, m[KEEP + class_of(m, node)])


@compiled
def victim_for(m: Memory, at: int, row: int, policy: int) -> int:
    """Tag cell that data of a policy may replace, -1 when there is none: free, then what goes first, then unpinned."""
    if m[row + m[WAYS] - 1] == tags.EMPTY:
        return tags.victim(m, at, row)
    cell = among(m, at, row, GOES_FIRST, GOES_FIRST)
    if cell >= 0 or policy == BYPASS:
        return cell
    return among(m, at, row, PINNED, 0)


@compiled
def among(m: Memory, at: int, row: int, mask: int, marks: int) -> int:
    """The replacement policy's choice among the tags that have `marks` under `mask` and nothing in flight, or -1."""
    ways = m[WAYS]
    start = row if m[REPLACEMENT] == tags.LRU else tags.drawn_way(m, at, row)
    best = -1
    for i in range(ways):
        cell = row + (start - row + i) % ways
        if m[cell] & tags.BUSY or m[cell + ways] & mask != marks:
            continue
        if best < 0 or m[cell] & tags.STAMP < m[best] & tags.STAMP:
            best = cell
            if m[REPLACEMENT] == tags.RANDOM or (m[REPLACEMENT] == tags.NRU and not m[cell] & tags.STAMP):
                return int(best)
    if best >= 0 and m[REPLACEMENT] == tags.NRU:
        return forget(m, row, start, mask, marks)
    return int(best)


@compiled
def forget(m: Memory, row: int, start: int, mask: int, marks: int) -> int:
    """All of a group has been used: from now on none has. The first of it from `start` on, and around."""
    ways = m[WAYS]
    first = -1
    for i in range(ways):
        cell = row + (start - row + i) % ways
        if not m[cell] & tags.BUSY and m[cell + ways] & mask == marks:
            m[cell] &= ~tags.STAMP
            if first < 0:
                first = cell
    return int(first)


@compiled
def pinned(m: Memory, row: int) -> int:
    """Number of pinned tags of a set."""
    count = 0
    for cell in range(row + m[WAYS], row + 2 * m[WAYS]):
        count += 1 if m[cell] & PINNED else 0
    return count


@compiled
def mark(m: Memory, row: int, cell: int, policy: int, found: bool) -> None:
    """Mark a tag that data of a policy were found in or put into."""
    state = cell + m[WAYS]
    if policy == BYPASS:
        if not found:
            m[state] |= GOES_FIRST
        return
    m[state] &= ~GOES_FIRST
    if policy == PIN and not m[state] & PINNED:
        if pinned(m, row) < m[PIN_WAYS]:
            m[state] |= PINNED
            m[N_PINS] += 1
        elif not found:
            m[N_REFUSED] += 1


@inlined
def served(m: Memory, node: int, row: int, cell: int, found: bool, miss: int) -> None:
    """A request is served from tag `cell` (-1: from none), where classes are told apart."""
    if m[RESIDENCY]:
        note(m, node, row, cell, found, miss)


@compiled
def note(m: Memory, node: int, row: int, cell: int, found: bool, miss: int) -> None:
    """Mark the tag that serves a request, count by class."""
    cls = class_of(m, node)
    if cell >= 0:
        mark(m, row, cell, m[KEEP + cls], found)
    if not is_write(m, node):
        count = bytes_of(m, node)
        if not m[node + WHAT] & COPY:
            m[N_READ + cls] += count
        m[N_HIT + cls] += count - (ones(miss) << m[SECTOR_SHIFT])


@compiled
def warm(m: Memory, addr: int, count: int, at: int, cls: int) -> None:
    """`tags.warm` for data of a class."""
    row = tags.row_of(m, at, addr)
    granule = addr >> m[GRANULE_SHIFT]
    cell = tags.find(m, row, granule)
    found = cell >= 0
    if not found:
        cell = victim_for(m, at, row, m[KEEP + cls])
        if cell < 0:
            return
        tags.replace(m, at, cell, granule)
    else:
        tags.touch(m, at, cell)
    mark(m, row, cell, m[KEEP + cls], found)
    m[cell + m[WAYS]] |= tags.wanted(m, addr, count)
