"""Device memory: FR-FCFS over trains of accesses to one row of one channel, or over each access of them.

At `train` grain a train's accesses leave as one unit with exact first and last times; at `exact` grain every access
is scheduled by itself, in the same queues and by the same rules (`hbm_bus.send` is the only difference here).

Scheduling sees a bounded queue (counted in accesses), with a FIFO behind. Row commands go to the oldest waiting
train whose bank can take one; column commands to the train that can start first, the oldest on ties. Writes are
drained between two watermarks. Times are of column commands. A channel is looked at when a train arrives and when
its next command can go (`hbm_ahead`); looking early changes nothing.
"""

from sim.memory import events, hbm_bank, hbm_bus, hbm_claims, hbm_ecc
from sim.memory.counters import INDEX
from sim.memory.hbm_bank import G_READ, G_WRITE
from sim.memory.hbm_claims import (
    B_GROUP,
    B_PRE,
    BANK,
    E_ALONE,
    E_KEY,
    E_LEFT,
    E_NODE,
    E_READY,
    E_ROW,
    E_YOUNGER,
    HITS_SHIFT,
    NEVER,
    bank_at,
    entry_at,
    group_at,
)
from sim.memory.jit import inlined
from sim.memory.layout import (
    AVAIL,
    C_BEFORE,
    C_BEST,
    C_CHANGED,
    C_DRAIN,
    C_HELD,
    C_LAST_DIR,
    C_LOOKED,
    C_OLDEST,
    C_READ_ACC,
    C_READ_AT,
    C_READ_HEAD,
    C_ROW_AT,
    C_ROW_WAITS,
    C_SEEN,
    C_STALE,
    C_START,
    C_WAKE,
    C_WRITE_ACC,
    C_WRITE_AT,
    C_WRITE_HEAD,
    FILL,
    HBM_DONE,
    HBMQ,
    LINK,
    STAGE,
    Memory,
)
from sim.memory.loads_ahead import ask_for_row
from sim.memory.params import PAGE_CODE, Param
from sim.memory.prefetch import prefetch
from sim.memory.request import (
    accesses_of,
    bank_of,
    row_of,
)

DEPTH, PAGE = int(Param.DEPTH), int(Param.PAGE)
DRAIN_HIGH, DRAIN_LOW = int(Param.DRAIN_HIGH), int(Param.DRAIN_LOW)
BURST, CCD_L, CL, CWL = int(Param.BURST), int(Param.CCD_L), int(Param.CL), int(Param.CWL)
RCD, RCD_WR = int(Param.RCD), int(Param.RCD_WR)
CTRL_OUT, ECC_SHIFT = int(Param.CTRL_OUT), int(Param.ECC_SHIFT)
CLOSED_PAGE, ADAPTIVE_PAGE = PAGE_CODE["closed"], PAGE_CODE["adaptive"]
AUTO_PRECHARGE = len(PAGE_CODE)
"""A page policy of `channel_stream` only: a row closes after every train, whether or not another hits it."""
N_ROW_HITS, N_TRAINS = INDEX["row_hits"], INDEX["trains"]
N_TURNS, N_BUSY = INDEX["turnarounds"], INDEX["hbm_busy"]
MAX_SLEEP_PS = (1 << 20) - 32
"""A channel with waiting trains notices a refresh that is due within so long."""


@inlined
def set_wake(m: Memory, c: int, wake: int, now: int) -> None:
    """Say when channel c is to be looked at after `now` (-1: when something arrives)."""
    m[c + C_WAKE] = min(wake, now + MAX_SLEEP_PS) if wake >= 0 else NEVER


@inlined
def look(m: Memory, c: int, now: int) -> None:
    """Serve what can start now; set the wake-up for what can start or arrive later."""
    m[c + C_SEEN] = now
    hbm_bank.refresh(m, c, now)
    wake = -1
    while True:
        admit(m, c, c + C_READ_ACC, now, 0)
        if not m[c + C_DRAIN]:
            admit(m, c, c + C_WRITE_ACC, now, 1)
        writing = direction(m, c)
        counter = c + (C_WRITE_ACC if writing else C_READ_ACC)
        if m[counter] == 0:
            if m[c + C_WRITE_HEAD] >= 0 and m[m[c + C_WRITE_HEAD] + AVAIL] <= now:
                continue  # a drain has just ended; the writes behind it come in
            m[c + C_ROW_WAITS] = 0
            break
        row_commands(m, c, now, writing)
        # what may change who is first makes C_START 0
        best, start = m[c + C_BEST], m[c + C_START]
        if start == 0 or start < now or (start == now and best == NEVER):
            best, start = choose(m, c, now, writing)
        if start > now:
            wake = min(start, m[c + C_ROW_AT])
            break
        serve(m, c, entry_at(m, c, best), now, writing, counter)
        m[c + C_START] = 0
    if m[c + C_READ_ACC] < m[DEPTH]:
        wake = arrival(m, c, c + C_READ_HEAD, now, wake)
    if m[c + C_WRITE_ACC] < m[DEPTH]:
        wake = arrival(m, c, c + C_WRITE_HEAD, now, wake)
    set_wake(m, c, wake, now)


@inlined
def arrival(m: Memory, c: int, head: int, now: int, wake: int) -> int:
    """The earlier of `wake` (-1: none) and the arrival of a FIFO's first train, if that is still to come; its bank and
    the row of the next one are asked for.
    """
    node = m[head]
    if node < 0:
        return wake
    prefetch(m, bank_at(m, c, bank_of(m, node)))
    ask_for_row(m, m[node + LINK])
    if m[node + AVAIL] > now and (wake < 0 or m[node + AVAIL] < wake):
        return int(m[node + AVAIL])
    return wake


@inlined
def admit(m: Memory, c: int, counter: int, now: int, writing: int) -> None:
    """Move trains from the FIFO into what the scheduler sees; one train always fits.

    `counter`: cell of the accesses seen, followed by the FIFO's head and its tail.
    """
    while m[counter + 1] >= 0 and m[counter] < m[DEPTH]:
        node = m[counter + 1]
        if m[node + AVAIL] > now:
            return
        accesses = m[counter] + accesses_of(m, node)
        if m[counter] > 0 and accesses > m[DEPTH]:
            return
        following = m[node + LINK]
        m[counter + 1] = following
        ask_for_row(m, following)
        enter(m, c, node, now, writing)
        m[counter] = accesses
        m[c + C_CHANGED] |= m[c + C_STALE]


@inlined
def enter(m: Memory, c: int, node: int, now: int, writing: int) -> None:
    """The scheduler sees a train from `now` on."""
    bank = bank_of(m, node)
    if m[PAGE] == ADAPTIVE_PAGE:
        hbm_bank.close_idle(m, c, bank, now)
    key = hbm_claims.take(m, c, bank)
    entry = entry_at(m, c, key)
    m[entry + E_NODE] = node
    m[entry + E_KEY] = key
    m[entry + E_ROW] = row_of(m, node)
    count = accesses_of(m, node)
    m[entry + E_LEFT] = count
    m[entry + E_ALONE] = 2 * (
        m[node + AVAIL] + (m[CWL] if writing else m[CL]) + (count - 1) * m[CCD_L] + m[BURST]
    )
    if hbm_claims.enters(m, c, entry, writing) and m[c + C_BEST] == NEVER:
        m[c + C_START] = 0  # else it comes behind the train that starts next, or cannot start


@inlined
def direction(m: Memory, c: int) -> int:
    """1 to write: while draining a batch, or when nothing is to be read."""
    waiting = m[c + C_WRITE_ACC]
    if not waiting | m[c + C_DRAIN]:
        return 0
    if m[c + C_DRAIN]:
        if waiting <= m[DRAIN_LOW]:
            m[c + C_DRAIN] = 0
    elif waiting >= m[DRAIN_HIGH]:
        m[c + C_DRAIN] = 1
    return 1 if m[c + C_DRAIN] or (m[c + C_READ_ACC] == 0 and waiting > 0) else 0


@inlined
def row_commands(m: Memory, c: int, now: int, writing: int) -> None:
    """Open and close rows for the queue in turn, if one is due or what decided that none is has changed."""
    turned = m[c + C_LOOKED] ^ writing
    if m[c + C_CHANGED] | turned | (m[c + C_ROW_AT] <= now) | hbm_bank.changed(m, c, writing):
        m[c + C_ROW_AT] = hbm_bank.rows(m, c, now, writing)
        m[c + C_CHANGED] = 0
        if turned:
            m[c + C_START] = 0
        m[c + C_LOOKED] = writing


@inlined
def choose(m: Memory, c: int, now: int, writing: int) -> tuple[int, int]:
    """Note which train starts next and when (`pick`), and ask for its row, which is written then."""
    best, start = pick(m, c, now, writing)
    m[c + C_BEST] = best
    m[c + C_START] = start
    if best != NEVER:
        ask_for_row(m, m[entry_at(m, c, best) + E_NODE])
    return best, start


@inlined
def pick(m: Memory, c: int, now: int, writing: int) -> tuple[int, int]:
    """Key and start of the train that can start first: the oldest of those that can when the bus is free next; NEVER
    and the time to look again (NEVER without an open row) when none can by then.
    """
    held = m[c + C_HELD + writing]
    if not held:
        return NEVER, NEVER
    bus = hbm_bus.slot(m, c, max(now, m[c + (C_WRITE_AT if writing else C_READ_AT)]))
    least = NEVER
    before = c + C_OLDEST + writing
    while m[before] != NEVER:
        key = m[before]
        entry = entry_at(m, c, key)
        ready = max(m[entry + E_READY], m[group_at(c, key) + (G_WRITE if writing else G_READ)])
        if ready <= bus:
            m[c + C_BEFORE] = before
            return key, bus
        least = min(least, ready)
        before = entry + E_YOUNGER
    return NEVER, hbm_bus.slot(m, c, least)  # slots keep the order of times, and this one is behind `bus`


@inlined
def serve(m: Memory, c: int, entry: int, now: int, writing: int, counter: int) -> None:
    """Send the column commands of one train (at exact grain: one of them) from `now` on."""
    if m[ECC_SHIFT]:
        hbm_ecc.check(m, c, entry, counter)
    before = m[entry + E_LEFT]
    if m[bank_at(m, c, m[entry + E_KEY] & BANK) + B_GROUP] >> HITS_SHIFT:
        m[N_ROW_HITS] += 1
    last = hbm_bus.send(m, c, entry, now, writing)
    count = before - m[entry + E_LEFT]
    m[counter] -= count
    if m[c + C_LAST_DIR] != writing:
        m[c + C_LAST_DIR] = writing
        m[N_TURNS] += 1
    m[N_BUSY] += count * m[BURST]
    m[N_TRAINS] += 1
    m[c + C_CHANGED] |= m[c + C_STALE]
    if m[entry + E_LEFT] == 0:
        finish(m, entry, last, writing)
        leave(m, c, entry, writing)


@inlined
def finish(m: Memory, entry: int, last: int, writing: int) -> None:
    """Note the queueing, which is what exceeds an uncontended access, and set the fill. The request's row, which is
    far by now, is written and not read.
    """
    node = m[entry + E_NODE]
    end = last + (m[CWL] if writing else m[CL]) + m[BURST]
    alone = m[entry + E_ALONE]
    opening = (m[RCD_WR] if writing else m[RCD]) * (alone & 1)
    m[node + HBMQ] = end - (alone >> 1) - opening
    done = end + m[CTRL_OUT]
    m[node + HBM_DONE] = done
    m[node + STAGE] = FILL
    events.push(m, node, done)


@inlined
def leave(m: Memory, c: int, entry: int, writing: int) -> None:
    """Forget a served train; under the closed page policy its row closes unless another hits it, with auto-precharge
    always.
    """
    bank = m[entry + E_KEY] & BANK
    hbm_claims.leaves(m, c, entry, writing)
    if m[PAGE] == AUTO_PRECHARGE or (m[PAGE] == CLOSED_PAGE and not hbm_claims.awaited(m, c, bank)):
        hbm_bank.precharge(m, c, bank, m[bank_at(m, c, bank) + B_PRE])
