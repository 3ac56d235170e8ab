"""First-ready, first-come-first-served over one buffer per direction, as Ramulator 2's HBM controllers do it.

Each tick one command may issue on the column bus and one on the row bus. An access leaves its buffer when
its row is activated and then has priority on the column bus (the active list). Refreshes wait in a priority
queue; while it is not empty no ordinary access is scheduled. The two pseudo-channels share the buffers, the
buses and one read/write mode. With half-clock ticks (HBM3, HBM4) columns and all row commands except
precharge issue on rising (odd) edges only, and a precharge may not follow on the falling edge of a row
command to the same bank.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.frfcfs_page import close_early, learn
from sim.memory.dram.frfcfs_queues import (
    column_at,
    peek_mode,
    remove,
    row_at,
    row_entry,
    set_hits,
    set_mode,
    settle,
    update_bounds,
)
from sim.memory.dram.frfcfs_refresh import due_refreshes, next_refresh_due, priority_at, try_priority
from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    ACT_FLOOR,
    ADAPTIVE_PAGE,
    ALIST0,
    B_ACTIVE,
    B_HIT,
    B_OPEN,
    BANK0,
    BANK_STRIDE,
    C_ACT,
    C_FAW,
    C_FAW_AT,
    C_PRE,
    C_RD,
    C_WR,
    COL_FLOOR,
    E_ACC,
    E_ARRIVE,
    E_BANK,
    E_ROW,
    E_SEQ,
    E_WR,
    H_ACTIVE,
    H_COL_BUS,
    H_LAST,
    H_PAIR_AT,
    H_PAIR_BANK,
    H_PAIR_PC,
    H_PRIO,
    H_PRIO_END,
    H_ROW_BUS,
    INF,
    LB_COL,
    LB_ROW,
    LIST0,
    LIST_LEN,
    MAX_BANK,
    OPEN_PAGE,
    P_FAW,
    P_HALF_CLOCK,
    P_LATENCY,
    P_PAGE,
    P_PC_SHIFT,
    P_PCS,
    PC0,
    PC_STRIDE,
    SOON_ACT,
    SOON_COL,
    SOON_PRE,
    IntArray,
)
from sim.memory.dram.pool import finish_access, free_entry
from sim.memory.dram.timing import (
    issue_activate,
    issue_precharge,
    issue_read,
    issue_write,
    read_at,
    write_at,
)


@compiled
def _issue_column(S: IntArray, base: int, e: int, t: int) -> None:
    bank = S[e + E_BANK]
    if S[e + E_WR]:
        issue_write(S, base, bank, t)
    else:
        issue_read(S, base, bank, t)
        finish_access(S, S[e + E_ACC], t + S[P_LATENCY])
    if S[P_PAGE] != OPEN_PAGE:
        close_early(S, base, bank, S[e + E_WR], t)
    free_entry(S, base, e)


@compiled
def _active_column(S: IntArray, base: int, t: int) -> bool:
    """Issue the oldest ready access of the active list."""
    best = -1
    n = S[base + H_ACTIVE]
    for i in range(n):
        e = S[base + ALIST0 + i]
        bank = S[e + E_BANK]
        ready = write_at(S, base, bank) if S[e + E_WR] else read_at(S, base, bank)
        if ready <= t and (best < 0 or S[e + E_ARRIVE] < S[S[base + ALIST0 + best] + E_ARRIVE]):
            best = i
    if best < 0:
        return False
    e = S[base + ALIST0 + best]
    for i in range(best, n - 1):
        S[base + ALIST0 + i] = S[base + ALIST0 + i + 1]
    S[base + H_ACTIVE] = n - 1
    bank = S[e + E_BANK]
    S[base + BANK0 + BANK_STRIDE * bank + B_ACTIVE] = -1
    _issue_column(S, base, e, t)
    update_bounds(S, base, bank)
    return True


@compiled
def _column_soonest(S: IntArray, base: int, d: int) -> int:
    """A tick before which the buffer of direction `d` has no ready column command.

    Leaves what each pseudo-channel allows in COL_FLOOR.
    """
    floor = INF
    for p in range(S[P_PCS]):
        allowed = S[base + PC0 + PC_STRIDE * p + (C_WR if d else C_RD)]
        S[base + COL_FLOOR + p] = allowed
        floor = min(floor, allowed)
    return max(max(floor, S[base + H_COL_BUS]), S[base + SOON_COL + d])


@compiled
def _row_soonest(S: IntArray, base: int, d: int) -> int:
    """A tick before which the buffer of direction `d` has no ready row command.

    Leaves the first activate that each pseudo-channel allows in ACT_FLOOR.
    """
    floor = INF
    for p in range(S[P_PCS]):
        pc = base + PC0 + PC_STRIDE * p
        window = S[pc + C_FAW + (S[pc + C_FAW_AT] & 3)] + S[P_FAW]
        allowed = max(window, S[pc + C_ACT])
        S[base + ACT_FLOOR + p] = allowed
        floor = min(floor, allowed)
    when = min(max(floor, S[base + SOON_ACT + d]), S[base + SOON_PRE + d])
    return max(when, S[base + H_ROW_BUS])


@compiled
def _buffer_column(S: IntArray, base: int, t: int) -> None:
    """Issue the oldest ready row hit of the buffer in turn."""
    d = set_mode(S, base)
    if _column_soonest(S, base, d) > t:
        return
    best = -1
    soonest = INF
    for i in range(S[base + LIST_LEN + d]):
        bank = S[base + LIST0 + d * MAX_BANK + i]
        bound = base + LB_COL + d * MAX_BANK + bank
        if S[bound] <= t and S[base + COL_FLOOR + (bank >> S[P_PC_SHIFT])] <= t:
            S[bound] = column_at(S, base, d, bank)
            if S[bound] <= t:
                e = S[base + BANK0 + BANK_STRIDE * bank + B_HIT + d]
                if best < 0 or S[e + E_SEQ] < S[best + E_SEQ]:
                    best = e
        soonest = min(soonest, S[bound])
    S[base + SOON_COL + d] = soonest
    if best >= 0:
        bank = S[best + E_BANK]
        remove(S, base, best)
        _issue_column(S, base, best, t)
        update_bounds(S, base, bank)


@compiled
def _falling_edge_allows(S: IntArray, base: int, bank: int, t: int) -> bool:
    """May a precharge of `bank` issue on the falling edge `t`?"""
    if S[base + H_PAIR_AT] != t or S[base + H_PAIR_PC] != bank >> S[P_PC_SHIFT]:
        return True
    other = S[base + H_PAIR_BANK]
    return other >= 0 and other != bank


@compiled
def _row_ready(S: IntArray, base: int, d: int, bank: int, closed: bool, t: int) -> bool:
    """Can `bank`, whose bound has passed, issue its row command at `t` as far as timing goes?"""
    p = bank >> S[P_PC_SHIFT]
    if not closed:
        # Of the constraints on a precharge only these are shared; the bank's own part is in its bound.
        return S[base + PC0 + PC_STRIDE * p + C_PRE] <= t
    if S[base + ACT_FLOOR + p] > t:
        return False
    when = row_at(S, base, d, bank)
    S[base + LB_ROW + d * MAX_BANK + bank] = when
    return when <= t


@compiled
def _buffer_row(S: IntArray, base: int, t: int, falling: bool) -> None:
    """Issue the oldest ready activate or precharge of the buffer in turn."""
    d = set_mode(S, base)
    if _row_soonest(S, base, d) > t:
        return
    best = -1
    act = INF
    pre = INF
    for i in range(S[base + LIST_LEN + d]):
        bank = S[base + LIST0 + d * MAX_BANK + i]
        bound = base + LB_ROW + d * MAX_BANK + bank
        closed = S[base + BANK0 + BANK_STRIDE * bank + B_OPEN] < 0
        barred = falling and (closed or not _falling_edge_allows(S, base, bank, t))
        if S[bound] <= t and not barred and _row_ready(S, base, d, bank, closed, t):
            e = row_entry(S, base, d, bank)
            if best < 0 or S[e + E_SEQ] < S[best + E_SEQ]:
                best = e
        if closed:
            act = min(act, S[bound])
        else:
            pre = min(pre, S[bound])
    S[base + SOON_ACT + d] = act
    S[base + SOON_PRE + d] = pre
    if best >= 0:
        _issue_row(S, base, best, t, falling)


@compiled
def _issue_row(S: IntArray, base: int, e: int, t: int, falling: bool) -> None:
    bank = S[e + E_BANK]
    b = base + BANK0 + BANK_STRIDE * bank
    opening = S[b + B_OPEN] < 0
    if S[P_PAGE] == ADAPTIVE_PAGE:
        learn(S, b, opening, S[e + E_ROW])
    if opening:
        issue_activate(S, base, bank, S[e + E_ROW], t)
        remove(S, base, e)
        S[b + B_ACTIVE] = e
        S[base + ALIST0 + S[base + H_ACTIVE]] = e
        S[base + H_ACTIVE] += 1
    else:
        issue_precharge(S, base, bank, t)
    set_hits(S, base, bank)
    update_bounds(S, base, bank)
    if S[P_HALF_CLOCK] and not falling:
        S[base + H_PAIR_AT] = t + (3 if opening else 1)
        S[base + H_PAIR_PC] = bank >> S[P_PC_SHIFT]
        S[base + H_PAIR_BANK] = bank


@compiled
def _rising(S: IntArray, t: int) -> int:
    """First tick from `t` on at which column commands and activates may issue."""
    return t | 1 if S[P_HALF_CLOCK] else t


@compiled
def _next_wake(S: IntArray, base: int, t: int) -> int:
    wake = INF
    for i in range(S[base + H_ACTIVE]):
        e = S[base + ALIST0 + i]
        bank = S[e + E_BANK]
        ready = write_at(S, base, bank) if S[e + E_WR] else read_at(S, base, bank)
        wake = min(wake, ready)
    if S[base + H_PRIO] != S[base + H_PRIO_END]:
        wake = _rising(S, max(wake, t + 1))
        return min(wake, max(priority_at(S, base), t + 1))
    d = peek_mode(S, base)
    wake = _rising(S, max(min(wake, _column_soonest(S, base, d)), t + 1))
    return min(wake, max(_row_soonest(S, base, d), t + 1))


@compiled
def step_frfcfs(S: IntArray, base: int, t: int) -> int:
    """One tick of one channel, before the hand-over of this tick; returns the next tick to look again."""
    settle(S, base, t - 1)
    S[base + H_LAST] = t
    due_refreshes(S, base, t)
    falling = S[P_HALF_CLOCK] != 0 and t & 1 == 0
    refreshing = S[base + H_PRIO] != S[base + H_PRIO_END]
    if not falling:
        served = S[base + H_ACTIVE] > 0 and _active_column(S, base, t)
        if not served and not refreshing:
            _buffer_column(S, base, t)
    if refreshing:
        try_priority(S, base, t, falling)
    else:
        _buffer_row(S, base, t, falling)
    return min(_next_wake(S, base, t), next_refresh_due(S, base, t))
