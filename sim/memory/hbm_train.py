"""Device memory at train grain: FR-FCFS over trains of accesses to one row of one channel.

A train's n bursts leave as one unit with exact first and last times. Alone, its bursts are tCCD_L apart
(they share a bank group) while it takes only every other slot of the data bus; the next train, of another
bank group, fills the slots between. Hence two clocks: the bus is taken n bursts, the bank group n x
tCCD_L.

Scheduling sees a bounded queue (counted in accesses), with a FIFO behind. Rows of waiting trains are
opened ahead, oldest first, where no waiting train still hits the open row; the column commands go to the
train that can start first, the oldest on ties. Writes are drained between two watermarks. Times are of
column commands. A channel is looked at when a train arrives and when its next train can start; looking
early changes nothing.
"""

from sim.memory import events, hbm_bank
from sim.memory.counters import INDEX
from sim.memory.hbm_bank import B_ACT, B_COLUMN, B_PRE, B_ROW, E_BANK, E_GROUP, E_NODE, E_READY, E_ROW
from sim.memory.jit import compiled
from sim.memory.layout import (
    AVAIL,
    BANK,
    BURSTS,
    C_CHANGED,
    C_DRAIN,
    C_LAST_DIR,
    C_NEXT,
    C_READ_ACC,
    C_READ_AT,
    C_READ_HEAD,
    C_READS,
    C_WAKE,
    C_WRITE_ACC,
    C_WRITE_AT,
    C_WRITE_HEAD,
    C_WRITES,
    CHAN,
    FILL,
    HBM_DONE,
    HBMQ,
    LINK,
    ROW,
    STAGE,
    WRITE,
    Memory,
)
from sim.memory.params import BANK_COLS, ENTRY_COLS, Param

OFF_GROUP, OFF_BANK = int(Param.OFF_GROUP), int(Param.OFF_BANK)
OFF_READS, OFF_WRITES = int(Param.OFF_READS), int(Param.OFF_WRITES)
BANK_GROUPS, DEPTH = int(Param.BANK_GROUPS), int(Param.DEPTH)
DRAIN_HIGH, DRAIN_LOW = int(Param.DRAIN_HIGH), int(Param.DRAIN_LOW)
BURST, CCD_L, CL, CWL = int(Param.BURST), int(Param.CCD_L), int(Param.CL), int(Param.CWL)
RCD, RCD_WR, RP, CLOSED = int(Param.RCD), int(Param.RCD_WR), int(Param.RP), int(Param.CLOSED)
WR, RTP, WTR, RTW = int(Param.WR), int(Param.RTP), int(Param.WTR), int(Param.RTW)
CTRL_OUT, RC = int(Param.CTRL_OUT), int(Param.RC)
NEVER = 1 << 62
N_ROW_HITS, N_TRAINS = INDEX["row_hits"], INDEX["trains"]
N_TURNS, N_BUSY = INDEX["turnarounds"], INDEX["hbm_busy"]
MAX_SLEEP_PS = (1 << 20) - 32
"""A channel with waiting trains notices a refresh that is due within so long."""


@compiled
def enqueue(m: Memory, node: int, now: int) -> None:
    """A train is on its way to its channel, where it arrives at AVAIL; behind others it changes nothing yet."""
    c = m[node + CHAN]
    m[node + LINK] = -1
    head = c + (C_WRITE_HEAD if m[node + WRITE] else C_READ_HEAD)
    if m[head] >= 0:
        m[m[head + 1] + LINK] = node
        m[head + 1] = node
        return
    m[head] = node
    m[head + 1] = node
    time = m[node + AVAIL]
    if m[c + C_WAKE] < 0 or m[c + C_WAKE] > time:
        set_wake(m, c, time, now)


@compiled
def run(m: Memory, c: int, now: int) -> None:
    """Serve what can start now; set the wake-up for what can start or arrive later."""
    hbm_bank.refresh(m, c, now)
    wake = -1
    while True:
        admit(m, c, c + m[OFF_READS], c + C_READS, now)
        if not m[c + C_DRAIN]:
            admit(m, c, c + m[OFF_WRITES], c + C_WRITES, now)
        writing = direction(m, c)
        counter = c + (C_WRITES if writing else C_READS)
        if m[counter] == 0:
            if m[c + C_WRITE_HEAD] >= 0 and m[m[c + C_WRITE_HEAD] + AVAIL] <= now:
                continue  # a drain has just ended; the writes behind it come in
            break
        base = c + m[OFF_WRITES if writing else OFF_READS]
        end = base + m[counter] * ENTRY_COLS
        best, start = pick(m, c, now, base, end, writing)
        if start > now:
            wake = start
            m[c + C_NEXT] = m[best + E_NODE]
            break
        serve(m, c, best, now, writing)
        leave(m, c, counter, best, end)
    if m[c + C_READ_ACC] < m[DEPTH]:
        wake = arrival(m, c + C_READ_HEAD, now, wake)
    if m[c + C_WRITE_ACC] < m[DEPTH]:
        wake = arrival(m, c + C_WRITE_HEAD, now, wake)
    set_wake(m, c, wake, now)


@compiled
def arrival(m: Memory, head: int, now: int, wake: int) -> int:
    """The earlier of `wake` (-1: none) and the arrival of a FIFO's first train, if that is still to come."""
    node = m[head]
    if node >= 0 and m[node + AVAIL] > now and (wake < 0 or m[node + AVAIL] < wake):
        return int(m[node + AVAIL])
    return wake


@compiled
def set_wake(m: Memory, c: int, wake: int, now: int) -> None:
    if wake >= 0:
        wake = min(wake, now + MAX_SLEEP_PS)
    if m[c + C_WAKE] == wake:
        return
    if m[c + C_WAKE] >= 0:
        events.remove(m, c)
    m[c + C_WAKE] = wake
    if wake >= 0:
        events.push(m, c, wake)


@compiled
def admit(m: Memory, c: int, base: int, counter: int, now: int) -> None:
    """Move trains from the FIFO into the queue that the scheduler sees; one train always fits.

    `counter` is followed by the accesses seen, the FIFO's head and its tail.
    """
    while m[counter + 2] >= 0 and m[counter + 1] < m[DEPTH]:
        node = m[counter + 2]
        if m[node + AVAIL] > now:
            return
        count = m[counter]
        accesses = m[counter + 1] + m[node + BURSTS]
        if count > 0 and accesses > m[DEPTH]:
            return
        m[counter + 2] = m[node + LINK]
        m[counter] = count + 1
        m[counter + 1] = accesses
        entry = base + count * ENTRY_COLS
        bank = m[node + BANK]
        at = c + m[OFF_BANK] + bank * BANK_COLS
        m[entry + E_NODE] = node
        m[entry + E_BANK] = bank
        m[entry + E_ROW] = m[node + ROW]
        m[entry + E_READY] = m[at + B_COLUMN] if m[at + B_ROW] == m[node + ROW] else -1
        m[entry + E_GROUP] = c + m[OFF_GROUP] + bank % m[BANK_GROUPS]
        m[c + C_CHANGED] = 1


@compiled
def direction(m: Memory, c: int) -> int:
    """1 to write: while draining a batch, or when nothing is to be read."""
    waiting = m[c + C_WRITE_ACC]
    if m[c + C_DRAIN]:
        if waiting <= m[DRAIN_LOW]:
            m[c + C_DRAIN] = 0
    elif waiting >= m[DRAIN_HIGH]:
        m[c + C_DRAIN] = 1
    return 1 if m[c + C_DRAIN] or (m[c + C_READS] == 0 and m[c + C_WRITES] > 0) else 0


@compiled
def pick(m: Memory, c: int, now: int, base: int, end: int, writing: int) -> tuple[int, int]:
    """Open rows ahead; entry and start of the train that can start first, the oldest on ties."""
    if writing or m[c + C_CHANGED]:
        left = activate(m, c, now, base, end, writing)
        m[c + C_CHANGED] = writing | left
    bus = m[c + (C_WRITE_AT if writing else C_READ_AT)]
    best = -1
    best_start = 0
    for entry in range(base, end, ENTRY_COLS):
        ready = m[entry + E_READY]
        if ready < 0:
            continue
        start = max(max(bus, ready), m[m[entry + E_GROUP]])
        if start == bus:
            return entry, start
        if best < 0 or start < best_start:
            best = entry
            best_start = start
    return best, best_start


@compiled
def activate(m: Memory, c: int, now: int, base: int, end: int, writing: int) -> int:
    """Open rows for waiting trains, oldest first, in banks whose open row nobody waits for.

    Activations of a channel are in order of decision, so a bank that is being refreshed is left for later while
    there is other work, or it would hold up all others. Returns 1 when one was left.
    """
    held = 0
    closed = 0
    for entry in range(base, end, ENTRY_COLS):
        if m[entry + E_READY] < 0:
            closed |= 1 << m[entry + E_BANK]
        else:
            held |= 1 << m[entry + E_BANK]
    left = closed & ~held
    if not left:
        return 0
    soon = now + m[RC]
    while left:
        for entry in range(base, end, ENTRY_COLS):
            bank = m[entry + E_BANK]
            if not (left >> bank) & 1 or m[entry + E_READY] >= 0:
                continue
            if m[c + m[OFF_BANK] + bank * BANK_COLS + B_ACT] > soon:
                continue
            held |= 1 << bank
            left &= ~(1 << bank)
            hbm_bank.open_row(m, c, bank, m[entry + E_ROW], now, writing)
            m[m[entry + E_NODE] + HBMQ] = -(m[RCD_WR] if writing else m[RCD])
        if held:
            break
        soon = NEVER
    return 1 if left else 0


@compiled
def serve(m: Memory, c: int, entry: int, now: int, writing: int) -> None:
    """Send the column commands of one train from `now` on and set its fill."""
    node = m[entry + E_NODE]
    n = m[node + BURSTS]
    bank = m[entry + E_BANK]
    at = c + m[OFF_BANK] + bank * BANK_COLS
    span = (n - 1) * m[CCD_L]
    last_slot = now + (n - 1) * m[BURST]
    if writing:
        end = now + m[CWL] + span + m[BURST]
        m[c + C_WRITE_AT] = last_slot + m[BURST]
        m[c + C_READ_AT] = max(m[c + C_READ_AT], last_slot + m[CWL] + m[BURST] + m[WTR])
        precharge = end + m[WR]
    else:
        end = now + m[CL] + span + m[BURST]
        m[c + C_READ_AT] = last_slot + m[BURST]
        m[c + C_WRITE_AT] = max(m[c + C_WRITE_AT], last_slot + m[RTW])
        precharge = now + span + m[RTP]
    m[c + m[OFF_GROUP] + bank % m[BANK_GROUPS]] = now + n * m[CCD_L]
    m[at + B_PRE] = max(m[at + B_PRE], precharge)
    if m[CLOSED]:
        m[at + B_ROW] = -1
        m[at + B_ACT] = max(m[at + B_ACT], m[at + B_PRE] + m[RP])
        hbm_bank.mark(m, c, bank, -1, -1)
    if m[c + C_LAST_DIR] != writing:
        m[c + C_LAST_DIR] = writing
        m[N_TURNS] += 1
    finish(m, node, end, writing, span)
    m[N_BUSY] += n * m[BURST]
    m[N_TRAINS] += 1


@compiled
def finish(m: Memory, node: int, end: int, writing: int, span: int) -> None:
    """Note the queueing (what exceeds an uncontended access; HBMQ held minus the row's opening) and set the
    fill.
    """
    alone = (m[CWL] if writing else m[CL]) + span + m[BURST]
    if m[node + HBMQ] == 0:
        m[N_ROW_HITS] += 1
    m[node + HBMQ] += end - m[node + AVAIL] - alone
    m[node + HBM_DONE] = end
    m[node + STAGE] = FILL
    events.push(m, node, end + m[CTRL_OUT])


@compiled
def leave(m: Memory, c: int, counter: int, entry: int, end: int) -> None:
    """Take a served train out of the queue."""
    m[c + C_CHANGED] = 1
    m[counter] -= 1
    m[counter + 1] -= m[m[entry + E_NODE] + BURSTS]
    for at in range(entry, end - ENTRY_COLS):
        m[at] = m[at + ENTRY_COLS]
