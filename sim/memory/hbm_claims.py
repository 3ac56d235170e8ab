"""The trains that a channel's scheduler sees: a list of each direction in order of age, one of each bank in it, masks.

A train is known by its key: its number in order of entry, then the place of its row in the channel, its bank group and
its bank. The least of some keys is that of the oldest train, NEVER stands for none. Trains leave lists and never move.
Masks of banks for each direction: `held`, where a train hits the open row, and `closed`, where one waits for another.
"""

from sim.memory.bits import trailing_zeros
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    C_BEFORE,
    C_CAPPED,
    C_CLOSED,
    C_HELD,
    C_HELD_BY_WRITES,
    C_NEXT,
    C_START,
    C_TRAINS,
    C_YOUNGEST,
    Memory,
)
from sim.memory.params import BANK_COLS, ENTRY_COLS, GROUP_COLS, OFF_BANK, OFF_ENTRIES, OFF_GROUP, Param

# State of a bank: open row, when it was opened, when the next ACT and PRE may go, its last column command; the number
# of its bank group and, above HITS_SHIFT, accesses since it was opened; key of the oldest train, of reads, of writes.
B_ROW, B_OPENED, B_ACT, B_PRE, B_USED, B_GROUP, B_FIRST, B_FIRST_WRITE = range(8)
# A train that the scheduler sees: its request, key, DRAM row; when that is (or will be) open, NEVER while it is not;
# accesses still to be served; when all of it would have been served if nothing had been in its way, but for its row:
# twice that, odd when a row was opened for it. Keys of the next younger ones, of its bank and of all, in its direction.
# Of a free row: E_NEXT is the place of the next one.
E_NODE, E_KEY, E_ROW, E_READY, E_LEFT, E_ALONE, E_NEXT, E_YOUNGER = range(8)

RCD, RCD_WR = int(Param.RCD), int(Param.RCD_WR)
NEVER = 1 << 62
HITS_SHIFT = 32
GROUP_SHIFT, PLACE_SHIFT, NUMBER_SHIFT = 6, 12, 32
"""Of a key, whose lowest bits are the bank."""
BANK = GROUP = (1 << GROUP_SHIFT) - 1
PLACE = (1 << (NUMBER_SHIFT - PLACE_SHIFT)) - 1


@inlined
def bank_at(m: Memory, c: int, bank: int) -> int:
    """Row of a bank."""
    return int(c + OFF_BANK + bank * BANK_COLS)


@inlined
def entry_at(m: Memory, c: int, key: int) -> int:
    """Row of a train."""
    return int(c + OFF_ENTRIES + ((key >> PLACE_SHIFT) & PLACE) * ENTRY_COLS)


@inlined
def group_of(m: Memory, c: int, at: int) -> int:
    """Row of the group of the bank at `at`."""
    return int(c + OFF_GROUP + (m[at + B_GROUP] & GROUP) * GROUP_COLS)


@inlined
def group_at(c: int, key: int) -> int:
    """Row of the bank group of a train."""
    return int(c + OFF_GROUP + ((key >> GROUP_SHIFT) & GROUP) * GROUP_COLS)


@inlined
def take(m: Memory, c: int, bank: int) -> int:
    """Key of a train that enters now."""
    key = m[c + C_NEXT] | (m[bank_at(m, c, bank) + B_GROUP] & GROUP) << GROUP_SHIFT | bank
    following = m[entry_at(m, c, key) + E_NEXT]
    m[c + C_NEXT] = ((key >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT | following << PLACE_SHIFT
    m[c + C_TRAINS] += 1
    return int(key)


@inlined
def give(m: Memory, c: int, entry: int) -> None:
    """The row of a train that left is free."""
    following = m[c + C_NEXT]
    places = PLACE << PLACE_SHIFT
    m[entry + E_NEXT] = (following & places) >> PLACE_SHIFT
    m[c + C_NEXT] = (following & ~places) | (m[entry + E_KEY] & places)
    m[c + C_TRAINS] -= 1


@inlined
def enters(m: Memory, c: int, entry: int, writing: int) -> bool:
    """The scheduler sees a train from now on; whether it is a hit."""
    key = m[entry + E_KEY]
    bank = key & BANK
    at = bank_at(m, c, bank)
    hit = m[at + B_ROW] == m[entry + E_ROW]
    m[entry + E_READY] = m[at + B_OPENED] + (m[RCD_WR] if writing else m[RCD]) if hit else NEVER
    m[c + (C_HELD if hit else C_CLOSED) + writing] |= 1 << bank
    m[m[c + C_YOUNGEST + writing]] = key
    m[entry + E_YOUNGER] = NEVER
    m[c + C_YOUNGEST + writing] = entry + E_YOUNGER
    last = at + B_FIRST + writing
    while m[last] != NEVER:
        last = entry_at(m, c, m[last]) + E_NEXT
    m[last] = key
    m[entry + E_NEXT] = NEVER
    return bool(hit)


@inlined
def leaves(m: Memory, c: int, entry: int, writing: int) -> None:
    """A train, a hit and the one that was picked last, is served."""
    before = m[c + C_BEFORE]
    m[before] = m[entry + E_YOUNGER]
    if m[before] == NEVER:
        m[c + C_YOUNGEST + writing] = before
    key = m[entry + E_KEY]
    first = bank_at(m, c, key & BANK) + B_FIRST + writing
    before = first
    while m[before] != key:
        before = entry_at(m, c, m[before]) + E_NEXT
    m[before] = m[entry + E_NEXT]
    if not has_hit(m, c, m[first]):
        m[c + C_HELD + writing] &= ~(1 << (key & BANK))
    give(m, c, entry)


@inlined
def has_hit(m: Memory, c: int, key: int) -> bool:
    """Whether there is a hit in a bank's list, from `key` on."""
    while key != NEVER and m[entry_at(m, c, key) + E_READY] == NEVER:
        key = m[entry_at(m, c, key) + E_NEXT]
    return key != NEVER


@inlined
def awaited(m: Memory, c: int, bank: int) -> bool:
    """Whether a visible train hits the open row of `bank`."""
    return bool(((m[c + C_HELD] | m[c + C_HELD_BY_WRITES]) >> bank) & 1)


@inlined
def note(m: Memory, c: int, bank: int, writing: int, waits: int, hits: int) -> None:
    """Whether trains of a bank's queue wait, and whether any hit."""
    closed = c + C_CLOSED + writing
    held = c + C_HELD + writing
    m[closed] = (m[closed] & ~(1 << bank)) | waits << bank
    m[held] = (m[held] & ~(1 << bank)) | hits << bank


@inlined
def tell(m: Memory, c: int, bank: int, row: int, time: int) -> None:
    """`row` of a bank was opened at `time` (-1: none is open): tell its trains."""
    at = bank_at(m, c, bank)
    if m[at + B_FIRST] != NEVER:
        tell_queue(m, c, m[at + B_FIRST], row, time + m[RCD], 0)
    if m[at + B_FIRST_WRITE] != NEVER:
        tell_queue(m, c, m[at + B_FIRST_WRITE], row, time + m[RCD_WR], 1)


@inlined
def tell_queue(m: Memory, c: int, key: int, row: int, ready: int, writing: int) -> None:
    """The same for those of one direction, the oldest of which has `key`."""
    bank = key & BANK
    waits = hits = 0
    while key != NEVER:
        entry = entry_at(m, c, key)
        hit = m[entry + E_ROW] == row
        m[entry + E_READY] = ready if hit else NEVER
        hits |= 1 if hit else 0
        waits |= 0 if hit else 1
        key = m[entry + E_NEXT]
    note(m, c, bank, writing, waits, hits)


@compiled
def yield_claims(m: Memory, c: int, banks: int, writing: int) -> None:
    """Of banks whose row has served as many accesses as may go before a conflict: hits younger than one lose their
    claim.
    """
    while banks:
        bank = trailing_zeros(banks)
        banks &= banks - 1
        key = m[bank_at(m, c, bank) + B_FIRST + writing]
        waits = hits = 0
        while key != NEVER:
            entry = entry_at(m, c, key)
            if waits and m[entry + E_READY] != NEVER:
                m[entry + E_READY] = NEVER
                m[c + C_START] = 0
            hits |= 1 if m[entry + E_READY] != NEVER else 0
            waits |= 1 if m[entry + E_READY] == NEVER else 0
            key = m[entry + E_NEXT]
        note(m, c, bank, writing, waits, hits)


@inlined
def capped(m: Memory, c: int, writing: int) -> int:
    """Banks of a queue whose row has hits, has served as many accesses as may go, and is in the way of a train."""
    return int(m[c + C_CLOSED + writing] & m[c + C_HELD + writing] & m[c + C_CAPPED])


@inlined
def waiting(m: Memory, c: int, writing: int) -> int:
    """Banks of a queue of which no train is a hit: the oldest waits."""
    return int(m[c + C_CLOSED + writing] & ~m[c + C_HELD + writing])
