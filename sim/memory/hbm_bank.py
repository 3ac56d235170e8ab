"""Banks of a channel: row commands under the timing constraints, page policy and refresh.

A row command goes out when it may, never ahead: the oldest first among those that may go now, so that a bank
that has to wait delays no other. Commands of the pseudo-channels of one channel share its row-command bus.
Refresh closes banks and keeps them for tRFC: bank after bank spread over tREFI, or all at once. It is
caught up with when the channel is looked at, which is whenever anything happens in it; so is the idle time
after which the adaptive policy closes a row.
"""

from sim.memory import hbm_log
from sim.memory.bits import trailing_zeros
from sim.memory.counters import INDEX
from sim.memory.hbm_claims import (
    B_ACT,
    B_FIRST,
    B_GROUP,
    B_OPENED,
    B_PRE,
    B_ROW,
    B_USED,
    BANK,
    E_ALONE,
    E_ROW,
    GROUP,
    NEVER,
    awaited,
    bank_at,
    capped,
    entry_at,
    group_of,
    tell,
    waiting,
    yield_claims,
)
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    C_ACT_AT,
    C_BEST,
    C_CAPPED,
    C_CHANGED,
    C_FAW,
    C_FAW_POS,
    C_LOOKED,
    C_PAIR,
    C_PARTNER,
    C_REFRESH,
    C_REFRESH_BANK,
    C_ROW_AT,
    C_ROW_BUS,
    C_ROW_USER,
    C_ROW_WAITS,
    C_STALE,
    C_START,
    C_TODO,
    Memory,
)
from sim.memory.params import Param

# State of a bank group: when the next read, write and ACT may go.
G_READ, G_WRITE, G_ACT = range(3)
BANKS = int(Param.BANKS)
RCD, RCD_WR, RP = int(Param.RCD), int(Param.RCD_WR), int(Param.RP)
RAS, RC, FAW = int(Param.RAS), int(Param.RC), int(Param.FAW)
RRD_S, RRD_L, ACT_BUS, PRE_BUS = int(Param.RRD_S), int(Param.RRD_L), int(Param.ACT_BUS), int(Param.PRE_BUS)
REFRESH, REFI, RFC = int(Param.REFRESH), int(Param.REFI), int(Param.RFC)
HIT_CAP, IDLE_CLOSE = int(Param.HIT_CAP), int(Param.IDLE_CLOSE)
N_ACTIVATES, N_REFRESHES = INDEX["activates"], INDEX["refreshes"]


@inlined
def rows(m: Memory, c: int, now: int, writing: int) -> int:
    """Open and close rows for waiting trains, oldest first; returns when the next row command may go.

    An open row stays while a visible train of the queue in turn hits it, unless an older one starves.
    """
    if capped(m, c, writing):
        yield_claims(m, c, capped(m, c, writing), writing)
    todo = waiting(m, c, writing)
    later = NEVER
    may_go, known = 0, only_more(m, c, now, todo, writing)
    if known:  # none of the banks that were looked at before may go until C_ROW_AT
        may_go, later = when(m, c, todo & ~m[c + C_TODO], now)
        later = min(later, m[c + C_ROW_AT])
    m[c + C_ROW_WAITS] = m[c + C_STALE] = 0
    soonest = issue(m, c, now, writing, todo, may_go, later, known)
    m[c + C_TODO] = waiting(m, c, writing)
    return int(soonest)


@inlined
def changed(m: Memory, c: int, writing: int) -> bool:
    """Whether a queue waits for other banks than when row commands were last looked for. What is served has an open
    row, and banks that have one for the queue need no command: neither it nor who joins others changes anything.
    """
    return bool((waiting(m, c, writing) ^ m[c + C_TODO]) | capped(m, c, writing))


@inlined
def only_more(m: Memory, c: int, now: int, todo: int, writing: int) -> bool:
    """Whether all that changed since C_ROW_AT was found is that more banks are waited for."""
    same = m[c + C_ROW_AT] > now and m[c + C_LOOKED] == writing and not m[c + C_CHANGED] | m[c + C_ROW_WAITS]
    return bool(same and not m[c + C_TODO] & ~todo)


@inlined
def issue(m: Memory, c: int, now: int, writing: int, todo: int, may_go: int, later: int, known: bool) -> int:
    """Send the row commands that may go now, those of the oldest trains first; returns when the next one may.

    known: of the banks that are waited for, `may_go` and `later` are known (`when`).
    """
    soonest = NEVER
    while todo:
        if not known:
            may_go, later = when(m, c, todo, now)
        bus = m[m[c + C_PAIR] + C_ROW_BUS]
        if bus > now or not may_go:
            m[c + C_ROW_WAITS] = may_go != 0
            return int(min(soonest, bus if may_go else max(later, bus)))
        if m[c + C_PARTNER] != c and m[m[c + C_PARTNER] + C_ROW_WAITS] and m[m[c + C_PAIR] + C_ROW_USER] == c:
            m[c + C_STALE] = 1
            return int(min(soonest, min(later, now + m[PRE_BUS])))
        key = oldest(m, c, may_go, writing)
        bank = key & BANK
        todo &= ~(1 << bank)
        may_go &= ~(1 << bank)
        known = m[bank_at(m, c, bank) + B_ROW] >= 0  # closing a row holds up no other bank
        soonest = min(soonest, command(m, c, key, now, writing))
    return soonest


@inlined
def when(m: Memory, c: int, banks: int, now: int) -> tuple[int, int]:
    """Of a mask of banks: those whose next row command may go now but for the bus, and when the first of the others
    may. All is computed of each, since no branch would be guessed right.
    """
    may_go, later = 0, NEVER
    channel = channel_opens(m, c)
    while banks:
        bank = trailing_zeros(banks)
        banks &= banks - 1
        at = bank_at(m, c, bank)
        activates = max(max(m[at + B_ACT], m[group_of(m, c, at) + G_ACT]), channel)
        precharges = m[at + B_PRE]
        time = activates if m[at + B_ROW] < 0 else precharges
        may_go |= (time <= now) << bank
        later = min(later, time if time > now else NEVER)
    return may_go, later


@inlined
def channel_opens(m: Memory, c: int) -> int:
    """When the next row may be opened in any bank of a channel, as far as that does not depend on the bank."""
    return int(max(m[c + C_ACT_AT], m[c + C_FAW + m[c + C_FAW_POS]] + m[FAW]))


@inlined
def opens(m: Memory, c: int, at: int) -> int:
    """When the bank at `at`, which is closed, may open a row."""
    return int(max(max(m[at + B_ACT], m[group_of(m, c, at) + G_ACT]), channel_opens(m, c)))


@inlined
def oldest(m: Memory, c: int, banks: int, writing: int) -> int:
    """Key of the oldest train for any of a mask of banks that a queue waits for; there is one."""
    key = NEVER
    while banks:
        key = min(key, m[bank_at(m, c, trailing_zeros(banks)) + B_FIRST + writing])
        banks &= banks - 1
    return int(key)


@inlined
def command(m: Memory, c: int, key: int, now: int, writing: int) -> int:
    """Bring the row of a train one command nearer; returns when its next one may go."""
    bank = key & BANK
    m[m[c + C_PAIR] + C_ROW_USER] = c
    if m[bank_at(m, c, bank) + B_ROW] < 0:
        m[m[c + C_PAIR] + C_ROW_BUS] = now + m[ACT_BUS]
        activate(m, c, bank, entry_at(m, c, key), now)
        if key < m[c + C_BEST] and now + (m[RCD_WR] if writing else m[RCD]) <= m[c + C_START]:
            m[c + C_START] = 0
        return NEVER
    m[m[c + C_PAIR] + C_ROW_BUS] = now + m[PRE_BUS]
    precharge(m, c, bank, now)
    return max(now, opens(m, c, bank_at(m, c, bank)))  # at once, where rows close in no time


@inlined
def activate(m: Memory, c: int, bank: int, entry: int, now: int) -> None:
    """Open the row of `entry`, the oldest train of a queue that waits for the bank."""
    row = m[entry + E_ROW]
    at = bank_at(m, c, bank)
    m[c + C_FAW + m[c + C_FAW_POS]] = now
    m[c + C_FAW_POS] = (m[c + C_FAW_POS] + 1) & 3
    m[c + C_ACT_AT] = now + m[RRD_S]
    m[group_of(m, c, at) + G_ACT] = now + m[RRD_L]
    m[at + B_ROW] = row
    m[at + B_OPENED] = now
    m[at + B_USED] = now
    m[at + B_ACT] = now + m[RC]
    m[at + B_PRE] = now + m[RAS]
    m[at + B_GROUP] &= GROUP
    m[c + C_CAPPED] &= ~(1 << bank)
    m[c + C_CAPPED] |= (m[HIT_CAP] <= 0) << bank
    m[N_ACTIVATES] += 1
    hbm_log.note(m, c, now, hbm_log.ACT, bank, row)
    m[c + C_CHANGED] = 1
    m[entry + E_ALONE] |= 1
    tell(m, c, bank, row, now)


@inlined
def precharge(m: Memory, c: int, bank: int, time: int) -> None:
    """Close a bank at `time`, which lies behind its B_PRE."""
    at = bank_at(m, c, bank)
    m[at + B_ROW] = -1
    m[at + B_ACT] = max(m[at + B_ACT], time + m[RP])
    hbm_log.note(m, c, time, hbm_log.PRE, bank, -1)
    m[c + C_CHANGED] = 1
    if awaited(m, c, bank):
        tell(m, c, bank, -1, time)


@compiled
def close_idle(m: Memory, c: int, bank: int, now: int) -> None:
    """Adaptive page policy: close a row that nobody waited for when its idle time ran out, before `now`."""
    at = bank_at(m, c, bank)
    when = max(m[at + B_USED] + m[IDLE_CLOSE], m[at + B_PRE])
    if m[at + B_ROW] >= 0 and when < now and not awaited(m, c, bank):
        precharge(m, c, bank, when)


@inlined
def refresh(m: Memory, c: int, now: int) -> None:
    """Catch up with refreshes: bank after bank, spread over tREFI, or all banks at once."""
    if m[c + C_REFRESH] > now:
        return
    if m[REFRESH] == 1:
        while m[c + C_REFRESH] <= now:
            bank = m[c + C_REFRESH_BANK]
            refresh_banks(m, c, bank, bank + 1, m[c + C_REFRESH])
            m[c + C_REFRESH_BANK] = (bank + 1) % m[BANKS]
            m[c + C_REFRESH] += m[REFI] // m[BANKS]
    elif m[REFRESH] == 2:
        while m[c + C_REFRESH] <= now:
            refresh_banks(m, c, 0, m[BANKS], m[c + C_REFRESH])
            m[c + C_REFRESH] += m[REFI]


@compiled
def refresh_banks(m: Memory, c: int, first: int, end: int, due: int) -> None:
    """Close banks when what they serve is done, refresh them once they could open; they may tRFC later."""
    begin = due
    for bank in range(first, end):
        at = bank_at(m, c, bank)
        if m[at + B_ROW] >= 0:
            precharge(m, c, bank, max(due, m[at + B_PRE]))
            m[c + C_START] = 0
        begin = max(begin, m[at + B_ACT])
    for bank in range(first, end):
        at = bank_at(m, c, bank)
        m[at + B_ACT] = begin + m[RFC]
        hbm_log.note(m, c, begin, hbm_log.REF, bank, -1)
    m[c + C_STALE] = 1
    m[N_REFRESHES] += 1
