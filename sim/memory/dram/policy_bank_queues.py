"""Scheduling with a command queue per bank and round-robin over the banks, as DRAMsim3 does it.

Accesses wait in a read queue and a write buffer; each tick at most one moves to the queue of its bank.
Each tick the banks are asked in turn, starting after the last one served, for the first command that is
ready in their queue; a second command of the other kind (row or column) may follow in the same tick. Only
the head of a bank queue may close a row, and only if no access waits for the open row or `hit_cap` were
served. Writes drain in batches. All-bank refresh stops the channel until it has been issued.
"""

from numba import njit

from sim.memory.dram.layout import (
    A_LINK,
    A_STRIDE,
    A_WR,
    ACT,
    ALL_BANK,
    B_COUNT,
    B_HEAD,
    B_HIT,
    B_HITS,
    B_OPEN,
    B_TAIL,
    BANK0,
    BANK_STRIDE,
    C_OPEN,
    C_REFAB,
    E_ACC,
    E_BANK,
    E_NEXT,
    E_ROW,
    E_SEQ,
    E_WR,
    G_WIDTH,
    H_FIFO,
    H_FIFO_END,
    H_IN_REF,
    H_MODE,
    H_QUEUED,
    H_READS,
    H_REFRESH_AT,
    H_RQ_HEAD,
    H_RQ_TAIL,
    H_SEQ,
    H_STUCK,
    H_TURN,
    H_WQ_HEAD,
    H_WQ_TAIL,
    H_WRITES,
    INF,
    LB_COL,
    P_BANK_QUEUE,
    P_BANKS,
    P_CLOSED,
    P_DRAIN_MIN,
    P_HIT_CAP,
    P_LATENCY,
    P_READ_QUEUE,
    P_REFI,
    P_REFRESH,
    P_WRITE_QUEUE,
    PC0,
    PRE,
    RD,
    WR,
    IntArray,
)
from sim.memory.dram.pool import (
    append,
    filter_slot,
    find_queued,
    finish_access,
    finish_chain,
    free_entry,
    new_entry,
    take_access,
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


@njit(cache=True)
def _take(S: IntArray, A: IntArray, R: IntArray, G: IntArray, base: int, k: int, t: int) -> None:
    """Accept access `k`: merge or forward it if its address is queued, else queue it. Writes are posted."""
    take_access(A, R, k, t)
    twin = find_queued(S, A, base, G[G_WIDTH], k, 1)
    if A[A_STRIDE * k + A_WR]:
        finish_access(A, R, G, k, t)
        if twin < 0:
            append(S, base + H_WQ_HEAD, base + H_WQ_TAIL, new_entry(S, A, base, k, t))
            S[base + H_WRITES] += 1
            S[filter_slot(A, base, k, 1)] += 1
        return
    if twin >= 0:
        finish_access(A, R, G, k, t + 1)
        return
    twin = find_queued(S, A, base, G[G_WIDTH], k, 0)
    if twin >= 0:
        first = A_STRIDE * S[twin + E_ACC] + A_LINK
        A[A_STRIDE * k + A_LINK] = A[first]
        A[first] = k
        return
    append(S, base + H_RQ_HEAD, base + H_RQ_TAIL, new_entry(S, A, base, k, t))
    S[base + H_READS] += 1
    S[filter_slot(A, base, k, 0)] += 1


@njit(cache=True)
def _hand_over(S: IntArray, P: IntArray, A: IntArray, R: IntArray, G: IntArray, base: int, t: int) -> None:
    """Move accesses from the source FIFO into the queues until one is refused."""
    k = S[base + H_FIFO]
    end = S[base + H_FIFO_END]
    while k < end:
        if A[A_STRIDE * k + A_WR]:
            if S[base + H_WRITES] >= P[P_WRITE_QUEUE]:
                break
        elif S[base + H_READS] >= P[P_READ_QUEUE]:
            break
        _take(S, A, R, G, base, k, t)
        S[base + H_STUCK] = 0
        k += 1
    S[base + H_FIFO] = k


@njit(cache=True)
def _next_hit(S: IntArray, e: int, row: int, wr: int) -> int:
    while e >= 0 and (S[e + E_ROW] != row or S[e + E_WR] != wr):
        e = S[e + E_NEXT]
    return e


@njit(cache=True)
def _candidate(S: IntArray, P: IntArray, base: int, bank: int, t: int) -> tuple[int, int, int]:
    """(tick, command, entry) of `bank`: what it issues if tick <= t, else a lower bound of the next one."""
    b = base + BANK0 + BANK_STRIDE * bank
    head = S[b + B_HEAD]
    if head < 0:
        return INF, 0, -1
    row = S[b + B_OPEN]
    if row < 0:
        return activate_at(S, P, base, bank), ACT, head
    read_hit = S[b + B_HIT]
    write_hit = S[b + B_HIT + 1]
    when = INF
    if S[head + E_ROW] != row and ((read_hit < 0 and write_hit < 0) or S[b + B_HITS] >= P[P_HIT_CAP]):
        when = precharge_at(S, P, base, bank)
        if when <= t:
            return when, PRE, head
    read = read_at(S, P, base, bank) if read_hit >= 0 else INF
    write = write_at(S, P, base, bank) if write_hit >= 0 else INF
    if read <= t and (write > t or S[read_hit + E_SEQ] < S[write_hit + E_SEQ]):
        return read, RD, read_hit
    if write <= t:
        return write, WR, write_hit
    return min(when, read, write), 0, -1


@njit(cache=True)
def _serve(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, G: IntArray, L: IntArray, base: int, bank: int,
    e: int, t: int,
) -> None:  # fmt: skip
    """Issue the column command of entry `e` and remove it from its bank queue."""
    b = base + BANK0 + BANK_STRIDE * bank
    wr = S[e + E_WR]
    k = S[e + E_ACC]
    if wr:
        issue_write(S, P, G, L, base, bank, t)
    else:
        issue_read(S, P, G, L, base, bank, t)
        finish_chain(A, R, G, k, t + P[P_LATENCY])
    S[filter_slot(A, base, k, wr)] -= 1
    S[b + B_HIT + wr] = _next_hit(S, S[e + E_NEXT], S[e + E_ROW], wr)
    unlink(S, b + B_HEAD, b + B_TAIL, e)
    free_entry(S, base, e)
    S[b + B_COUNT] -= 1
    S[base + H_QUEUED] -= 1
    S[base + H_STUCK] = 0
    if P[P_CLOSED]:
        auto_precharge(S, P, base, bank, wr, t)
        S[b + B_HIT] = -1
        S[b + B_HIT + 1] = -1


@njit(cache=True)
def _issue(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, G: IntArray, L: IntArray, base: int, bank: int,
    command: int, e: int, t: int,
) -> None:  # fmt: skip
    b = base + BANK0 + BANK_STRIDE * bank
    if command == ACT:
        row = S[e + E_ROW]
        issue_activate(S, P, G, L, base, bank, row, t)
        S[b + B_HIT] = _next_hit(S, e, row, 0)
        S[b + B_HIT + 1] = _next_hit(S, e, row, 1)
    elif command == PRE:
        issue_precharge(S, P, G, L, base, bank, t)
        S[b + B_HIT] = -1
        S[b + B_HIT + 1] = -1
    else:
        _serve(S, P, A, R, G, L, base, bank, e, t)
    S[base + LB_COL + bank] = t + 1


@njit(cache=True)
def _next_ready(S: IntArray, P: IntArray, base: int, t: int) -> tuple[int, int, int]:
    """(bank, command, entry) of the next bank in turn with a ready command; bank -1 if there is none."""
    banks = P[P_BANKS]
    bank = S[base + H_TURN]
    for _ in range(banks):
        bank = bank + 1 if bank + 1 < banks else 0
        if S[base + LB_COL + bank] <= t:
            when, command, e = _candidate(S, P, base, bank, t)
            if when <= t:
                S[base + H_TURN] = bank
                return bank, command, e
            S[base + LB_COL + bank] = when
    return -1, 0, -1


@njit(cache=True)
def _refresh(S: IntArray, P: IntArray, G: IntArray, L: IntArray, base: int, t: int) -> int:
    """Work towards the waiting refresh; returns the next tick to look again, or 0 once it has been issued."""
    if S[base + PC0 + C_OPEN] == 0:
        ready = S[base + PC0 + C_REFAB]
        if t < ready:
            return ready
        issue_refresh(S, P, G, L, base, 0, t)
        S[base + H_IN_REF] = 0
        return 0
    soonest = INF
    for bank in range(P[P_BANKS]):
        b = base + BANK0 + BANK_STRIDE * bank
        if S[b + B_OPEN] >= 0:
            ready = precharge_at(S, P, base, bank)
            if ready <= t:
                issue_precharge(S, P, G, L, base, bank, t)
                S[b + B_HIT] = -1
                S[b + B_HIT + 1] = -1
                S[base + LB_COL + bank] = t + 1
                return t + 1
            soonest = min(soonest, ready)
    return soonest


@njit(cache=True)
def _issue_commands(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, G: IntArray, L: IntArray, base: int, t: int
) -> None:
    """Up to two commands, the second only if it is of the other kind: otherwise its turn is lost."""
    bank, command, e = _next_ready(S, P, base, t)
    if bank < 0:
        return
    column = command >= RD
    _issue(S, P, A, R, G, L, base, bank, command, e, t)
    bank, command, e = _next_ready(S, P, base, t)
    if bank >= 0 and (command >= RD) != column:
        _issue(S, P, A, R, G, L, base, bank, command, e, t)


@njit(cache=True)
def _schedule(S: IntArray, P: IntArray, A: IntArray, G: IntArray, base: int, t: int) -> bool:
    """Move the oldest access whose bank queue has room into it; False if there is none."""
    if S[base + H_MODE] == 0 and (
        S[base + H_WRITES] >= P[P_WRITE_QUEUE]
        or (S[base + H_WRITES] > P[P_DRAIN_MIN] and S[base + H_QUEUED] == 0)
    ):
        S[base + H_MODE] = S[base + H_WRITES]
        S[base + H_STUCK] = 0
    if S[base + H_STUCK]:
        return False
    draining = S[base + H_MODE] > 0
    head = base + (H_WQ_HEAD if draining else H_RQ_HEAD)
    tail = base + (H_WQ_TAIL if draining else H_RQ_TAIL)
    e = S[head]
    while e >= 0:
        b = base + BANK0 + BANK_STRIDE * S[e + E_BANK]
        if S[b + B_COUNT] < P[P_BANK_QUEUE]:
            break
        e = S[e + E_NEXT]
    if e < 0:
        S[base + H_STUCK] = 1
        return False
    if draining:
        if find_queued(S, A, base, G[G_WIDTH], S[e + E_ACC], 0) >= 0:
            S[base + H_MODE] = 0  # an older read of this address waits: reads first
            return True
        S[base + H_MODE] -= 1
        S[base + H_WRITES] -= 1
    else:
        S[base + H_READS] -= 1
    unlink(S, head, tail, e)
    _enqueue(S, base, e, t)
    return True


@njit(cache=True)
def _enqueue(S: IntArray, base: int, e: int, t: int) -> None:
    bank = S[e + E_BANK]
    b = base + BANK0 + BANK_STRIDE * bank
    append(S, b + B_HEAD, b + B_TAIL, e)
    S[e + E_SEQ] = S[base + H_SEQ]  # order within the bank queue, which writes enter late
    S[base + H_SEQ] += 1
    S[b + B_COUNT] += 1
    S[base + H_QUEUED] += 1
    wr = S[e + E_WR]
    if S[e + E_ROW] == S[b + B_OPEN] and S[b + B_HIT + wr] < 0:
        S[b + B_HIT + wr] = e
    S[base + LB_COL + bank] = t + 1


@njit(cache=True)
def step_bank_queues(
    S: IntArray, P: IntArray, A: IntArray, R: IntArray, G: IntArray, L: IntArray, base: int, t: int
) -> int:
    """One tick of one channel; returns a tick before which nothing can happen without new arrivals."""
    _hand_over(S, P, A, R, G, base, t)
    if P[P_REFRESH] == ALL_BANK and t >= S[base + H_REFRESH_AT]:
        S[base + H_IN_REF] = 1
        S[base + H_REFRESH_AT] += P[P_REFI]
    wake = INF
    if S[base + H_IN_REF]:
        wake = _refresh(S, P, G, L, base, t)
    if S[base + H_IN_REF] == 0:
        _issue_commands(S, P, A, R, G, L, base, t)
        wake = INF
        for bank in range(P[P_BANKS]):
            wake = min(wake, S[base + LB_COL + bank])
    if _schedule(S, P, A, G, base, t):
        wake = t + 1
    wake = max(wake, t + 1)
    if P[P_REFRESH] == ALL_BANK:
        wake = min(wake, S[base + H_REFRESH_AT])
    return wake
