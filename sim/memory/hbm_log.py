"""Command log of the device memory, for checkers: nothing is written unless the plane was built with room for it.

A row holds time, channel, command, bank, DRAM row, accesses, picoseconds between them. A train's column commands
are one row. Rows are in order of decision: a refresh, or a row closed for idleness, is noted late.
"""

from sim.memory.jit import inlined
from sim.memory.layout import LOG_COLS, Q_LOG, Q_LOG_END, Memory

ACT, PRE, RD, WR, REF = range(5)


@inlined
def note(m: Memory, c: int, time: int, command: int, bank: int, row: int) -> None:
    """Log a row command."""
    columns(m, c, time, command, bank, row, 1, 0)


@inlined
def columns(m: Memory, c: int, time: int, command: int, bank: int, row: int, count: int, pitch: int) -> None:
    """Log `count` commands from `time` on, `pitch` ps apart, while there is room."""
    at = m[Q_LOG]
    if at + LOG_COLS > m[Q_LOG_END]:
        return
    m[at] = time
    m[at + 1] = c
    m[at + 2] = command
    m[at + 3] = bank
    m[at + 4] = row
    m[at + 5] = count
    m[at + 6] = pitch
    m[Q_LOG] = at + LOG_COLS
