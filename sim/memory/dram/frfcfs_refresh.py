"""Refreshes of the FR-FCFS controller: when they fall due, and how they precharge and issue.

All-bank refresh queues one command per pseudo-channel every tREFI. Per-bank refresh queues one bank of the
whole channel every tREFIpb, in turn; under the HBM3 rule it is one bank of every pseudo-channel, one command
per tick, and a set of banks starts again only tRFCpb after its last bank.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.frfcfs_queues import set_hits, update_bounds
from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    ALIST0,
    ALL_BANK,
    B_ACTIVE,
    B_OPEN,
    B_REFPB,
    BANK0,
    BANK_STRIDE,
    C_OPEN,
    C_PRE,
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


@compiled
def _queue(S: IntArray, base: int, command: int, target: int) -> None:
    S[base + PRIO0 + (S[base + H_PRIO_END] & (PRIO_RING - 1))] = command * MAX_BANK + target
    S[base + H_PRIO_END] += 1


@compiled
def due_refreshes(S: IntArray, base: int, t: int) -> None:
    """Queue what falls due at tick `t`."""
    kind = S[P_REFRESH]
    if kind == NO_REFRESH:
        return
    if kind > PER_BANK:
        _due_set(S, base, t)
    elif t >= S[base + H_REFRESH_AT]:
        if kind == ALL_BANK:
            S[base + H_REFRESH_AT] += S[P_REFI]
            for p in range(S[P_PCS]):
                _queue(S, base, REF, p)
        else:
            S[base + H_REFRESH_AT] += S[P_REFIPB]
            _queue(S, base, REFPB, S[base + H_REF_BANK])
            S[base + H_REF_BANK] = (S[base + H_REF_BANK] + 1) % S[P_BANKS]


@compiled
def _due_set(S: IntArray, base: int, t: int) -> None:
    """HBM3 rule: `H_SENT` pseudo-channels still await the command for bank `H_REF_BANK`, one each tick."""
    if S[base + H_SENT] == 0:
        if t < S[base + H_REFRESH_AT]:
            return
        sid_start = S[base + H_REF_BANK] % S[P_BANKS_PER_SID] == 0
        if sid_start and t < S[base + H_SET_AT]:
            S[base + H_REFRESH_AT] = t + 1
            return
        S[base + H_SENT] = S[P_PCS]
        S[base + H_REFRESH_AT] += S[P_REFIPB]
    p = S[P_PCS] - S[base + H_SENT]
    bank = S[base + H_REF_BANK]
    _queue(S, base, REFPB, p * S[P_BANKS_PER_PC] + bank)
    S[base + H_SENT] -= 1
    if S[base + H_SENT] == 0:
        bank += 1
        if bank == S[P_BANKS_PER_PC]:
            bank = 0
        if bank % S[P_BANKS_PER_SID] == 0 and S[P_BANKS_PER_PC] == S[P_BANKS_PER_SID]:
            S[base + H_SET_AT] = t + S[P_RFCPB] + S[P_ACT_BUS] - 1
        S[base + H_REF_BANK] = bank


@compiled
def next_refresh_due(S: IntArray, base: int, t: int) -> int:
    if S[P_REFRESH] == NO_REFRESH:
        return INF
    if S[base + H_SENT] > 0:
        return t + 1
    return max(S[base + H_REFRESH_AT], t + 1)


@compiled
def _active_in(S: IntArray, base: int, p: int) -> bool:
    for i in range(S[base + H_ACTIVE]):  # noqa: SIM110 (compiled code has no generators)
        if S[S[base + ALIST0 + i] + E_BANK] >> S[P_PC_SHIFT] == p:
            return True
    return False


@compiled
def priority_at(S: IntArray, base: int) -> int:
    """Earliest tick of the next command towards the first waiting refresh (edge rules left out)."""
    first = S[base + PRIO0 + (S[base + H_PRIO] & (PRIO_RING - 1))]
    target = first % MAX_BANK
    if first // MAX_BANK == REF:
        pc = base + PC0 + PC_STRIDE * target
        if S[pc + C_OPEN] > 0:
            if _active_in(S, base, target):
                return INF  # the column command that empties the active list wakes the channel
            return max(max(S[pc + C_PREAB], S[pc + C_PRE]), S[base + H_ROW_BUS])
        return max(S[pc + C_REFAB], S[base + H_ROW_BUS])
    b = base + BANK0 + BANK_STRIDE * target
    if S[b + B_OPEN] >= 0:
        return INF if S[b + B_ACTIVE] >= 0 else precharge_at(S, base, target)
    at = max(S[b + B_REFPB], S[base + PC0 + PC_STRIDE * (target >> S[P_PC_SHIFT]) + C_REFPB])
    return max(at, S[base + H_ROW_BUS])


@compiled
def try_priority(S: IntArray, base: int, t: int, falling: bool) -> None:
    """Issue the precharge or refresh that the first waiting refresh needs, if it is ready."""
    if priority_at(S, base) > t:
        return
    first = S[base + PRIO0 + (S[base + H_PRIO] & (PRIO_RING - 1))]
    target = first % MAX_BANK
    whole = first // MAX_BANK == REF
    p = target if whole else target >> S[P_PC_SHIFT]
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
    _issue_towards(S, base, target, whole, closing, t)
    if S[P_HALF_CLOCK] and not falling:
        S[base + H_PAIR_AT] = t + 1
        S[base + H_PAIR_PC] = p
        S[base + H_PAIR_BANK] = -1 if whole else target


@compiled
def _issue_towards(S: IntArray, base: int, target: int, whole: bool, closing: bool, t: int) -> None:
    if whole and closing:
        issue_precharge_all(S, base, target, t)
        for bank in range(target * S[P_BANKS_PER_PC], (target + 1) * S[P_BANKS_PER_PC]):
            set_hits(S, base, bank)
            update_bounds(S, base, bank)
    elif closing:
        issue_precharge(S, base, target, t)
        set_hits(S, base, target)
        update_bounds(S, base, target)
    else:
        if whole:
            issue_refresh(S, base, target, t)
        else:
            issue_refresh_bank(S, base, target, t)
        S[base + H_PRIO] += 1
