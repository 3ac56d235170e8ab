"""Queues of the FR-FCFS controller: per bank and direction a FIFO, its oldest row hit, and lower bounds.

A bank offers at most one column command (its oldest row hit) and one row command (its oldest access) per
direction. `LB_COL` and `LB_ROW` keep a tick before which that command cannot issue; a bound may be stale,
never late, because shared constraints only move later. Whatever changes a bank refreshes its bounds.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    A_BANK,
    A_STRIDE,
    A_WR,
    B_ACTIVE,
    B_HEAD,
    B_HIT,
    B_HITS,
    B_OPEN,
    B_TAIL,
    BANK0,
    BANK_STRIDE,
    E_ACC,
    E_ARRIVE,
    E_BANK,
    E_NEXT,
    E_ROW,
    E_WR,
    H_FIFO,
    H_FIFO_END,
    H_LAST,
    H_MODE,
    H_PRIO,
    H_PRIO_END,
    H_READS,
    H_WRITES,
    INF,
    LB_COL,
    LB_ROW,
    LIST0,
    LIST_LEN,
    MAX_BANK,
    P_READ_QUEUE,
    P_ROW_HIT_FIRST,
    P_STARVATION_CAP,
    P_WRITE_HIGH,
    P_WRITE_LOW,
    P_WRITE_QUEUE,
    POS0,
    SOON_ACT,
    SOON_COL,
    SOON_PRE,
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
from sim.memory.dram.timing import activate_at, precharge_at, read_at, write_at


@compiled
def next_hit(S: IntArray, e: int, row: int) -> int:
    while e >= 0 and S[e + E_ROW] != row:
        e = S[e + E_NEXT]
    return e


@compiled
def _next_miss(S: IntArray, e: int, row: int) -> int:
    while e >= 0 and S[e + E_ROW] == row:
        e = S[e + E_NEXT]
    return e


@compiled
def _starving(S: IntArray, b: int, d: int) -> bool:
    """The oldest access of the bank conflicts, and the open row has served as many hits as the cap allows."""
    cap = S[P_STARVATION_CAP]
    return cap > 0 and S[b + B_HITS] >= cap and S[S[b + B_HEAD + d] + E_ROW] != S[b + B_OPEN]


@compiled
def column_at(S: IntArray, base: int, d: int, bank: int) -> int:
    """Earliest column command of `bank` in direction `d`; INF without a queued row hit that may go."""
    b = base + BANK0 + BANK_STRIDE * bank
    if S[b + B_HIT + d] < 0 or _starving(S, b, d):
        return INF
    return write_at(S, base, bank) if d else read_at(S, base, bank)


@compiled
def row_entry(S: IntArray, base: int, d: int, bank: int) -> int:
    """Access for which `bank` would issue a row command (activate or precharge), or -1.

    An open row is closed for an older access only: not while a queued hit is as old (row-hit protection),
    and not while an access for which the row was opened still waits.
    """
    b = base + BANK0 + BANK_STRIDE * bank
    head = S[b + B_HEAD + d]
    row = S[b + B_OPEN]
    if head < 0 or row < 0:
        return head
    if S[b + B_ACTIVE] >= 0:
        return -1
    if not S[P_ROW_HIT_FIRST]:
        return _next_miss(S, head, row)
    if S[head + E_ROW] == row:
        return -1
    hit = S[b + B_HIT + d]
    if hit < 0 or S[hit + E_ARRIVE] > S[head + E_ARRIVE] or _starving(S, b, d):
        return head
    return -1


@compiled
def row_at(S: IntArray, base: int, d: int, bank: int) -> int:
    if row_entry(S, base, d, bank) < 0:
        return INF
    if S[base + BANK0 + BANK_STRIDE * bank + B_OPEN] < 0:
        return activate_at(S, base, bank)
    return precharge_at(S, base, bank)


@compiled
def bound_bank(S: IntArray, base: int, d: int, bank: int) -> None:
    """Store the bounds of `bank` in direction `d`, and lower those of the channel to them."""
    column = column_at(S, base, d, bank)
    row = row_at(S, base, d, bank)
    S[base + LB_COL + d * MAX_BANK + bank] = column
    S[base + LB_ROW + d * MAX_BANK + bank] = row
    S[base + SOON_COL + d] = min(S[base + SOON_COL + d], column)
    kind = SOON_ACT if S[base + BANK0 + BANK_STRIDE * bank + B_OPEN] < 0 else SOON_PRE
    S[base + kind + d] = min(S[base + kind + d], row)


@compiled
def update_bounds(S: IntArray, base: int, bank: int) -> None:
    for d in range(2):
        if S[base + BANK0 + BANK_STRIDE * bank + B_HEAD + d] >= 0:
            bound_bank(S, base, d, bank)


@compiled
def set_hits(S: IntArray, base: int, bank: int) -> None:
    """Find the oldest row hit of both directions, after the bank's row changed."""
    b = base + BANK0 + BANK_STRIDE * bank
    row = S[b + B_OPEN]
    for d in range(2):
        S[b + B_HIT + d] = next_hit(S, S[b + B_HEAD + d], row) if row >= 0 else -1


@compiled
def _list_bank(S: IntArray, base: int, d: int, bank: int) -> None:
    n = S[base + LIST_LEN + d]
    S[base + LIST0 + d * MAX_BANK + n] = bank
    S[base + POS0 + d * MAX_BANK + bank] = n
    S[base + LIST_LEN + d] = n + 1


@compiled
def _unlist_bank(S: IntArray, base: int, d: int, bank: int) -> None:
    n = S[base + LIST_LEN + d] - 1
    pos = S[base + POS0 + d * MAX_BANK + bank]
    last = S[base + LIST0 + d * MAX_BANK + n]
    S[base + LIST0 + d * MAX_BANK + pos] = last
    S[base + POS0 + d * MAX_BANK + last] = pos
    S[base + LIST_LEN + d] = n


@compiled
def push(S: IntArray, base: int, k: int, t: int) -> None:
    """Queue access `k` in the read or write buffer."""
    e = new_entry(S, base, k, t)
    d = S[e + E_WR]
    bank = S[e + E_BANK]
    b = base + BANK0 + BANK_STRIDE * bank
    if S[b + B_HEAD + d] < 0:
        _list_bank(S, base, d, bank)
    append(S, b + B_HEAD + d, b + B_TAIL + d, e)
    if S[e + E_ROW] == S[b + B_OPEN] and S[b + B_HIT + d] < 0:
        S[b + B_HIT + d] = e
    bound_bank(S, base, d, bank)
    if d:
        S[base + H_WRITES] += 1
        S[filter_slot(S, base, k, 1)] += 1
    else:
        S[base + H_READS] += 1


@compiled
def remove(S: IntArray, base: int, e: int) -> None:
    """Take `e` out of its buffer; the entry itself stays allocated."""
    d = S[e + E_WR]
    bank = S[e + E_BANK]
    b = base + BANK0 + BANK_STRIDE * bank
    if S[b + B_HIT + d] == e:
        S[b + B_HIT + d] = next_hit(S, S[e + E_NEXT], S[e + E_ROW])
    unlink(S, b + B_HEAD + d, b + B_TAIL + d, e)
    if S[b + B_HEAD + d] < 0:
        _unlist_bank(S, base, d, bank)
    if d:
        S[base + H_WRITES] -= 1
        S[filter_slot(S, base, S[e + E_ACC], 1)] -= 1
    else:
        S[base + H_READS] -= 1


@compiled
def set_mode(S: IntArray, base: int) -> int:
    """Serve writes above the high watermark or without reads, until below the low one with reads."""
    mode = peek_mode(S, base)
    S[base + H_MODE] = mode
    return mode


@compiled
def peek_mode(S: IntArray, base: int) -> int:
    writes = S[base + H_WRITES]
    reads = S[base + H_READS]
    if S[base + H_MODE] == 0:
        return 1 if writes > S[P_WRITE_HIGH] or reads == 0 else 0
    return 0 if writes < S[P_WRITE_LOW] and reads != 0 else 1


@compiled
def settle(S: IntArray, base: int, t: int) -> None:
    """Decide the mode as the idle ticks up to `t` would have done, before the queues change."""
    if t > S[base + H_LAST]:
        if S[base + H_PRIO] == S[base + H_PRIO_END]:
            set_mode(S, base)
        S[base + H_LAST] = t


@compiled
def _buffered_write(S: IntArray, base: int, k: int) -> bool:
    """Is a write to the address of access `k` in the write buffer?"""
    if S[filter_slot(S, base, k, 1)] == 0:
        return False
    head = S[base + BANK0 + BANK_STRIDE * S[k + A_BANK] + B_HEAD + 1]
    return find_in(S, head, k, 1) >= 0


@compiled
def hand_over(S: IntArray, base: int, t: int) -> bool:
    """Move accesses from the source FIFO into the buffers until one is refused; True if any moved."""
    first = S[base + H_FIFO]
    k = first
    end = S[base + H_FIFO_END]
    settle(S, base, t)
    while k < end:
        wr = S[k + A_WR]
        if _buffered_write(S, base, k):
            take_access(S, k, t)
            finish_access(S, k, t if wr else t + 1)  # coalesced or forwarded
        elif wr:
            if S[base + H_WRITES] >= S[P_WRITE_QUEUE]:
                break
            take_access(S, k, t)
            finish_access(S, k, t)
            push(S, base, k, t)
        else:
            if S[base + H_READS] >= S[P_READ_QUEUE]:
                break
            take_access(S, k, t)
            push(S, base, k, t)
        k += A_STRIDE
    S[base + H_FIFO] = k
    return k > first
