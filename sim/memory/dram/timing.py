"""Timing constraints: when a command may issue, and what issuing it forbids until when.

Every constraint has the form "command B not before command A plus n ticks" at one level (bank, bank group,
stack id, pseudo-channel, command bus). Each level keeps the earliest tick per command, which only ever moves
later: a bound computed earlier stays a valid lower bound.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types an element of an array as Any)

from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    ACT,
    AUTO_PRE,
    B_ACT,
    B_HITS,
    B_OPEN,
    B_PRE,
    B_RD,
    B_REFPB,
    B_WR,
    BANK0,
    BANK_STRIDE,
    BG0,
    BG_ACT,
    BG_RD,
    BG_STRIDE,
    BG_WR,
    C_ACT,
    C_FAW,
    C_FAW_AT,
    C_OPEN,
    C_PRE,
    C_PREAB,
    C_RD,
    C_REFAB,
    C_REFPB,
    C_WR,
    G_LOG_AT,
    G_LOG_END,
    H_COL_BUS,
    H_N_ACT,
    H_N_PRE,
    H_N_RD,
    H_N_REF,
    H_N_WR,
    H_ROW_BUS,
    LOG_STRIDE,
    P_ACT_BUS,
    P_ACT_REF,
    P_ACT_REFPB_BANK,
    P_ACT_REFPB_PC,
    P_BANKS_PER_PC,
    P_BG_SHIFT,
    P_CCD_L,
    P_CCD_R,
    P_CCD_S,
    P_COL_BUS,
    P_FAW,
    P_PC_SHIFT,
    P_PPD,
    P_PRE_REF,
    P_PRE_REFPB,
    P_RAS,
    P_RC,
    P_RCD_RD,
    P_RCD_WR,
    P_RDA_ACT,
    P_RDA_REF,
    P_REF_PREAB,
    P_REF_REF,
    P_REFPB_ACT,
    P_REFPB_REFPB,
    P_RFC,
    P_RFCPB,
    P_RP,
    P_RRD_L,
    P_RRD_S,
    P_RTP,
    P_RTW,
    P_SID_SHIFT,
    P_SIDS,
    P_WR_PRE,
    P_WRA_ACT,
    P_WRA_REF,
    P_WTR_L,
    P_WTR_S,
    PC0,
    PC_STRIDE,
    PRE,
    PREAB,
    RD,
    REF,
    REFPB,
    SID0,
    WR,
    IntArray,
)


@compiled
def log_command(S: IntArray, t: int, base: int, command: int, target: int, row: int) -> None:
    """Append (tick, channel base, command, bank or pseudo-channel, row) if the log has room."""
    at = S[G_LOG_AT]
    if at + LOG_STRIDE <= S[G_LOG_END]:
        S[at] = t
        S[at + 1] = base
        S[at + 2] = command
        S[at + 3] = target
        S[at + 4] = row
        S[G_LOG_AT] = at + LOG_STRIDE


@compiled
def activate_at(S: IntArray, base: int, bank: int) -> int:
    """Earliest tick at which `bank` may be activated."""
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    t = max(S[base + BANK0 + BANK_STRIDE * bank + B_ACT], S[pc + C_ACT])
    t = max(t, S[base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT]) + BG_ACT])
    t = max(t, S[pc + C_FAW + (S[pc + C_FAW_AT] & 3)] + S[P_FAW])
    return max(t, S[base + H_ROW_BUS])


@compiled
def precharge_at(S: IntArray, base: int, bank: int) -> int:
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    t = max(S[base + BANK0 + BANK_STRIDE * bank + B_PRE], S[pc + C_PRE])
    return max(t, S[base + H_ROW_BUS])


@compiled
def read_at(S: IntArray, base: int, bank: int) -> int:
    t = max(S[base + BANK0 + BANK_STRIDE * bank + B_RD], S[base + H_COL_BUS])
    t = max(t, S[base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT]) + BG_RD])
    t = max(t, S[base + SID0 + (bank >> S[P_SID_SHIFT])])
    return max(t, S[base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT]) + C_RD])


@compiled
def write_at(S: IntArray, base: int, bank: int) -> int:
    t = max(S[base + BANK0 + BANK_STRIDE * bank + B_WR], S[base + H_COL_BUS])
    t = max(t, S[base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT]) + BG_WR])
    return max(t, S[base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT]) + C_WR])


@compiled
def issue_activate(S: IntArray, base: int, bank: int, row: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    S[b + B_OPEN] = row
    S[b + B_HITS] = 0
    S[b + B_ACT] = max(S[b + B_ACT], t + S[P_RC])
    S[b + B_RD] = t + S[P_RCD_RD]
    S[b + B_WR] = t + S[P_RCD_WR]
    S[b + B_PRE] = max(S[b + B_PRE], t + S[P_RAS])
    S[b + B_REFPB] = max(S[b + B_REFPB], t + S[P_ACT_REFPB_BANK])
    g = base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT])
    S[g + BG_ACT] = max(S[g + BG_ACT], t + S[P_RRD_L])
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    S[pc + C_ACT] = max(S[pc + C_ACT], t + S[P_RRD_S])
    oldest = S[pc + C_FAW_AT] & 3
    S[pc + C_FAW + oldest] = t
    S[pc + C_FAW_AT] = oldest + 1
    S[pc + C_PREAB] = max(S[pc + C_PREAB], t + S[P_RAS])
    S[pc + C_REFAB] = max(S[pc + C_REFAB], t + S[P_ACT_REF])
    S[pc + C_REFPB] = max(S[pc + C_REFPB], t + S[P_ACT_REFPB_PC])
    S[pc + C_OPEN] += 1
    S[base + H_ROW_BUS] = t + S[P_ACT_BUS]
    S[base + H_N_ACT] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, ACT, bank, row)


@compiled
def _close(S: IntArray, base: int, pc: int, b: int) -> None:
    S[b + B_OPEN] = -1
    S[b + B_HITS] = 0
    S[pc + C_OPEN] -= 1


@compiled
def issue_precharge(S: IntArray, base: int, bank: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    _close(S, base, pc, b)
    S[b + B_ACT] = max(S[b + B_ACT], t + S[P_RP])
    S[b + B_REFPB] = max(S[b + B_REFPB], t + S[P_PRE_REFPB])
    S[pc + C_PRE] = t + S[P_PPD]
    S[pc + C_REFAB] = max(S[pc + C_REFAB], t + S[P_PRE_REF])
    S[base + H_N_PRE] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, PRE, bank, -1)


@compiled
def issue_read(S: IntArray, base: int, bank: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    S[b + B_HITS] += 1
    S[b + B_PRE] = max(S[b + B_PRE], t + S[P_RTP])
    g = base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT])
    S[g + BG_RD] = max(S[g + BG_RD], t + S[P_CCD_L])
    p = bank >> S[P_PC_SHIFT]
    pc = base + PC0 + PC_STRIDE * p
    S[pc + C_RD] = max(S[pc + C_RD], t + S[P_CCD_S])
    S[pc + C_WR] = max(S[pc + C_WR], t + S[P_RTW])
    S[pc + C_PREAB] = max(S[pc + C_PREAB], t + S[P_RTP])
    if S[P_SIDS] > 1:
        sid = bank >> S[P_SID_SHIFT]
        for i in range(p * S[P_SIDS], (p + 1) * S[P_SIDS]):
            if i != sid:
                S[base + SID0 + i] = t + S[P_CCD_R]
    S[base + H_COL_BUS] = t + S[P_COL_BUS]
    S[base + H_N_RD] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, RD, bank, S[b + B_OPEN])


@compiled
def issue_write(S: IntArray, base: int, bank: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    S[b + B_HITS] += 1
    S[b + B_PRE] = max(S[b + B_PRE], t + S[P_WR_PRE])
    g = base + BG0 + BG_STRIDE * (bank >> S[P_BG_SHIFT])
    S[g + BG_WR] = max(S[g + BG_WR], t + S[P_CCD_L])
    S[g + BG_RD] = max(S[g + BG_RD], t + S[P_WTR_L])
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    S[pc + C_WR] = max(S[pc + C_WR], t + S[P_CCD_S])
    S[pc + C_RD] = max(S[pc + C_RD], t + S[P_WTR_S])
    S[pc + C_PREAB] = max(S[pc + C_PREAB], t + S[P_WR_PRE])
    S[base + H_COL_BUS] = t + S[P_COL_BUS]
    S[base + H_N_WR] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, WR, bank, S[b + B_OPEN])


@compiled
def auto_precharge(S: IntArray, base: int, bank: int, wrote: int, t: int) -> None:
    """Close `bank` as part of the column command at `t` (closed page)."""
    b = base + BANK0 + BANK_STRIDE * bank
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    _close(S, base, pc, b)
    to_act = S[P_WRA_ACT] if wrote else S[P_RDA_ACT]
    to_ref = S[P_WRA_REF] if wrote else S[P_RDA_REF]
    S[b + B_ACT] = max(S[b + B_ACT], t + to_act)
    S[b + B_REFPB] = max(S[b + B_REFPB], t + to_ref)
    S[pc + C_REFAB] = max(S[pc + C_REFAB], t + to_ref)
    if S[G_LOG_END] > 0:
        log_command(S, t, base, AUTO_PRE, bank, -1)


@compiled
def issue_precharge_all(S: IntArray, base: int, p: int, t: int) -> None:
    pc = base + PC0 + PC_STRIDE * p
    for bank in range(p * S[P_BANKS_PER_PC], (p + 1) * S[P_BANKS_PER_PC]):
        b = base + BANK0 + BANK_STRIDE * bank
        S[b + B_OPEN] = -1
        S[b + B_HITS] = 0
    S[pc + C_OPEN] = 0
    S[pc + C_ACT] = max(S[pc + C_ACT], t + S[P_RP])
    S[pc + C_PRE] = t + S[P_PPD]
    S[pc + C_REFAB] = max(S[pc + C_REFAB], t + S[P_PRE_REF])
    S[base + H_N_PRE] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, PREAB, p, -1)


@compiled
def issue_refresh(S: IntArray, base: int, p: int, t: int) -> None:
    pc = base + PC0 + PC_STRIDE * p
    S[pc + C_ACT] = max(S[pc + C_ACT], t + S[P_RFC])
    S[pc + C_PREAB] = max(S[pc + C_PREAB], t + S[P_REF_PREAB])
    S[pc + C_REFAB] = max(S[pc + C_REFAB], t + S[P_REF_REF])
    S[base + H_N_REF] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, REF, p, -1)


@compiled
def issue_refresh_bank(S: IntArray, base: int, bank: int, t: int) -> None:
    b = base + BANK0 + BANK_STRIDE * bank
    pc = base + PC0 + PC_STRIDE * (bank >> S[P_PC_SHIFT])
    S[pc + C_ACT] = max(S[pc + C_ACT], t + S[P_REFPB_ACT])
    S[pc + C_REFPB] = max(S[pc + C_REFPB], t + S[P_REFPB_REFPB])
    S[b + B_ACT] = max(S[b + B_ACT], t + S[P_RFCPB])
    S[base + H_N_REF] += 1
    if S[G_LOG_END] > 0:
        log_command(S, t, base, REFPB, bank, -1)
