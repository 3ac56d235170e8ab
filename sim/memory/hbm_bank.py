"""Banks of a channel: opening rows under the timing constraints, and refresh.

Refresh closes banks and keeps them for tRFC: bank after bank spread over tREFI, or all at once. It is
caught up with when the channel is looked at, which is whenever anything happens in it.
"""

from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import (
    C_CHANGED,
    C_FAW,
    C_FAW_POS,
    C_LAST_ACT,
    C_LAST_GROUP,
    C_READS,
    C_REFRESH,
    C_REFRESH_BANK,
    C_WRITES,
    Memory,
)
from sim.memory.params import BANK_COLS, ENTRY_COLS, Param

# State of a bank: open row, when a column command may follow, when the next ACT and PRE may.
B_ROW, B_COLUMN, B_ACT, B_PRE = range(4)
# A train that the scheduler sees: its request, bank, row; when its row is (or will be) open, -1 while it is
# not; the cell that says when its bank group is free.
E_NODE, E_BANK, E_ROW, E_READY, E_GROUP = range(5)

OFF_BANK, OFF_READS, OFF_WRITES = int(Param.OFF_BANK), int(Param.OFF_READS), int(Param.OFF_WRITES)
BANKS, BANK_GROUPS = int(Param.BANKS), int(Param.BANK_GROUPS)
RCD, RCD_WR, RP = int(Param.RCD), int(Param.RCD_WR), int(Param.RP)
RAS, RC, FAW = int(Param.RAS), int(Param.RC), int(Param.FAW)
RRD_S, RRD_L = int(Param.RRD_S), int(Param.RRD_L)
REFRESH, REFI, RFC = int(Param.REFRESH), int(Param.REFI), int(Param.RFC)
N_ACTIVATES, N_REFRESHES = INDEX["activates"], INDEX["refreshes"]


@compiled
def open_row(m: Memory, c: int, bank: int, row: int, now: int, writing: int) -> None:
    at = c + m[OFF_BANK] + bank * BANK_COLS
    act = max(now, m[at + B_ACT])
    if m[at + B_ROW] >= 0:
        act = max(act, max(now, m[at + B_PRE]) + m[RP])
    group = bank % m[BANK_GROUPS]
    apart = m[RRD_L] if group == m[c + C_LAST_GROUP] else m[RRD_S]
    act = max(act, m[c + C_LAST_ACT] + apart)
    window = c + C_FAW + m[c + C_FAW_POS]
    act = max(act, m[window] + m[FAW])
    m[window] = act
    m[c + C_FAW_POS] = (m[c + C_FAW_POS] + 1) & 3
    m[c + C_LAST_ACT] = act
    m[c + C_LAST_GROUP] = group
    m[at + B_ROW] = row
    m[at + B_COLUMN] = act + (m[RCD_WR] if writing else m[RCD])
    m[at + B_ACT] = act + m[RC]
    m[at + B_PRE] = act + m[RAS]
    m[N_ACTIVATES] += 1
    mark(m, c, bank, row, m[at + B_COLUMN])


@compiled
def mark(m: Memory, c: int, bank: int, row: int, ready: int) -> None:
    """Tell the trains of a bank that `row` is open from `ready` on (-1: none is)."""
    m[c + C_CHANGED] = 1
    base = c + m[OFF_READS]
    for entry in range(base, base + m[c + C_READS] * ENTRY_COLS, ENTRY_COLS):
        if m[entry + E_BANK] == bank:
            m[entry + E_READY] = ready if m[entry + E_ROW] == row else -1
    base = c + m[OFF_WRITES]
    for entry in range(base, base + m[c + C_WRITES] * ENTRY_COLS, ENTRY_COLS):
        if m[entry + E_BANK] == bank:
            m[entry + E_READY] = ready if m[entry + E_ROW] == row else -1


@compiled
def refresh(m: Memory, c: int, now: int) -> None:
    """Catch up with refreshes: bank after bank, spread over tREFI, or all banks at once."""
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
    """Close banks when what they serve is done; they may open again tRFC later."""
    begin = due
    for bank in range(first, end):
        at = c + m[OFF_BANK] + bank * BANK_COLS
        if m[at + B_ROW] >= 0:
            begin = max(begin, m[at + B_PRE] + m[RP])
    for bank in range(first, end):
        at = c + m[OFF_BANK] + bank * BANK_COLS
        if m[at + B_ROW] >= 0:
            m[at + B_ROW] = -1
            mark(m, c, bank, -1, -1)
        m[at + B_ACT] = max(m[at + B_ACT], begin + m[RFC])
    m[N_REFRESHES] += 1
