"""Rows of fetches: a second list of free rows of the pool, so that memory follows the fetches in flight."""

import numpy as np
from numpy.typing import NDArray

from sim.memory.jit import inlined
from sim.memory.layout import (
    AT_ENTRIES,
    AT_RUNS,
    F_ENTRY,
    F_ENTRY_END,
    F_HEAD_AT,
    F_ISSUED,
    F_LEFT,
    F_READY,
    F_RUN,
    F_RUN_END,
    F_UNKNOWN,
    F_WAITED,
    LINK,
    Q_FETCH_COUNT,
    Q_FETCH_HEAD,
    RUN_COLS,
    Memory,
)


@inlined
def take(m: Memory) -> int:
    """A row, as it was left. The caller has made sure that one is free."""
    f = m[Q_FETCH_HEAD]
    m[Q_FETCH_HEAD] = m[f + LINK]
    m[Q_FETCH_COUNT] -= 1
    return int(f)


@inlined
def give(m: Memory, f: int) -> None:
    """Return a fetch's row."""
    m[f + LINK] = m[Q_FETCH_HEAD]
    m[Q_FETCH_HEAD] = f
    m[Q_FETCH_COUNT] += 1


@inlined
def entries_of(entries: NDArray[np.int64], fetch: int) -> tuple[int, int]:
    """Bounds of a fetch's block-table entries; entries: of all, as in FetchTable."""
    return (entries[fetch], entries[fetch + 1]) if len(entries) > 1 else (0, 0)


@inlined
def prepare(m: Memory, f: int, run: int, run_end: int, entry: int, entry_end: int) -> None:
    """Make f, a row of the pool, that of a fetch of these runs and block-table entries, by number."""
    m[f + F_LEFT] = 0
    m[f + F_ISSUED] = 0
    m[f + F_RUN] = m[AT_RUNS] + run * RUN_COLS
    m[f + F_RUN_END] = m[AT_RUNS] + run_end * RUN_COLS
    m[f + F_WAITED] = 0
    m[f + F_ENTRY] = m[AT_ENTRIES] + entry
    m[f + F_ENTRY_END] = m[AT_ENTRIES] + entry_end
    m[f + F_HEAD_AT] = -1
    m[f + F_UNKNOWN] = 0
    m[f + F_READY] = 0
