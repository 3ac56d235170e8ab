"""Page policies of the FR-FCFS controller: when an open row closes without being asked to."""

from sim.memory.dram.jit import compiled
from sim.memory.dram.layout import (
    B_ACTIVE,
    B_HIT,
    B_LAST_ROW,
    B_LEAN,
    B_OPEN,
    BANK0,
    BANK_STRIDE,
    CLOSED_PAGE,
    P_PAGE,
    IntArray,
)
from sim.memory.dram.timing import auto_precharge


@compiled
def close_early(S: IntArray, base: int, bank: int, wrote: int, t: int) -> None:
    """Auto-precharge after the last queued hit: always (closed) or where it has paid (adaptive)."""
    b = base + BANK0 + BANK_STRIDE * bank
    waiting = S[b + B_HIT] >= 0 or S[b + B_HIT + 1] >= 0 or S[b + B_ACTIVE] >= 0
    if not waiting and (S[P_PAGE] == CLOSED_PAGE or S[b + B_LEAN] >= 2):
        S[b + B_LAST_ROW] = S[b + B_OPEN]
        auto_precharge(S, base, bank, wrote, t)


@compiled
def learn(S: IntArray, b: int, opening: bool, row: int) -> None:
    """Adaptive page: reopening a row that was closed early speaks for open, a conflict for closed."""
    if not opening:
        S[b + B_LEAN] = min(3, S[b + B_LEAN] + 1)
    elif S[b + B_LAST_ROW] == row:
        S[b + B_LEAN] = max(0, S[b + B_LEAN] - 1)
    S[b + B_LAST_ROW] = -1
