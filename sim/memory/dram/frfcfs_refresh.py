"""Refreshes of the FR-FCFS controller: when they fall due, and how they precharge and issue.

All-bank refresh queues one command per pseudo-channel every tREFI. Per-bank refresh queues one bank of the
whole channel every tREFIpb, in turn; under the HBM3 rule it is one bank of every pseudo-channel, one command
per tick, and a set of banks starts again only tRFCpb after its last bank.
"""

from numba import njit

from sim.memory.dram.frfcfs_queues import set_hits, update_bounds
from sim.memory.dram.layout import (
    ALIST0,
    ALL_BANK,
    B_ACTIVE,
    B_OPEN,
    B_REFPB,
    BANK0,
    BANK_STRIDE,
    C_OPEN,
    C_PREAB,
    C_REFAB,
    C_REFPB,
    E_BANK,
    H_ACTIVE,
    H_PAIR_AT,
    H_PAIR_BANK,
    H_PAIR_PC,
    H_PRIO,
    H_PRIO_END,
    H_REF_BANK,
    H_REFRESH_AT,
    H_ROW_BUS,
    H_SENT,
    H_SET_AT,
    INF,
    MAX_BANK,
    NO_REFRESH,
    P_ACT_BUS,
    P_BANKS,
    P_BANKS_PER_PC,
    P_BANKS_PER_SID,
    P_HALF_CLOCK,
    P_PC_SHIFT,
    P_PCS,
    P_REFI,
    P_REFIPB,
    P_REFRESH,
    P_RFCPB,
    PC0,
    PC_STRIDE,
    PER_BANK,
    PRIO0,
    PRIO_RING,
    REF,
    REFPB,
    IntArray,
)
from sim.memory.dram.timing import (
    issue_precharge,
    issue_precharge_all,
    issue_refresh,
    issue_refresh_bank,
    precharge_at,
)


@njit(cache=True)
def _queue(S: IntArray, base: int, command: int, target: int) -> None:
    S[base + PRIO0 + (S[base + H_PRIO_END] & (PRIO_RING - 1))] = command * MAX_BANK + target
    S[base + H_PRIO_END] += 1


@njit(cache=True)
def due_refreshes(S: IntArray, P: IntArray, base: int, t: int) -> None:
    """Queue what falls due at tick `t`."""
    kind = P[P_REFRESH]
    if kind == NO_REFRESH:
        return
    if kind > PER_BANK:
        _due_set(S, P, base, t)
    elif t >= S[base + H_REFRESH_AT]:
        if kind == ALL_BANK:
            S[base + H_REFRESH_AT] += P[P_REFI]
            for p in range(P[P_PCS]):
                _queue(S, base, REF, p)
        else:
            S[base + H_REFRESH_AT] += P[P_REFIPB]
            _queue(S, base, REFPB, S[base + H_REF_BANK])
            S[base + H_REF_BANK] = (S[base + H_REF_BANK] + 1) % P[P_BANKS]


@njit(cache=True)
def _due_set(S: IntArray, P: IntArray, base: int, t: int) -> None:
    """HBM3 rule: `H_SENT` pseudo-channels still await the command for bank `H_REF_BANK`, one each tick."""
    if S[base + H_SENT] == 0:
        if t < S[base + H_REFRESH_AT]:
            return
        sid_start = S[base + H_REF_BANK] % P[P_BANKS_PER_SID] == 0
        if sid_start and t < S[base + H_SET_AT]:
            S[base + H_REFRESH_AT] = t + 1
            return
        S[base + H_SENT] = P[P_PCS]
        S[base + H_REFRESH_AT] += P[P_REFIPB]
    p = P[P_PCS] - S[base + H_SENT]
    bank = S[base + H_REF_BANK]
    _queue(S, base, REFPB, p * P[P_BANKS_PER_PC] + bank)
    S[base + H_SENT] -= 1
    if S[base + H_SENT] == 0:
        bank += 1
        if bank == P[P_BANKS_PER_PC]:
            bank = 0
        if bank % P[P_BANKS_PER_SID] == 0 and P[P_BANKS_PER_PC] == P[P_BANKS_PER_SID]:
            S[base + H_SET_AT] = t + P[P_RFCPB] + P[P_ACT_BUS] - 1
        S[base + H_REF_BANK] = bank


@njit(cache=True)
def next_refresh_due(S: IntArray, P: IntArray, base: int, t: int) -> int:
    if P[P_REFRESH] == NO_REFRESH:
        return INF
    if S[base + H_SENT] > 0:
        return t + 1
    return max(S[base + H_REFRESH_AT], t + 1)


@njit(cache=True)
def _active_in(S: IntArray, P: IntArray, base: int, p: int) -> bool:
    for i in range(S[base + H_ACTIVE]):
        if S[S[base + ALIST0 + i] + E_BANK] >> P[P_PC_SHIFT] == p:
            return True
    return False


@njit(cache=True)
def priority_at(S: IntArray, P: IntArray, base: int) -> int:
    """Earliest tick of the next command towards the first waiting refresh (edge rules left out)."""
    first = S[base + PRIO0 + (S[base + H_PRIO] & (PRIO_RING - 1))]
    target = first % MAX_BANK
    if first // MAX_BANK == REF:
        pc = base + PC0 + PC_STRIDE * target
        if S[pc + C_OPEN] > 0:
            if _active_in(S, P, base, target):
                return INF  # the column command that empties the active list wakes the channel
            return max(S[pc + C_PREAB], S[base + H_ROW_BUS])
        return max(S[pc + C_REFAB], S[base + H_ROW_BUS])
    b = base + BANK0 + BANK_STRIDE * target
    if S[b + B_OPEN] >= 0:
        return INF if S[b + B_ACTIVE] >= 0 else precharge_at(S, P, base, target)
    at = max(S[b + B_REFPB], S[base + PC0 + PC_STRIDE * (target >> P[P_PC_SHIFT]) + C_REFPB])
    return max(at, S[base + H_ROW_BUS])


@njit(cache=True)
def try_priority(
    S: IntArray, P: IntArray, G: IntArray, L: IntArray, base: int, t: int, falling: bool
) -> None:
    """Issue the precharge or refresh that the first waiting refresh needs, if it is ready."""
    if priority_at(S, P, base) > t:
        return
    first = S[base + PRIO0 + (S[base + H_PRIO] & (PRIO_RING - 1))]
    target = first % MAX_BANK
    whole = first // MAX_BANK == REF
    p = target if whole else target >> P[P_PC_SHIFT]
    if whole:
        closing = S[base + PC0 + PC_STRIDE * p + C_OPEN] > 0
    else:
        closing = S[base + BANK0 + BANK_STRIDE * target + B_OPEN] >= 0
    if falling:
        if not closing:
            return
        if S[base + H_PAIR_AT] == t and S[base + H_PAIR_PC] == p:
            other = S[base + H_PAIR_BANK]
            if whole or other < 0 or other == target:
                return
    _issue_towards(S, P, G, L, base, target, whole, closing, t)
    if P[P_HALF_CLOCK] and not falling:
        S[base + H_PAIR_AT] = t + 1
        S[base + H_PAIR_PC] = p
        S[base + H_PAIR_BANK] = -1 if whole else target


@njit(cache=True)
def _issue_towards(
    S: IntArray, P: IntArray, G: IntArray, L: IntArray, base: int, target: int, whole: bool, closing: bool,
    t: int,
) -> None:  # fmt: skip
    if whole and closing:
        issue_precharge_all(S, P, G, L, base, target, t)
        for bank in range(target * P[P_BANKS_PER_PC], (target + 1) * P[P_BANKS_PER_PC]):
            set_hits(S, base, bank)
            update_bounds(S, P, base, bank)
    elif closing:
        issue_precharge(S, P, G, L, base, target, t)
        set_hits(S, base, target)
        update_bounds(S, P, base, target)
    else:
        if whole:
            issue_refresh(S, P, G, L, base, target, t)
        else:
            issue_refresh_bank(S, P, G, L, base, target, t)
        S[base + H_PRIO] += 1
