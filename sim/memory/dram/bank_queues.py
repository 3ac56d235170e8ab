"""Queues of the bank-queue controller: read queue and write buffer, one command queue per bank, their bounds.

For each bank `LB_COL` holds a tick before which it issues nothing and `LB_ROW` the one kind of command it
waits for (0: several). Bounds may be stale, never late: shared constraints only move later.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    A_BANK,
    A_LINK,
    A_STRIDE,
    A_WR,
    ACT,
    B_COUNT,
    B_HEAD,
    B_HIT,
    B_HITS,
    B_OPEN,
    B_TAIL,
    BANK0,
    BANK_STRIDE,
    E_ACC,
    E_BANK,
    E_NEXT,
    E_ROW,
    E_SEQ,
    E_WR,
    H_FIFO,
    H_FIFO_END,
    H_MODE,
    H_QUEUED,
    H_READS,
    H_RQ_HEAD,
    H_RQ_TAIL,
    H_SEQ,
    H_STUCK,
    H_WQ_HEAD,
    H_WQ_TAIL,
    H_WRITES,
    INF,
    LB_COL,
    LB_ROW,
    LIST0,
    LIST_LEN,
    P_BANK_QUEUE,
    P_DRAIN_MIN,
    P_HIT_CAP,
    P_READ_QUEUE,
    P_WRITE_QUEUE,
    RD,
    SOONEST0,
    WR,
    IntArray,
)
from sim.memory.dram.pool import (
    append,
    filter_slot,
    find_in,
    finish_access,
    new_entry,
    take_access,
    unlink,
)
from sim.memory.dram.timing import (
    activate_at,
    precharge_at,
    read_at,
    write_at,
)


@compiled
def find_queued(S: IntArray, base: int, k: int, wr: int) -> int:
    """Entry of the access with the address of `k` and direction `wr` that has not been issued, or -1."""
    if S[filter_slot(S, base, k, wr)] == 0:
        return -1
    e = find_in(S, S[base + BANK0 + BANK_STRIDE * S[k + A_BANK] + B_HEAD], k, wr)
    return e if e >= 0 else find_in(S, S[base + (H_WQ_HEAD if wr else H_RQ_HEAD)], k, wr)


@compiled
def _take(S: IntArray, base: int, k: int, t: int) -> None:
    """Accept access `k`: merge or forward it if its address is queued, else queue it. Writes are posted."""
    take_access(S, k, t)
    twin = find_queued(S, base, k, 1)
    if S[k + A_WR]:
        finish_access(S, k, t)
        if twin < 0:
            append(S, base + H_WQ_HEAD, base + H_WQ_TAIL, new_entry(S, base, k, t))
            S[base + H_WRITES] += 1
            S[filter_slot(S, base, k, 1)] += 1
        return
    if twin >= 0:
        finish_access(S, k, t + 1)
        return
    twin = find_queued(S, base, k, 0)
    if twin >= 0:
        first = S[twin + E_ACC]
        S[k + A_LINK] = S[first + A_LINK]
        S[first + A_LINK] = k
        return
    append(S, base + H_RQ_HEAD, base + H_RQ_TAIL, new_entry(S, base, k, t))
    S[base + H_READS] += 1
    S[filter_slot(S, base, k, 0)] += 1


@compiled
def hand_over(S: IntArray, base: int, t: int) -> None:
    """Move accesses from the source FIFO into the queues until one is refused."""
    k = S[base + H_FIFO]
    end = S[base + H_FIFO_END]
    while k < end:
        if S[k + A_WR]:
            if S[base + H_WRITES] >= S[P_WRITE_QUEUE]:
                break
        elif S[base + H_READS] >= S[P_READ_QUEUE]:
            break
        _take(S, base, k, t)
        S[base + H_STUCK] = 0
        k += A_STRIDE
    S[base + H_FIFO] = k


@compiled
def may_precharge(S: IntArray, b: int) -> bool:
    """The head of the queue conflicts, and nothing waits for the open row or enough was served from it."""
    if S[S[b + B_HEAD] + E_ROW] == S[b + B_OPEN]:
        return False
    return (S[b + B_HIT] < 0 and S[b + B_HIT + 1] < 0) or S[b + B_HITS] >= S[P_HIT_CAP]


@compiled
def set_bound(S: IntArray, base: int, bank: int) -> None:
    """Store a tick before which `bank` issues nothing, and the one command it waits for (0: several)."""
    b = base + BANK0 + BANK_STRIDE * bank
    when = INF
    kind = 0
    if S[b + B_HEAD] >= 0:
        if S[b + B_OPEN] < 0:
            when = activate_at(S, base, bank)
            kind = ACT
        else:
            if S[b + B_HIT] >= 0:
                when = read_at(S, base, bank)
                kind = RD
            if S[b + B_HIT + 1] >= 0:
                when = min(when, write_at(S, base, bank))
                kind = 0 if kind else WR
            if may_precharge(S, b):
                when = min(when, precharge_at(S, base, bank))
                kind = 0
    S[base + LB_COL + bank] = when
    S[base + LB_ROW + bank] = kind
    S[base + SOONEST0 + kind] = min(S[base + SOONEST0 + kind], when)


@compiled
def _list_bank(S: IntArray, base: int, bank: int) -> None:
    """Enter `bank` into the sorted list of banks with queued commands."""
    place = base + LIST0 + S[base + LIST_LEN]
    while place > base + LIST0 and S[place - 1] > bank:
        S[place] = S[place - 1]
        place -= 1
    S[place] = bank
    S[base + LIST_LEN] += 1


@compiled
def unlist_bank(S: IntArray, base: int, bank: int) -> None:
    last = base + LIST0 + S[base + LIST_LEN] - 1
    place = base + LIST0
    while S[place] != bank:
        place += 1
    while place < last:
        S[place] = S[place + 1]
        place += 1
    S[base + LIST_LEN] -= 1


@compiled
def _enqueue(S: IntArray, base: int, e: int) -> None:
    bank = S[e + E_BANK]
    b = base + BANK0 + BANK_STRIDE * bank
    append(S, b + B_HEAD, b + B_TAIL, e)
    S[e + E_SEQ] = S[base + H_SEQ]  # order within the bank queue, which writes enter late
    S[base + H_SEQ] += 1
    if S[b + B_COUNT] == 0:
        _list_bank(S, base, bank)
    S[b + B_COUNT] += 1
    S[base + H_QUEUED] += 1
    wr = S[e + E_WR]
    if S[e + E_ROW] == S[b + B_OPEN] and S[b + B_HIT + wr] < 0:
        S[b + B_HIT + wr] = e
    set_bound(S, base, bank)


@compiled
def schedule(S: IntArray, base: int) -> bool:
    """Move the oldest access whose bank queue has room into it; False if there is none."""
    if S[base + H_MODE] == 0 and (
        S[base + H_WRITES] >= S[P_WRITE_QUEUE]
        or (S[base + H_WRITES] > S[P_DRAIN_MIN] and S[base + H_QUEUED] == 0)
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
        if S[b + B_COUNT] < S[P_BANK_QUEUE]:
            break
        e = S[e + E_NEXT]
    if e < 0:
        S[base + H_STUCK] = 1
        return False
    if draining:
        if find_queued(S, base, S[e + E_ACC], 0) >= 0:
            S[base + H_MODE] = 0  # an older read of this address waits: reads first
            return True
        S[base + H_MODE] -= 1
        S[base + H_WRITES] -= 1
    else:
        S[base + H_READS] -= 1
    unlink(S, head, tail, e)
    _enqueue(S, base, e)
    return True
