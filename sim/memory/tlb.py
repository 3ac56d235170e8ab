"""The device's own address translation: a TLB per SM, one shared by all, page walkers (not the KV block
table).

A port looks its page up as it issues. On a miss the request asks the shared level on its way to L2: a hit
costs that level's latency, a miss a walk by one of a few walkers, and requests for a page being walked
wait for it. The SM may use its entry once the answer of a shared hit can be back; who comes earlier asks
too. Ports run ahead of the event order, hence they decide by that instant and not by the answer itself.
Both levels are set-associative and replace in order of entry, which is what a round over many pages makes
of any policy.
"""

from sim.memory.counters import INDEX
from sim.memory.division import remainder
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ADDR,
    AT_TLB,
    AT_WALKERS,
    P_PAGE,
    P_TLB,
    Q_WALK_END,
    Q_WALKS,
    TLBW,
    Memory,
)
from sim.memory.params import Param

TLB_L1_SETS, TLB_L1_WAYS = int(Param.TLB_L1_SETS), int(Param.TLB_L1_WAYS)
TLB_L2_SETS, TLB_L2_WAYS = int(Param.TLB_L2_SETS), int(Param.TLB_L2_WAYS)
TLB_L2_LATENCY, TLB_WALK, TLB_WALKERS = int(Param.TLB_L2_LATENCY), int(Param.TLB_WALK), int(Param.TLB_WALKERS)
NEAR, PAGE_SHIFT = int(Param.NEAR), int(Param.PAGE_SHIFT)
N_L1, N_L2 = INDEX["tlb_l1_misses"], INDEX["tlb_l2_misses"]


@compiled
def find(m: Memory, row: int, ways: int, page: int) -> int:
    """Cell of a page in a row of `ways` pages, as many instants, the next way to replace; -1 when absent."""
    for cell in range(row, row + ways):
        if m[cell] == page:
            return cell
    return -1


@compiled
def put(m: Memory, row: int, ways: int, page: int, ready: int) -> None:
    """Enter a page, usable from `ready` on."""
    way = m[row + 2 * ways]
    m[row + 2 * ways] = (way + 1) % ways
    m[row + way] = page
    m[row + ways + way] = ready


@compiled
def port_row(m: Memory, sm: int, page: int) -> int:
    return int(m[sm + P_TLB] + remainder(m, page, TLB_L1_SETS) * (2 * m[TLB_L1_WAYS] + 1))


@compiled
def misses(m: Memory, sm: int, page: int, now: int) -> bool:
    """Whether the SM has to ask for a page at `now`; then it has the page in time for later requests."""
    row = port_row(m, sm, page)
    cell = find(m, row, m[TLB_L1_WAYS], page)
    if cell < 0:
        put(m, row, m[TLB_L1_WAYS], page, now + 2 * m[NEAR] + m[TLB_L2_LATENCY])
        m[sm + P_PAGE] = -1
        m[N_L1] += 1
        return True
    if m[cell + m[TLB_L1_WAYS]] > now:
        return True
    m[sm + P_PAGE] = page
    return False


@compiled
def shared_row(m: Memory, page: int) -> int:
    return int(m[AT_TLB] + remainder(m, page, TLB_L2_SETS) * (2 * m[TLB_L2_WAYS] + 1))


@compiled
def walking(m: Memory, node: int, now: int) -> int:
    """Instant at which a request may enter L2, while pages are being walked."""
    page = m[node + ADDR] >> m[PAGE_SHIFT]
    ways = m[TLB_L2_WAYS]
    cell = find(m, shared_row(m, page), ways, page)
    ready = now if cell < 0 else max(now, m[cell + ways])
    m[node + TLBW] += ready - now
    return int(ready)


@inlined
def hit(m: Memory, node: int) -> int:
    """How long a request that asks the shared level waits where that holds every page: always as long, so that asking
    takes no event.
    """
    m[node + TLBW] = m[TLB_L2_LATENCY]
    return int(m[TLB_L2_LATENCY])


@compiled
def translate(m: Memory, node: int, now: int) -> int:
    """Instant at which a request that asks the shared level at `now` may go on to L2."""
    page = m[node + ADDR] >> m[PAGE_SHIFT]
    ways = m[TLB_L2_WAYS]
    row = shared_row(m, page)
    cell = find(m, row, ways, page)
    ready = now + m[TLB_L2_LATENCY]
    if cell >= 0:
        ready = max(ready, m[cell + ways])
    else:
        walker = m[AT_WALKERS] + m[Q_WALKS] % m[TLB_WALKERS]
        m[Q_WALKS] += 1
        ready = max(ready, m[walker]) + m[TLB_WALK]
        m[walker] = ready
        m[Q_WALK_END] = max(m[Q_WALK_END], ready)
        put(m, row, ways, page, ready)
        m[N_L2] += 1
    m[node + TLBW] = ready - now
    return int(ready)
