"""Scheduling with a command queue per bank and round-robin over the banks, as DRAMsim3 does it.

Accesses wait in a read queue and a write buffer; each tick at most one moves to the queue of its bank.
Each tick the banks are asked in turn, starting after the last one served, for the first command that is
ready in their queue; a second command of the other kind (row or column) may follow in the same tick. Only
the head of a bank queue may close a row, and only if no access waits for the open row or `hit_cap` were
served. Writes drain in batches. All-bank refresh stops the channel until it has been issued.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.bank_queues import (
    hand_over,
    may_precharge,
    schedule,
    set_bound,
    unlist_bank,
)
from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    ACT,
    ALL_BANK,
    B_COUNT,
    B_HEAD,
    B_HIT,
    B_OPEN,
    B_TAIL,
    BANK0,
    BANK_STRIDE,
    C_ACT,
    C_FAW,
    C_FAW_AT,
    C_OPEN,
    C_RD,
    C_REFAB,
    C_WR,
    CLOSED_PAGE,
    E_ACC,
    E_NEXT,
    E_ROW,
    E_SEQ,
    E_WR,
    FLOOR0,
    H_IN_REF,
    H_QUEUED,
    H_REFRESH_AT,
    H_STUCK,
    H_TURN,
    INF,
    LB_COL,
    LB_ROW,
    LIST0,
    LIST_LEN,
    P_BANKS,
    P_FAW,
    P_LATENCY,
    P_PAGE,
    P_REFI,
    P_REFRESH,
    PC0,
    PRE,
    RD,
    SOONEST0,
    WR,
    IntArray,
)
from sim.memory.dram.pool import (
    filter_slot,
    finish_chain,
    free_entry,
    unlink,
)
from sim.memory.dram.timing import (
    activate_at,
    auto_precharge,
    issue_activate,
    issue_precharge,
    issue_read,
    issue_refresh,
    issue_write,
    precharge_at,
    read_at,
    write_at,
)


@compiled
def _next_hit(S: IntArray, e: int, row: int, wr: int) -> int:
    while e >= 0 and (S[e + E_ROW] != row or S[e + E_WR] != wr):
        e = S[e + E_NEXT]
    return e


@compiled
def _candidate(S: IntArray, base: int, bank: int, t: int) -> tuple[int, int]:
    """(command, entry) that `bank`, whose queue is not empty, can issue at `t`; command 0 if none."""
    b = base + BANK0 + BANK_STRIDE * bank
    if S[b + B_OPEN] < 0:
        if activate_at(S, base, bank) <= t:
            return ACT, S[b + B_HEAD]
        return 0, -1
    if may_precharge(S, b) and precharge_at(S, base, bank) <= t:
        return PRE, S[b + B_HEAD]
    read_hit = S[b + B_HIT]
    write_hit = S[b + B_HIT + 1]
    reads = read_hit >= 0 and read_at(S, base, bank) <= t
    writes = write_hit >= 0 and write_at(S, base, bank) <= t
    if reads and (not writes or S[read_hit + E_SEQ] < S[write_hit + E_SEQ]):
        return RD, read_hit
    if writes:
        return WR, write_hit
    return 0, -1


@compiled
def _serve(S: IntArray, base: int, bank: int, e: int, t: int) -> None:
    """Issue the column command of entry `e` and remove it from its bank queue."""
    b = base + BANK0 + BANK_STRIDE * bank
    wr = S[e + E_WR]
    k = S[e + E_ACC]
    if wr:
        issue_write(S, base, bank, t)
    else:
        issue_read(S, base, bank, t)
        finish_chain(S, k, t + S[P_LATENCY])
    S[filter_slot(S, base, k, wr)] -= 1
    S[b + B_HIT + wr] = _next_hit(S, S[e + E_NEXT], S[e + E_ROW], wr)
    unlink(S, b + B_HEAD, b + B_TAIL, e)
    free_entry(S, base, e)
    S[b + B_COUNT] -= 1
    if S[b + B_COUNT] == 0:
        unlist_bank(S, base, bank)
    S[base + H_QUEUED] -= 1
    S[base + H_STUCK] = 0
    if S[P_PAGE] == CLOSED_PAGE:
        auto_precharge(S, base, bank, wr, t)
        S[b + B_HIT] = -1
        S[b + B_HIT + 1] = -1


@compiled
def _issue(S: IntArray, base: int, bank: int, command: int, e: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    if command == ACT:
        row = S[e + E_ROW]
        issue_activate(S, base, bank, row, t)
        S[b + B_HIT] = _next_hit(S, e, row, 0)
        S[b + B_HIT + 1] = _next_hit(S, e, row, 1)
    elif command == PRE:
        issue_precharge(S, base, bank, t)
        S[b + B_HIT] = -1
        S[b + B_HIT + 1] = -1
    else:
        _serve(S, base, bank, e, t)
    set_bound(S, base, bank)


@compiled
def _soonest(S: IntArray, base: int) -> int:
    """A tick before which no bank issues anything.

    Per kind of command it is the later of two bounds: the lowest of the banks waiting for it, and what the
    channel as a whole allows.
    """
    pc = base + PC0
    oldest = S[pc + C_FAW + (S[pc + C_FAW_AT] & 3)]
    S[base + FLOOR0 + ACT] = max(S[pc + C_ACT], oldest + S[P_FAW])
    S[base + FLOOR0 + RD] = S[pc + C_RD]
    S[base + FLOOR0 + WR] = S[pc + C_WR]
    act = max(S[base + SOONEST0 + ACT], S[base + FLOOR0 + ACT])
    read = max(S[base + SOONEST0 + RD], S[base + FLOOR0 + RD])
    write = max(S[base + SOONEST0 + WR], S[base + FLOOR0 + WR])
    return min(min(act, read), min(write, S[base + SOONEST0]))


@compiled
def _next_ready(S: IntArray, base: int, t: int) -> tuple[int, int, int]:
    """(bank, command, entry) of the next bank in turn with a ready command.

    With none, bank is -1 and the last number is a tick before which there will be none.
    """
    soonest = _soonest(S, base)
    if soonest > t:
        return -1, 0, soonest
    n = S[base + LIST_LEN]
    place = 0
    while place < n and S[base + LIST0 + place] <= S[base + H_TURN]:
        place += 1
    several, act, read, write = INF, INF, INF, INF
    for _ in range(n):
        if place >= n:
            place = 0
        bank = S[base + LIST0 + place]
        place += 1
        if max(S[base + LB_COL + bank], S[base + FLOOR0 + S[base + LB_ROW + bank]]) <= t:
            command, e = _candidate(S, base, bank, t)
            if command:
                S[base + H_TURN] = bank
                return bank, command, e
            set_bound(S, base, bank)
        when = S[base + LB_COL + bank]
        kind = S[base + LB_ROW + bank]
        if kind == ACT:
            act = min(act, when)
        elif kind == RD:
            read = min(read, when)
        elif kind == WR:
            write = min(write, when)
        else:
            several = min(several, when)
    S[base + SOONEST0] = several
    S[base + SOONEST0 + ACT] = act
    S[base + SOONEST0 + RD] = read
    S[base + SOONEST0 + WR] = write
    return -1, 0, _soonest(S, base)


@compiled
def _refresh(S: IntArray, base: int, t: int) -> int:
    """Work towards the waiting refresh; returns the next tick to look again, or 0 once it has been issued."""
    if S[base + PC0 + C_OPEN] == 0:
        ready = S[base + PC0 + C_REFAB]
        if t < ready:
            return ready
        issue_refresh(S, base, 0, t)
        S[base + H_IN_REF] = 0
        return 0
    soonest = INF
    for bank in range(S[P_BANKS]):
        b = base + BANK0 + BANK_STRIDE * bank
        if S[b + B_OPEN] >= 0:
            ready = precharge_at(S, base, bank)
            if ready <= t:
                issue_precharge(S, base, bank, t)
                S[b + B_HIT] = -1
                S[b + B_HIT + 1] = -1
                set_bound(S, base, bank)
                return t + 1
            soonest = min(soonest, ready)
    return soonest


@compiled
def _issue_commands(S: IntArray, base: int, t: int) -> int:
    """Up to two commands, the second only if it is of the other kind: otherwise its turn is lost.

    Returns a tick before which no other command can follow.
    """
    bank, command, e = _next_ready(S, base, t)
    if bank < 0:
        return e
    column = command >= RD
    _issue(S, base, bank, command, e, t)
    bank, command, e = _next_ready(S, base, t)
    if bank < 0:
        return e
    if (command >= RD) != column:
        _issue(S, base, bank, command, e, t)
    return t + 1


@compiled
def step_bank_queues(S: IntArray, base: int, t: int) -> int:
    """One tick of one channel; returns a tick before which nothing can happen without new arrivals."""
    hand_over(S, base, t)
    if S[P_REFRESH] == ALL_BANK and t >= S[base + H_REFRESH_AT]:
        S[base + H_IN_REF] = 1
        S[base + H_REFRESH_AT] += S[P_REFI]
    wake = INF
    if S[base + H_IN_REF]:
        wake = _refresh(S, base, t)
    if S[base + H_IN_REF] == 0:
        wake = _issue_commands(S, base, t)
    if schedule(S, base):
        wake = t + 1
    wake = max(wake, t + 1)
    if S[P_REFRESH] == ALL_BANK:
        wake = min(wake, S[base + H_REFRESH_AT])
    return wake
