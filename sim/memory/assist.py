"""The block-table translation assist: a cache per SM, a shared level, walkers that read the table through
L2.

A fetch of KV may be issued once the block-table entries of its pages are known. The port asks for entries
in the order of its fetches, at most `prefetch_depth` entries ahead of the fetch that it issues from. What
its own cache does not hold goes to the shared level; what that does not hold is walked: one sector of the
table read through L2 by one of a few walkers, and kept whole, as page walkers keep a line of neighbouring
entries; requests for a sector that is being walked wait for it. As
in `tlb`, an SM's own entry is usable once the answer of a shared hit can be back, since ports run ahead
of the event order.
"""

from sim.memory import events, pool, tags
from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import (
    ADDR,
    ARRIVE,
    AT_ASSIST,
    CLASS,
    ENTRY,
    F_ENTRY,
    F_ENTRY_END,
    F_FIRST,
    F_HEAD_AT,
    F_NEXT,
    F_READY,
    F_SUBMIT,
    F_UNKNOWN,
    FETCH,
    LINK,
    LOOKUP,
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
    Q_FREE_COUNT,
    Q_GROW,
    Q_WALK_HEAD,
    Q_WALK_TAIL,
    Q_WALKING,
    RETURN,
    STAGE,
    TIE,
    WALK_CELL,
    WHAT,
    Memory,
)
from sim.memory.mapping import slice_of
from sim.memory.params import Param
from sim.memory.regions import DataClass
from sim.memory.request import (
    WALKER,
    path,
    sm_of,
    what,
)
from sim.memory.tlb import find, put

NEAR, CLK = int(Param.NEAR), int(Param.CLK)
SECTOR, SECTOR_SHIFT = int(Param.SECTOR), int(Param.SECTOR_SHIFT)
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
    """Look up the entries that the port may look up by now."""
    f = m[sm + P_X_FETCH]
    while f >= 0:
        at = m[sm + P_X_AT]
        if at == m[f + F_ENTRY_END]:
            following = m[f + F_NEXT]
            if following < 0:
                return
            f = following
            m[sm + P_X_FETCH] = f
            m[sm + P_X_AT] = m[f + F_ENTRY]
            continue
        gate = gate_of(m, sm, f, m[f + F_FIRST] + at - m[f + F_ENTRY] - m[PREFETCH_DEPTH])
        if m[gate + F_HEAD_AT] < 0:
            return
        if m[Q_FREE_COUNT] <= MARGIN:
            m[Q_GROW] = 1
            m[sm + P_BLOCKED] = 1
            return
        time = max(max(m[sm + P_X_FREE], m[f + F_SUBMIT]), m[gate + F_HEAD_AT])
        m[sm + P_X_FREE] = time + m[CLK]
        look_up(m, sm, f, m[at] & ~(m[SECTOR] - 1), time)
        m[sm + P_X_AT] = at + 1


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
def look_up(m: Memory, sm: int, f: int, addr: int, time: int) -> None:
    """Find the sector of one entry in the SM's cache, or send for it."""
    m[N_LOOKUPS] += 1
    ways = m[ASSIST_WAYS]
    row = m[sm + P_ASSIST] + ((addr >> m[SECTOR_SHIFT]) % m[ASSIST_SETS]) * (2 * ways + 1)
    cell = find(m, row, ways, addr)
    if cell >= 0 and m[cell + ways] <= time:
        m[N_SM] += 1
        m[f + F_READY] = max(m[f + F_READY], time + m[ASSIST_HIT])
        return
    if cell < 0:
        put(m, row, ways, addr, time + 2 * m[NEAR] + m[SHARED_LATENCY])
    node = pool.take(m)
    m[sm + P_X_SEQ] += 1
    m[node + TIE] = (m[sm + P_NUMBER] << 40) | LOOKUP_TIE | m[sm + P_X_SEQ]
    m[node + STAGE] = LOOKUP
    m[node + FETCH] = f
    m[node + ADDR] = addr
    m[node + WHAT] = what(0, WALKER)
    m[node + PATH] = path(sm, 0)
    m[f + F_UNKNOWN] += 1
    events.push(m, node, time + m[ASSIST_HIT] + m[NEAR])


@compiled
def shared_row(m: Memory, addr: int) -> int:
    return int(m[AT_ASSIST] + ((addr >> m[SECTOR_SHIFT]) % m[SHARED_SETS]) * (3 * m[SHARED_WAYS] + 1))


@compiled
def shared(m: Memory, node: int, now: int) -> None:
    """A request reaches the shared level: answered, queued behind the same walk, or walked."""
    ways = m[SHARED_WAYS]
    row = shared_row(m, m[node + ADDR])
    cell = find(m, row, ways, m[node + ADDR])
    if cell >= 0 and m[cell + ways] == PENDING:
        m[node + LINK] = m[cell + 2 * ways]
        m[cell + 2 * ways] = node
        return
    if cell >= 0:
        m[N_SHARED] += 1
        answer(m, node, now + m[SHARED_LATENCY])
        return
    m[N_WALKS] += 1
    m[node + WALK_CELL] = enter(m, row, m[node + ADDR])
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
def enter(m: Memory, row: int, addr: int) -> int:
    """Cell of a new entry whose walk is pending, -1 when all its set is."""
    ways = m[SHARED_WAYS]
    for _ in range(ways):
        way = m[row + 3 * ways]
        m[row + 3 * ways] = (way + 1) % ways
        if m[row + ways + way] != PENDING:
            m[row + way] = addr
            m[row + ways + way] = PENDING
            m[row + 2 * ways + way] = -1
            return int(row + way)
    return -1


@compiled
def walk(m: Memory, node: int, now: int) -> None:
    """Read the entry's sector through L2."""
    m[Q_WALKING] += 1
    m[N_REQUESTED] += m[SECTOR]
    m[N_REQUESTED_WALKS] += m[SECTOR]
    addr = m[node + ADDR] & ~(m[SECTOR] - 1)
    m[node + ADDR] = addr
    m[node + WHAT] = what(m[SECTOR], WALKER)
    m[node + CLASS] = METADATA
    sm = sm_of(m, node)
    at = slice_of(m, addr, m[sm + P_PART])
    m[node + PATH] = path(sm, at)
    m[node + ENTRY] = tags.row_of(m, at, addr)
    m[node + STAGE] = ARRIVE
    events.push(m, node, now + m[SHARED_LATENCY])


@compiled
def walked(m: Memory, node: int, now: int) -> None:
    """A walk ends: who waited for it is answered, the next one begins."""
    ways = m[SHARED_WAYS]
    cell = m[node + WALK_CELL]
    answer(m, node, now)
    if cell >= 0:
        waiter = m[cell + 2 * ways]
        m[cell + ways] = now
        m[cell + 2 * ways] = -1
        while waiter >= 0:
            following = m[waiter + LINK]
            answer(m, waiter, now)
            waiter = following
    m[Q_WALKING] -= 1
    if m[Q_WALK_HEAD] >= 0:
        following = m[Q_WALK_HEAD]
        m[Q_WALK_HEAD] = m[following + LINK]
        walk(m, following, now)


@compiled
def answer(m: Memory, node: int, time: int) -> None:
    """An entry leaves the shared level for its SM; queued by arrival less the way back, like data."""
    m[node + STAGE] = RETURN
    events.push(m, node, time)


@compiled
def answered(m: Memory, node: int, arrival: int) -> int:
    """An entry is at its SM; the port is returned."""
    f = m[node + FETCH]
    m[f + F_UNKNOWN] -= 1
    m[f + F_READY] = max(m[f + F_READY], arrival)
    sm = sm_of(m, node)
    pool.give(m, node)
    return int(sm)
