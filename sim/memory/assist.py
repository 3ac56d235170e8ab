"""The block-table translation assist: a cache per SM, a shared level, walkers that read the table through
L2.

A fetch of KV may be issued once the block-table entries of its pages are known. The port asks for entries
in the order of its fetches, at most `prefetch_depth` entries ahead of the fetch that it issues from; behind
the last entry of a fetch it prefetches as many of those that the fetch's CTA will need next. What
its own cache does not hold goes to the shared level; what that does not hold is walked: one sector of the
table read through L2 by one of a few walkers, and kept whole, as page walkers keep a line of neighbouring
entries. Who asks for a sector that is on its way waits for it, at the SM and at the shared level; who finds
all places of its set there taken by walks waits for one of them to end.

Ports run ahead of the event order. So a look-up in the SM's cache decides by the order of look-ups alone whether it
must ask, and waits for a sector that is asked for, however long the answer takes.
"""

from sim.memory import events, mapping, pool, tags
from sim.memory.counters import INDEX
from sim.memory.division import quotient, remainder
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ADDR,
    ARRIVE,
    AT_ASSIST,
    F_ENTRY,
    F_ENTRY_END,
    F_FIRST,
    F_HEAD_AT,
    F_NEXT,
    F_READY,
    F_SUBMIT,
    F_UNKNOWN,
    GOAL,
    LAST_ENTRY,
    LINK,
    LOOKED,
    LOOKUP,
    OWN_CELL,
    P_ASSIST,
    P_BLOCKED,
    P_NUMBER,
    P_PART,
    P_X_AT,
    P_X_FETCH,
    P_X_FREE,
    P_X_GATE,
    P_X_SEQ,
    PATH,
    PLACE,
    Q_FREE_COUNT,
    Q_GROW,
    Q_WALK_HEAD,
    Q_WALK_TAIL,
    Q_WALKING,
    RETURN,
    STAGE,
    TIE,
    WAITERS,
    WALK_CELL,
    WHAT,
    Memory,
)
from sim.memory.params import Param
from sim.memory.regions import DataClass
from sim.memory.request import (
    AWAY,
    WALKER,
    fetch_of,
    goal,
    path,
    set_entry,
    sm_of,
    what,
)
from sim.memory.tlb import find, put

NEAR, CLK = int(Param.NEAR), int(Param.CLK)
SECTOR, SECTOR_SHIFT, COPIES = int(Param.SECTOR), int(Param.SECTOR_SHIFT), int(Param.COPIES)
ASSIST_SETS, ASSIST_WAYS = int(Param.ASSIST_SETS), int(Param.ASSIST_WAYS)
SHARED_SETS, SHARED_WAYS = int(Param.SHARED_SETS), int(Param.SHARED_WAYS)
ASSIST_HIT, SHARED_LATENCY = int(Param.ASSIST_HIT), int(Param.SHARED_LATENCY)
BLOCK_WALKERS, PREFETCH_DEPTH = int(Param.BLOCK_WALKERS), int(Param.PREFETCH_DEPTH)
N_LOOKUPS, N_SM = INDEX["block_table_lookups"], INDEX["assist_sm_hits"]
N_SHARED, N_WALKS = INDEX["assist_shared_hits"], INDEX["assist_walks"]
N_REQUESTED, N_REQUESTED_WALKS = INDEX["requested"], INDEX["requested_walks"]
METADATA = int(DataClass.METADATA)
PENDING = 1 << 62
MARGIN = 16
LOOKUP_TIE = 1 << 39
"""Look-ups come behind the same port's data requests of the same instant."""


@compiled
def ask(m: Memory, sm: int) -> None:
    """Look up the entries that the port may look up by now, and prefetch those behind them."""
    f = m[sm + P_X_FETCH]
    while f >= 0:
        at = m[sm + P_X_AT]
        if is_asked(m, f, at):
            following = m[f + F_NEXT]
            if following < 0:
                return
            f = following
            m[sm + P_X_FETCH] = f
            m[sm + P_X_AT] = m[f + F_ENTRY]
            continue
        if m[Q_FREE_COUNT] <= MARGIN:
            m[Q_GROW] = 1
            m[sm + P_BLOCKED] = 1
            return
        if at >= m[f + F_ENTRY_END]:
            ask_ahead(m, sm, at)
        elif not look_up(m, sm, f, at):
            return
        m[sm + P_X_AT] = at + 1


@inlined
def is_asked(m: Memory, f: int, at: int) -> bool:
    """Whether nothing is left to do for f at cell `at` of the entries: all looked up, and what follows prefetched."""
    end = m[f + F_ENTRY_END]
    if at < end:
        return False
    return bool(at - end >= m[PREFETCH_DEPTH] or m[f + F_ENTRY] == end or m[at - 1] & LAST_ENTRY)


@compiled
def gate_of(m: Memory, sm: int, f: int, index: int) -> int:
    """The first fetch, up to f, whose entries begin at `index` or later: when it is first in line f's entry
    may go.
    """
    gate = m[sm + P_X_GATE]
    while gate != f and m[gate + F_FIRST] < index:
        gate = m[gate + F_NEXT]
    m[sm + P_X_GATE] = gate
    return int(gate)


@compiled
def look_up(m: Memory, sm: int, f: int, at: int) -> bool:
    """Find the sector of entry `at` in the SM's cache, or send for it; False when it may not be looked up yet."""
    gate = gate_of(m, sm, f, m[f + F_FIRST] + at - m[f + F_ENTRY] - m[PREFETCH_DEPTH])
    if m[gate + F_HEAD_AT] < 0:
        return False
    time = max(max(m[sm + P_X_FREE], m[f + F_SUBMIT]), m[gate + F_HEAD_AT])
    m[sm + P_X_FREE] = time + m[CLK]
    m[N_LOOKUPS] += 1
    sector = sector_of(m, at)
    row = own_row(m, sm, sector)
    cell = find(m, row, m[ASSIST_WAYS], sector)
    looked = time + m[ASSIST_HIT]
    if cell < 0:
        m[f + F_UNKNOWN] += 1
        send(m, sm, f, row, sector, time)
    elif m[cell + m[ASSIST_WAYS]] < 0:
        wait(m, -m[cell + m[ASSIST_WAYS]], f, looked)
    else:
        learn(m, f, m[cell + m[ASSIST_WAYS]], looked)
    return True


@compiled
def ask_ahead(m: Memory, sm: int, at: int) -> None:
    """Send for the sector of entry `at`, which no fetch needs yet, unless it is there or on its way. Entries of one
    sector are asked for once.
    """
    sector = sector_of(m, at)
    if sector == sector_of(m, at - 1):
        return
    row = own_row(m, sm, sector)
    if find(m, row, m[ASSIST_WAYS], sector) < 0:
        time = m[sm + P_X_FREE]
        m[sm + P_X_FREE] = time + m[CLK]
        send(m, sm, -1, row, sector, time)


@inlined
def sector_of(m: Memory, at: int) -> int:
    """Address of the sector that holds the entry of cell `at`."""
    return int(m[at] & ~(m[SECTOR] - 1))


@inlined
def own_row(m: Memory, sm: int, sector: int) -> int:
    return int(
        m[sm + P_ASSIST] + remainder(m, sector >> m[SECTOR_SHIFT], ASSIST_SETS) * (2 * m[ASSIST_WAYS] + 1)
    )


@compiled
def send(m: Memory, sm: int, f: int, row: int, sector: int, time: int) -> None:
    """Ask the shared level for a sector, which gets a place in the SM's cache; f: the fetch that waits, -1 for none."""
    node = pool.take(m)
    m[node + OWN_CELL] = row + m[row + 2 * m[ASSIST_WAYS]]
    put(m, row, m[ASSIST_WAYS], sector, -node)
    m[node + WAITERS] = -1
    m[sm + P_X_SEQ] += 1
    m[node + TIE] = (m[sm + P_NUMBER] << 40) | LOOKUP_TIE | m[sm + P_X_SEQ]
    m[node + STAGE] = LOOKUP
    m[node + GOAL] = goal(f, 0)
    m[node + ADDR] = sector
    m[node + WHAT] = what(0, WALKER)
    m[node + PATH] = path(sm, 0)
    events.push(m, node, time + m[ASSIST_HIT] + m[NEAR])


@compiled
def wait(m: Memory, node: int, f: int, looked: int) -> None:
    """A look-up of f, done at `looked`, waits for the sector that `node` brings."""
    m[f + F_UNKNOWN] += 1
    waiter = pool.take(m)
    m[waiter + GOAL] = goal(f, 0)
    m[waiter + LOOKED] = looked
    m[waiter + WAITERS] = m[node + WAITERS]
    m[node + WAITERS] = waiter


@inlined
def learn(m: Memory, f: int, arrival: int, looked: int) -> None:
    """An entry of f whose sector is at its SM from `arrival` on is known once it has been looked for."""
    m[N_SM] += arrival <= looked
    m[f + F_READY] = max(m[f + F_READY], max(arrival, looked))


@compiled
def shared_row(m: Memory, addr: int) -> int:
    """The set of a sector is the sum of the digits of its number to the base of sets: neighbours take all sets in turn,
    and tables a power of two apart do not meet in one.
    """
    rest, total = addr >> m[SECTOR_SHIFT], 0
    while m[SHARED_SETS] > 1 and rest > 0:
        total += remainder(m, rest, SHARED_SETS)
        rest = quotient(m, rest, SHARED_SETS)
    return int(m[AT_ASSIST] + remainder(m, total, SHARED_SETS) * (3 * m[SHARED_WAYS] + 1))


@compiled
def shared(m: Memory, node: int, now: int) -> None:
    """A request reaches the shared level: answered, queued behind a walk, or walked."""
    ways = m[SHARED_WAYS]
    row = shared_row(m, m[node + ADDR])
    cell = find(m, row, ways, m[node + ADDR])
    if cell >= 0 and m[cell + ways] != PENDING:
        m[N_SHARED] += 1
        answer(m, node, now + m[SHARED_LATENCY])
        return
    if cell < 0:
        cell = place(m, row)
        if m[cell + ways] != PENDING:
            enter(m, node, cell, now)
            return
    m[node + LINK] = m[cell + 2 * ways]
    m[cell + 2 * ways] = node


@compiled
def place(m: Memory, row: int) -> int:
    """Cell of the entry to replace: the first that came and whose walk has ended; where all are being walked, one of
    those.
    """
    ways = m[SHARED_WAYS]
    way = m[row + 3 * ways]
    for ahead in range(ways):
        at = (way + ahead) % ways
        if m[row + ways + at] != PENDING:
            way = at
            break
    m[row + 3 * ways] = (way + 1) % ways
    return int(row + way)


@compiled
def enter(m: Memory, node: int, cell: int, now: int) -> None:
    """A new entry takes its place; its walk begins when a walker is free."""
    ways = m[SHARED_WAYS]
    m[N_WALKS] += 1
    m[cell] = m[node + ADDR]
    m[cell + ways] = PENDING
    m[cell + 2 * ways] = -1
    m[node + WALK_CELL] = cell
    if m[Q_WALKING] < m[BLOCK_WALKERS]:
        walk(m, node, now)
        return
    m[node + LINK] = -1
    if m[Q_WALK_HEAD] < 0:
        m[Q_WALK_HEAD] = node
    else:
        m[m[Q_WALK_TAIL] + LINK] = node
    m[Q_WALK_TAIL] = node


@compiled
def walk(m: Memory, node: int, now: int) -> None:
    """Read the entry's sector through L2."""
    m[Q_WALKING] += 1
    m[N_REQUESTED] += m[SECTOR]
    m[N_REQUESTED_WALKS] += m[SECTOR]
    addr = m[node + ADDR] & ~(m[SECTOR] - 1)
    m[node + ADDR] = addr
    m[node + PLACE] = mapping.place(m, addr) | METADATA
    sm = sm_of(m, node)
    at = mapping.slice_of(m, addr, m[sm + P_PART])
    m[node + WHAT] = what(m[SECTOR], WALKER | (AWAY if m[COPIES] and at != mapping.home_of(m, addr) else 0))
    m[node + PATH] = path(sm, at)
    set_entry(m, node, tags.row_of(m, at, addr))
    m[node + STAGE] = ARRIVE
    events.push(m, node, now + m[SHARED_LATENCY])


@compiled
def walked(m: Memory, node: int, now: int) -> None:
    """A walk ends, the next begins: who waited for its sector is answered, who waited for its place looks again."""
    ways = m[SHARED_WAYS]
    cell, sector = m[node + WALK_CELL], m[node + ADDR]
    answer(m, node, now)
    waiter = m[cell + 2 * ways]
    m[cell + ways] = now
    m[cell + 2 * ways] = -1
    m[Q_WALKING] -= 1
    if m[Q_WALK_HEAD] >= 0:
        following = m[Q_WALK_HEAD]
        m[Q_WALK_HEAD] = m[following + LINK]
        walk(m, following, now)
    while waiter >= 0:
        following = m[waiter + LINK]
        if m[waiter + ADDR] == sector:
            answer(m, waiter, now)
        else:
            shared(m, waiter, now)
        waiter = following


@compiled
def answer(m: Memory, node: int, time: int) -> None:
    """An entry leaves the shared level for its SM; queued by arrival less the way back, like data."""
    m[node + STAGE] = RETURN
    events.push(m, node, time)


@compiled
def answered(m: Memory, node: int, arrival: int) -> int:
    """A sector of entries is at its SM; the port is returned."""
    cell = m[node + OWN_CELL]
    if m[cell + m[ASSIST_WAYS]] == -node:
        m[cell + m[ASSIST_WAYS]] = arrival
    f = fetch_of(m, node)
    if f >= 0:
        m[f + F_UNKNOWN] -= 1
        m[f + F_READY] = max(m[f + F_READY], arrival)
    waiter = m[node + WAITERS]
    while waiter >= 0:
        following = m[waiter + WAITERS]
        f = fetch_of(m, waiter)
        m[f + F_UNKNOWN] -= 1
        learn(m, f, arrival, m[waiter + LOOKED])
        pool.give(m, waiter)
        waiter = following
    sm = sm_of(m, node)
    pool.give(m, node)
    return int(sm)
