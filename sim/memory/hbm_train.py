"""Device memory at train grain: FR-FCFS over trains of accesses to one row of one channel.

A train's n bursts leave as one unit with exact first and last times. Alone, its bursts are tCCD_L apart (they share
a bank group) while it takes only every other slot of the data bus; the next train, of another bank group, fills the
slots between. Hence two clocks: the bus is taken n bursts, the bank group n x tCCD_L.

Scheduling sees a bounded queue (counted in accesses), with a FIFO behind. Rows of waiting trains are opened ahead,
oldest first, where no waiting train still hits the open row; the column commands go to the train that can
start first, the oldest on ties. Writes are drained between two watermarks. Times are of column commands.
A channel is looked at when a train arrives and when its next train can start; looking early changes nothing.
"""

from sim.memory import events
from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import (
    BANK,
    BURSTS,
    CHAN,
    FILL,
    HBM_DONE,
    HBM_ENQ,
    HBMQ,
    LINK,
    ROW,
    ROWMISS,
    STAGE,
    WRITE,
    Memory,
)
from sim.memory.params import BANK_COLS, Param

# Header of a channel's row of state, behind the event's columns.
(
    C_READ_AT,
    C_WRITE_AT,
    C_LAST_ACT,
    C_LAST_GROUP,
    C_FAW_POS,
    C_FAW,
    _,
    _,
    _,
    C_DRAIN,
    C_READS,
    C_READ_ACC,
    C_WRITES,
    C_WRITE_ACC,
    C_READ_HEAD,
    C_READ_TAIL,
    C_WRITE_HEAD,
    C_WRITE_TAIL,
    C_WRITE_ALL,
    C_REFRESH,
    C_WAKE,
    C_LAST_DIR,
) = range(4, 26)
# State of a bank.
B_ROW, B_COLUMN, B_ACT, B_PRE, B_REFRESH = range(5)

OFF_GROUP, OFF_BANK = int(Param.OFF_GROUP), int(Param.OFF_BANK)
OFF_READS, OFF_WRITES = int(Param.OFF_READS), int(Param.OFF_WRITES)
BANKS, BANK_GROUPS = int(Param.BANKS), int(Param.BANK_GROUPS)
DEPTH, DRAIN_HIGH, DRAIN_LOW = int(Param.DEPTH), int(Param.DRAIN_HIGH), int(Param.DRAIN_LOW)
BURST, CCD_L, CL, CWL = int(Param.BURST), int(Param.CCD_L), int(Param.CL), int(Param.CWL)
RCD, RCD_WR, RP, RAS, RC = (
    int(Param.RCD),
    int(Param.RCD_WR),
    int(Param.RP),
    int(Param.RAS),
    int(Param.RC),
)
WR, RTP, WTR, RTW = int(Param.WR), int(Param.RTP), int(Param.WTR), int(Param.RTW)
RRD_S, RRD_L, FAW = int(Param.RRD_S), int(Param.RRD_L), int(Param.FAW)
REFRESH, REFI, RFC, CLOSED = int(Param.REFRESH), int(Param.REFI), int(Param.RFC), int(Param.CLOSED)
CTRL_OUT = int(Param.CTRL_OUT)

N_ACTIVATES, N_ROW_HITS, N_TRAINS = INDEX["activates"], INDEX["row_hits"], INDEX["trains"]
N_REFRESHES, N_TURNS, N_BUSY = INDEX["refreshes"], INDEX["turnarounds"], INDEX["hbm_busy"]


@compiled
def enqueue(m: Memory, node: int, now: int) -> None:
    """A train arrives at its channel."""
    c = m[node + CHAN]
    m[node + LINK] = -1
    m[node + HBM_ENQ] = now
    head = C_WRITE_HEAD if m[node + WRITE] else C_READ_HEAD
    if m[node + WRITE]:
        m[c + C_WRITE_ALL] += m[node + BURSTS]
    if m[c + head] < 0:
        m[c + head] = node
    else:
        m[m[c + head + 1] + LINK] = node
    m[c + head + 1] = node
    run(m, c, now)


@compiled
def run(m: Memory, c: int, now: int) -> None:
    """Serve what can start now; set the wake-up for what can start later."""
    if m[REFRESH] == 2:
        refresh_channel(m, c, now)
    wake = -1
    while True:
        admit(m, c, OFF_READS, C_READS, C_READ_HEAD)
        admit(m, c, OFF_WRITES, C_WRITES, C_WRITE_HEAD)
        writing = direction(m, c)
        count = m[c + (C_WRITES if writing else C_READS)]
        if count == 0:
            break
        base = c + m[OFF_WRITES if writing else OFF_READS]
        activate(m, c, now, base, count, writing)
        best, start = pick(m, c, base, count, writing)
        if start > now:
            wake = start
            break
        serve(m, c, base, best, now, writing)
    set_wake(m, c, wake, now)


@compiled
def set_wake(m: Memory, c: int, wake: int, now: int) -> None:
    if wake >= 0:
        wake = min(wake, now + (events.SPAN >> 1))
    if m[c + C_WAKE] == wake:
        return
    if m[c + C_WAKE] >= 0:
        events.remove(m, c)
    m[c + C_WAKE] = wake
    if wake >= 0:
        events.push(m, c, wake)


@compiled
def admit(m: Memory, c: int, offset: int, counter: int, head: int) -> None:
    """Move trains from the FIFO into the queue that the scheduler sees; one train always fits."""
    while m[c + head] >= 0:
        node = m[c + head]
        count = m[c + counter]
        accesses = m[c + counter + 1] + m[node + BURSTS]
        if count > 0 and accesses > m[DEPTH]:
            return
        m[c + head] = m[node + LINK]
        m[c + m[offset] + count] = node
        m[c + counter] = count + 1
        m[c + counter + 1] = accesses


@compiled
def direction(m: Memory, c: int) -> int:
    """1 to write: while draining, or when nothing is to be read."""
    waiting = m[c + C_WRITE_ALL]
    if m[c + C_DRAIN]:
        if waiting <= m[DRAIN_LOW]:
            m[c + C_DRAIN] = 0
    elif waiting >= m[DRAIN_HIGH]:
        m[c + C_DRAIN] = 1
    return 1 if m[c + C_DRAIN] or m[c + C_READS] == 0 else 0


@compiled
def activate(m: Memory, c: int, now: int, base: int, count: int, writing: int) -> None:
    """Open rows for waiting trains, oldest first, in banks whose open row nobody waits for."""
    held = 0
    for i in range(count):
        node = m[base + i]
        at = c + m[OFF_BANK] + m[node + BANK] * BANK_COLS
        if m[REFRESH] == 1:
            refresh_bank(m, c, at, now)
        if m[at + B_ROW] == m[node + ROW]:
            held |= 1 << m[node + BANK]
    for i in range(count):
        node = m[base + i]
        bit = 1 << m[node + BANK]
        if not held & bit:
            held |= bit
            open_row(m, c, node, now, writing)


@compiled
def open_row(m: Memory, c: int, node: int, now: int, writing: int) -> None:
    bank = m[node + BANK]
    at = c + m[OFF_BANK] + bank * BANK_COLS
    act = max(now, m[at + B_ACT])
    if m[at + B_ROW] >= 0:
        act = max(act, max(now, m[at + B_PRE]) + m[RP])
    group = bank % m[BANK_GROUPS]
    apart = m[RRD_L] if group == m[c + C_LAST_GROUP] else m[RRD_S]
    act = max(act, m[c + C_LAST_ACT] + apart)
    position = m[c + C_FAW_POS]
    act = max(act, m[c + C_FAW + position] + m[FAW])
    m[c + C_FAW + position] = act
    m[c + C_FAW_POS] = (position + 1) & 3
    m[c + C_LAST_ACT] = act
    m[c + C_LAST_GROUP] = group
    m[at + B_ROW] = m[node + ROW]
    m[at + B_COLUMN] = act + (m[RCD_WR] if writing else m[RCD])
    m[at + B_ACT] = act + m[RC]
    m[at + B_PRE] = act + m[RAS]
    m[node + ROWMISS] = 1
    m[N_ACTIVATES] += 1


@compiled
def pick(m: Memory, c: int, base: int, count: int, writing: int) -> tuple[int, int]:
    """Position and start of the train whose column commands can start first, the oldest on ties."""
    bus = m[c + (C_WRITE_AT if writing else C_READ_AT)]
    best = -1
    best_start = 0
    for i in range(count):
        node = m[base + i]
        bank = m[node + BANK]
        at = c + m[OFF_BANK] + bank * BANK_COLS
        if m[at + B_ROW] != m[node + ROW]:
            continue
        start = max(bus, m[at + B_COLUMN])
        start = max(start, m[c + m[OFF_GROUP] + bank % m[BANK_GROUPS]])
        if best < 0 or start < best_start:
            best = i
            best_start = start
    return best, best_start


@compiled
def serve(m: Memory, c: int, base: int, position: int, now: int, writing: int) -> None:
    """Send the column commands of one train from `now` on and set its fill."""
    node = m[base + position]
    n = m[node + BURSTS]
    bank = m[node + BANK]
    at = c + m[OFF_BANK] + bank * BANK_COLS
    span = (n - 1) * m[CCD_L]
    last_slot = now + (n - 1) * m[BURST]
    if writing:
        end = now + m[CWL] + span + m[BURST]
        m[c + C_WRITE_AT] = last_slot + m[BURST]
        m[c + C_READ_AT] = max(m[c + C_READ_AT], last_slot + m[CWL] + m[BURST] + m[WTR])
        precharge = end + m[WR]
        m[c + C_WRITE_ALL] -= n
    else:
        end = now + m[CL] + span + m[BURST]
        m[c + C_READ_AT] = last_slot + m[BURST]
        m[c + C_WRITE_AT] = max(m[c + C_WRITE_AT], last_slot + m[RTW])
        precharge = now + span + m[RTP]
    m[c + m[OFF_GROUP] + bank % m[BANK_GROUPS]] = now + n * m[CCD_L]
    m[at + B_PRE] = max(m[at + B_PRE], precharge)
    if m[CLOSED]:
        close(m, c, at, m[at + B_PRE])
    if m[c + C_LAST_DIR] != writing:
        m[c + C_LAST_DIR] = writing
        m[N_TURNS] += 1
    leave(m, c, base, position, writing, n)
    finish(m, node, now, end, writing, span)
    m[N_BUSY] += n * m[BURST]
    m[N_TRAINS] += 1


@compiled
def finish(m: Memory, node: int, start: int, end: int, writing: int, span: int) -> None:
    alone = (m[CWL] if writing else m[CL]) + span + m[BURST]
    if m[node + ROWMISS]:
        alone += m[RCD_WR] if writing else m[RCD]
    else:
        m[N_ROW_HITS] += 1
    m[node + HBMQ] = end - m[node + HBM_ENQ] - alone
    m[node + HBM_DONE] = end
    m[node + STAGE] = FILL
    events.push(m, node, end + m[CTRL_OUT])


@compiled
def leave(m: Memory, c: int, base: int, position: int, writing: int, n: int) -> None:
    counter = C_WRITES if writing else C_READS
    m[c + counter] -= 1
    m[c + counter + 1] -= n
    for i in range(position, m[c + counter]):
        m[base + i] = m[base + i + 1]


@compiled
def close(m: Memory, c: int, at: int, precharge: int) -> None:
    m[at + B_ROW] = -1
    m[at + B_ACT] = max(m[at + B_ACT], precharge + m[RP])


@compiled
def refresh_bank(m: Memory, c: int, at: int, now: int) -> None:
    """Catch up with the bank's refreshes: it closes, and opens again tRFC after the last one began."""
    due = m[at + B_REFRESH]
    if now < due:
        return
    missed = (now - due) // m[REFI]
    begin = due + missed * m[REFI]
    if m[at + B_ROW] >= 0:
        begin = max(begin, m[at + B_PRE] + m[RP])
    m[at + B_ROW] = -1
    m[at + B_ACT] = max(m[at + B_ACT], begin + m[RFC])
    m[at + B_REFRESH] = due + (missed + 1) * m[REFI]
    m[N_REFRESHES] += missed + 1


@compiled
def refresh_channel(m: Memory, c: int, now: int) -> None:
    """All banks at once: the channel ends what it serves, closes its rows and is blocked for tRFC."""
    due = m[c + C_REFRESH]
    if now < due:
        return
    missed = (now - due) // m[REFI]
    begin = due + missed * m[REFI]
    for bank in range(m[BANKS]):
        at = c + m[OFF_BANK] + bank * BANK_COLS
        if m[at + B_ROW] >= 0:
            begin = max(begin, m[at + B_PRE] + m[RP])
    for bank in range(m[BANKS]):
        at = c + m[OFF_BANK] + bank * BANK_COLS
        m[at + B_ROW] = -1
        m[at + B_ACT] = max(m[at + B_ACT], begin + m[RFC])
    m[c + C_REFRESH] = due + (missed + 1) * m[REFI]
    m[N_REFRESHES] += missed + 1
