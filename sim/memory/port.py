"""The memory port of an SM: fetches in order, address generation, the cap on bytes outstanding, completions.

A port is FIFO and touches nothing shared, so it may run ahead of the event order: given the credits that
came back it issues until the cap stops it. Credits carry the instant at which they came back and are
taken in that order, so the result does not depend on when, in the course of the run, the port was looked
at.
"""

from sim.memory import assist, events, noc, pool, residency, tags, tlb
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ADDR,
    ARRIVE,
    CREDIT_AT,
    CREDIT_BYTES,
    CREDIT_COLS,
    CROSS,
    F_BLOCKED,
    F_CLASS,
    F_ENTRY,
    F_ENTRY_END,
    F_FIRST,
    F_HEAD_AT,
    F_ISSUED,
    F_KIND,
    F_LEFT,
    F_NEXT,
    F_READY,
    F_RUN,
    F_RUN_END,
    F_SUBMIT,
    F_UNKNOWN,
    F_WAITED,
    GOAL,
    INFLIGHT,
    ISSUE,
    MSHRW,
    P_BLOCKED,
    P_CAP_TOTAL,
    P_CRED_END,
    P_CRED_FIRST,
    P_CRED_HEAD,
    P_CRED_TAIL,
    P_EGRESS,
    P_ENTRIES,
    P_ENTRY_TOTAL,
    P_FREE,
    P_HEAD,
    P_INFLIGHT,
    P_NUMBER,
    P_OFF,
    P_PAGE,
    P_PART,
    P_RING,
    P_RING_POS,
    P_RUN,
    P_SEQ,
    P_TAIL,
    P_X_AT,
    P_X_FETCH,
    P_X_GATE,
    PATH,
    PLACE,
    Q_FREE_COUNT,
    Q_GROW,
    Q_MAPPED,
    R_ADDR,
    R_BYTES,
    RING,
    RUN_COLS,
    STAGE,
    TIE,
    TLBW,
    TRANSLATE,
    WHAT,
    Memory,
)
from sim.memory.mapping import number_of, place, slice_for, slice_numbered
from sim.memory.params import Param
from sim.memory.request import (
    AWAY,
    bytes_of,
    goal,
    path,
    sm_of,
    what,
)

CUT, SECTOR, CAP, RUN_PS = int(Param.CUT), int(Param.SECTOR), int(Param.CAP), int(Param.RUN_PS)
PAGE_SHIFT, ASSIST, COPIES = int(Param.PAGE_SHIFT), int(Param.ASSIST), int(Param.COPIES)
RESIDENCY = int(Param.RESIDENCY)
GEN_Q16, EGRESS_Q16, NEAR = int(Param.GEN_Q16), int(Param.EGRESS_Q16), int(Param.NEAR)
MARGIN = 16
"""Free rows that must remain, so that one event never runs out of them (a request pushes out one granule)."""
N_WANTED, N_REQUESTED, N_CHUNKS = INDEX["wanted"], INDEX["requested"], INDEX["chunks"]
N_CLASS = INDEX["requested_kv"]


@compiled
def submit(m: Memory, sm: int, f: int, now: int) -> None:
    """Fetch f joins the queue of SM m's port."""
    m[f + F_SUBMIT] = now
    m[f + F_NEXT] = -1
    if m[ASSIST]:
        line_up(m, sm, f)
    if m[sm + P_HEAD] < 0:
        m[sm + P_HEAD] = f
        m[f + F_HEAD_AT] = max(m[sm + P_FREE], now)
        m[sm + P_RUN] = m[f + F_RUN]
        m[sm + P_OFF] = 0
    else:
        m[m[sm + P_TAIL] + F_NEXT] = f
    m[sm + P_TAIL] = f
    issue(m, sm)


@compiled
def line_up(m: Memory, sm: int, f: int) -> None:
    """Number f's block-table entries behind those of the port's earlier fetches."""
    m[f + F_FIRST] = m[sm + P_ENTRIES]
    m[sm + P_ENTRIES] += m[f + F_ENTRY_END] - m[f + F_ENTRY]
    if m[sm + P_X_FETCH] < 0:
        m[sm + P_X_FETCH] = f
        m[sm + P_X_GATE] = f
        m[sm + P_X_AT] = m[f + F_ENTRY]
    elif m[sm + P_HEAD] < 0:
        m[m[sm + P_TAIL] + F_NEXT] = f


@compiled
def issue(m: Memory, sm: int) -> None:
    """Issue until the cap, the queue or the pool stops the port."""
    m[sm + P_BLOCKED] = 0
    while m[sm + P_HEAD] >= 0:
        if m[ASSIST]:
            assist.ask(m, sm)
        if m[Q_FREE_COUNT] <= MARGIN:
            m[Q_GROW] = 1
            m[sm + P_BLOCKED] = 1
            return
        if is_full(m, sm) or not issue_one(m, sm):
            m[sm + P_BLOCKED] = 1
            return


@inlined
def is_full(m: Memory, sm: int) -> bool:
    """Whether not even a sector fits under the cap before another credit comes back."""
    held = m[sm + P_INFLIGHT]
    return bool(m[sm + P_CRED_HEAD] == m[sm + P_CRED_TAIL] and held > 0 and held + m[SECTOR] > m[CAP])


@inlined
def issue_one(m: Memory, sm: int) -> bool:
    """Issue the next chunk of the port's first fetch, or say that the cap forbids it for now."""
    f = m[sm + P_HEAD]
    run = m[sm + P_RUN]
    offset = m[sm + P_OFF]
    addr = m[run + R_ADDR] + offset
    count = min(m[run + R_BYTES] - offset, m[CUT] - (addr & (m[CUT] - 1)))
    low = addr & ~(m[SECTOR] - 1)
    moved = ((addr + count + m[SECTOR] - 1) & ~(m[SECTOR] - 1)) - low
    if m[f + F_UNKNOWN]:
        return False
    ready = max(m[sm + P_FREE], m[f + F_SUBMIT])
    if m[f + F_READY] > ready:
        note_wait(m, sm, ready, m[f + F_READY], P_ENTRY_TOTAL)
        ready = m[f + F_READY]
    if offset == 0:
        ready += m[RUN_PS]
        if run == m[f + F_RUN]:
            note_first(m, sm, f)
    ready += (count * m[GEN_Q16]) >> 16
    start = take_credit(m, sm, ready, moved)
    if start < 0:
        return False
    if start > ready:
        note_wait(m, sm, ready, start, P_CAP_TOTAL)
    m[sm + P_FREE] = start
    m[sm + P_INFLIGHT] += moved
    send(m, sm, f, low, moved, start)
    m[N_WANTED] += count
    m[N_REQUESTED] += moved
    m[N_CLASS + m[f + F_CLASS]] += moved
    m[N_CHUNKS] += 1
    advance(m, sm, f, run, offset + count)
    return True


@inlined
def advance(m: Memory, sm: int, f: int, run: int, offset: int) -> None:
    """Step the port's position behind an issued chunk."""
    if offset < m[run + R_BYTES]:
        m[sm + P_OFF] = offset
        return
    m[sm + P_OFF] = 0
    m[sm + P_RUN] = run + RUN_COLS
    if run + RUN_COLS == m[f + F_RUN_END]:
        m[f + F_ISSUED] = 1
        following = m[f + F_NEXT]
        m[sm + P_HEAD] = following
        if following >= 0:
            m[following + F_HEAD_AT] = max(m[sm + P_FREE], m[following + F_SUBMIT])
            m[sm + P_RUN] = m[following + F_RUN]


@inlined
def take_credit(m: Memory, sm: int, ready: int, moved: int) -> int:
    """First instant from `ready` on at which `moved` bytes fit under the cap, -1 when not yet known."""
    start = ready
    while m[sm + P_CRED_HEAD] != m[sm + P_CRED_TAIL]:
        at = m[sm + P_CRED_HEAD]
        fits = m[sm + P_INFLIGHT] + moved <= m[CAP] or m[sm + P_INFLIGHT] == 0
        if m[at + CREDIT_AT] > start:
            if fits:
                return int(start)
            start = m[at + CREDIT_AT]
        m[sm + P_INFLIGHT] -= m[at + CREDIT_BYTES]
        drop_credit(m, sm)
    if m[sm + P_INFLIGHT] + moved <= m[CAP] or m[sm + P_INFLIGHT] == 0:
        return int(start)
    return -1


@inlined
def send(m: Memory, sm: int, f: int, low: int, moved: int, start: int) -> None:
    """Put a chunk on its way to its slice."""
    number = number_of(m, low)
    home = slice_numbered(m, number)
    at = home if m[COPIES] and m[f + F_KIND] else slice_for(m, number, m[sm + P_PART])
    node = pool.take(m)
    m[sm + P_SEQ] += 1
    m[node + TIE] = (m[sm + P_NUMBER] << 40) | m[sm + P_SEQ]
    m[node + GOAL] = goal(f, tags.row_of(m, at, low))
    m[node + PATH] = path(sm, at)
    m[node + ADDR] = low
    m[node + WHAT] = what(moved, m[f + F_KIND] | (AWAY if m[COPIES] and at != home else 0))
    m[node + MSHRW] = 0
    m[node + ISSUE] = start
    m[node + INFLIGHT] = m[sm + P_CAP_TOTAL] - m[f + F_BLOCKED]
    m[node + TLBW] = 0
    m[node + STAGE] = ARRIVE
    m[f + F_LEFT] += 1
    way = noc.latency(m, sm, at)
    if m[f + F_KIND]:
        start = max(start, m[sm + P_EGRESS]) + ((moved * m[EGRESS_Q16]) >> 16)
        m[sm + P_EGRESS] = start
        if noc.apart(m, sm, at):
            m[node + STAGE] = CROSS
            way = m[NEAR]
    m[node + PLACE] = place(m, low)
    if m[RESIDENCY]:
        m[node + PLACE] |= residency.class_of_run(m, m[sm + P_RUN])
    page = low >> m[PAGE_SHIFT]
    if page != m[sm + P_PAGE] and tlb.misses(m, sm, page, m[node + ISSUE]):
        if m[Q_MAPPED]:
            way += tlb.hit(m, node)
        else:
            m[node + STAGE] = TRANSLATE
    events.push(m, node, start + way)


@inlined
def note_first(m: Memory, sm: int, f: int) -> None:
    """The first chunk of f is issued: how long its port has waited since f was submitted, by kind of wait."""
    m[f + F_BLOCKED] = waited_before(m, sm, m[f + F_SUBMIT], P_CAP_TOTAL)
    if m[ASSIST]:
        m[f + F_WAITED] = m[sm + P_ENTRY_TOTAL] - waited_before(m, sm, m[f + F_SUBMIT], P_ENTRY_TOTAL)


@compiled
def note_wait(m: Memory, sm: int, begin: int, end: int, total: int) -> None:
    """Remember that the port waited from `begin` to `end`; total: the column of such waits."""
    m[sm + total] += end - begin
    at = m[sm + P_RING_POS] % RING
    m[sm + P_RING + 2 * at] = end
    m[sm + P_RING + 2 * at + 1] = end - begin if total == P_CAP_TOTAL else begin - end
    m[sm + P_RING_POS] += 1


@compiled
def waited_before(m: Memory, sm: int, time: int, total: int) -> int:
    """How much of the column `total` the port had waited up to `time` (as far back as the port remembers)."""
    waited = m[sm + total]
    position = m[sm + P_RING_POS]
    for back in range(1, min(position, RING) + 1):
        at = (position - back) % RING
        end, length = m[sm + P_RING + 2 * at], m[sm + P_RING + 2 * at + 1]
        if end <= time:
            break
        if (length > 0) == (total == P_CAP_TOTAL):
            waited -= min(abs(length), end - time)
    return int(waited)


@inlined
def credit(m: Memory, node: int, done: int) -> None:
    """A chunk is complete at `done`; its credit waits for the port, which then goes on if it was held."""
    sm = sm_of(m, node)
    at = m[sm + P_CRED_TAIL]
    m[at + CREDIT_AT] = done
    m[at + CREDIT_BYTES] = bytes_of(m, node)
    at += CREDIT_COLS
    m[sm + P_CRED_TAIL] = m[sm + P_CRED_FIRST] if at == m[sm + P_CRED_END] else at
    pool.give(m, node)
    if m[sm + P_BLOCKED]:
        issue(m, sm)


@inlined
def drop_credit(m: Memory, sm: int) -> None:
    """The first credit is taken. An empty ring begins anew, so that it mostly needs little of its place."""
    at = m[sm + P_CRED_HEAD] + CREDIT_COLS
    if at == m[sm + P_CRED_TAIL]:
        at = m[sm + P_CRED_FIRST]
        m[sm + P_CRED_TAIL] = at
    elif at == m[sm + P_CRED_END]:
        at = m[sm + P_CRED_FIRST]
    m[sm + P_CRED_HEAD] = at
