"""Which banks of a channel its visible trains are after: those that hold the row of one, and those that do not.

Two masks of banks for each direction, so that no look walks through the queue for them: `held`, where a train hits the
open row, and `closed`, where one waits for another row. A bank counts the trains behind its bits.
"""

from sim.memory.jit import compiled, inlined
from sim.memory.layout import C_CAPPED, C_CLOSED, C_HELD, C_START, Memory
from sim.memory.params import BANK_COLS, ENTRY_COLS, Param

# State of a bank: open row, when it was opened, when the next ACT and PRE may go, accesses since it was opened,
# its last column command; its bank group; the visible trains that are for it, by direction, waiting or hits.
B_ROW, B_OPENED, B_ACT, B_PRE, B_HITS, B_USED, B_GROUP, B_TRAINS = range(8)
# A train that the scheduler sees: its request, bank, row; when its row is (or will be) open, NEVER while it
# is not; the cell that says when its bank group is free; accesses still to be served; when all of it would have been
# served if nothing had been in its way, but for its row, which took E_OPEN.
E_NODE, E_BANK, E_ROW, E_READY, E_GROUP, E_LEFT, E_ALONE, E_OPEN = range(8)

OFF_BANK, OFF_READS, OFF_WRITES = int(Param.OFF_BANK), int(Param.OFF_READS), int(Param.OFF_WRITES)
RCD, RCD_WR = int(Param.RCD), int(Param.RCD_WR)
NEVER = 1 << 62
WAITS, HITS, DIRECTION = 0, 15, 30
"""Of B_TRAINS: positions of the counts, those of writes DIRECTION further up."""
COUNT = (1 << HITS) - 1
ANY_HIT = COUNT << HITS | COUNT << HITS + DIRECTION


@inlined
def enters(m: Memory, c: int, entry: int, writing: int) -> None:
    """The scheduler sees a train from now on."""
    bank = m[entry + E_BANK]
    hit = m[entry + E_READY] < NEVER
    m[c + m[OFF_BANK] + bank * BANK_COLS + B_TRAINS] += 1 << (DIRECTION * writing + (HITS if hit else WAITS))
    m[c + (C_HELD if hit else C_CLOSED) + writing] |= 1 << bank


@inlined
def leaves(m: Memory, c: int, entry: int, writing: int) -> None:
    """A train, a hit, is served."""
    bank = m[entry + E_BANK]
    at = c + m[OFF_BANK] + bank * BANK_COLS + B_TRAINS
    shift = DIRECTION * writing + HITS
    m[at] -= 1 << shift
    if not (m[at] >> shift) & COUNT:
        m[c + C_HELD + writing] &= ~(1 << bank)


@inlined
def awaited(m: Memory, c: int, bank: int) -> bool:
    """Whether a visible train hits the open row of `bank`."""
    return bool(m[c + m[OFF_BANK] + bank * BANK_COLS + B_TRAINS] & ANY_HIT)


@inlined
def tell(m: Memory, entry: int, count: int, bank: int, row: int, ready: int) -> int:
    """Tell the `count` trains of a bank, in the queue that begins at `entry`, that `row` is open; how many hit it."""
    hits = 0
    while count:
        if m[entry + E_BANK] == bank:
            count -= 1
            hit = m[entry + E_ROW] == row
            m[entry + E_READY] = ready if hit else NEVER
            hits += hit
        entry += ENTRY_COLS
    return hits


@inlined
def note(m: Memory, c: int, bank: int, writing: int, waits: int, hits: int) -> None:
    """So many trains of a bank's queue wait, so many hit."""
    bit = 1 << bank
    closed = c + C_CLOSED + writing
    held = c + C_HELD + writing
    m[closed] = m[closed] | bit if waits else m[closed] & ~bit
    m[held] = m[held] | bit if hits else m[held] & ~bit


@inlined
def opened(m: Memory, c: int, entry: int, writing: int, time: int) -> None:
    """The row of `entry` was opened at `time`; it is the first train of its bank in its queue."""
    bank = m[entry + E_BANK]
    reads = c + m[OFF_READS] if writing else entry
    writes = entry if writing else c + m[OFF_WRITES]
    tell_both(m, c, bank, m[entry + E_ROW], time, reads, writes)


@inlined
def closed(m: Memory, c: int, bank: int) -> None:
    """A bank, the row of which trains hit, has none open any more. Of those that wait nothing changes."""
    tell_both(m, c, bank, -1, 0, c + m[OFF_READS], c + m[OFF_WRITES])


@inlined
def tell_both(m: Memory, c: int, bank: int, row: int, time: int, first_read: int, first_write: int) -> None:
    """`row` of a bank was opened at `time` (-1: none is open): tell its trains, from these entries on."""
    at = c + m[OFF_BANK] + bank * BANK_COLS + B_TRAINS
    trains = m[at]
    reads = ((trains >> WAITS) & COUNT) + ((trains >> HITS) & COUNT)
    writes = ((trains >> WAITS + DIRECTION) & COUNT) + ((trains >> HITS + DIRECTION) & COUNT)
    told = 0
    if reads:
        hits = tell(m, first_read, reads, bank, row, time + m[RCD])
        note(m, c, bank, 0, reads - hits, hits)
        told = (reads - hits) << WAITS | hits << HITS
    if writes:
        hits = tell(m, first_write, writes, bank, row, time + m[RCD_WR])
        note(m, c, bank, 1, writes - hits, hits)
        told |= (writes - hits) << WAITS + DIRECTION | hits << HITS + DIRECTION
    m[at] = told


@compiled
def yield_claims(m: Memory, c: int, base: int, end: int, writing: int) -> None:
    """Of banks whose row has served as many accesses as may go before a conflict: hits younger than one lose their
    claim.
    """
    closed = 0
    for entry in range(base, end, ENTRY_COLS):
        bank = m[entry + E_BANK]
        bit = 1 << bank
        if m[entry + E_READY] == NEVER:
            closed |= bit
        elif bit & closed & m[c + C_CAPPED]:
            leaves(m, c, entry, writing)
            m[entry + E_READY] = NEVER
            enters(m, c, entry, writing)
            m[c + C_START] = 0
