"""What begins and ends a window: fetches that were asked for are handed to their ports, complete ones are told of.

Pipelines ask and are told here, in compiled code, so that windows follow each other without Python until one of its own
fetches is complete, a pipeline has computed all its tiles, or something is due in Python.
"""

import numpy as np
from numpy.typing import NDArray

from sim.memory import fetch_rows, pipeline, port
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    AT_OUT,
    AT_PORTS,
    BY_PIPELINE,
    F_CLASS,
    F_INDEX,
    F_KEPT,
    F_KIND,
    FINISHED,
    OUT_COLS,
    OUT_FETCH,
    OUT_SM,
    OUT_TIME,
    PORT_COLS,
    Q_DUE,
    Q_FETCH_COUNT,
    Q_OUT,
    Q_TOLD,
    Q_WINDOW,
    Memory,
)
from sim.memory.loads_ahead import ask_for_port
from sim.memory.pipeline_layout import (
    ASK_AT,
    ASK_FETCH,
    ASK_KEPT,
    AT_ROWS,
    PL_AT,
    PS_ASKED,
    PS_COLS,
    PS_KEEP,
    PS_SMS,
)

SUBMISSION = 4
"""Cells of a submission from Python: time, SM, fetch, whether its stamps are kept."""
NEVER = 1 << 62


@inlined
def prepare(
    m: Memory,
    fetch: int,
    kept: int,
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    entries: NDArray[np.int64],
    rows: NDArray[np.int32],
) -> int:
    """Give a fetch a row; one is free."""
    f = fetch_rows.take(m)
    rows[fetch] = f
    begin, end = fetch_rows.entries_of(entries, fetch)
    fetch_rows.prepare(m, f, runs[fetch], runs[fetch + 1], begin, end)
    m[f + F_KIND] = kinds[fetch]
    m[f + F_CLASS] = classes[fetch]
    m[f + F_INDEX] = fetch
    m[f + F_KEPT] = kept
    return f


@compiled
def submit_all(
    m: Memory,
    submissions: NDArray[np.int64],
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    entries: NDArray[np.int64],
    rows: NDArray[np.int32],
) -> None:
    """Hand Python's submissions, in order, to their ports. As many rows for fetches are free."""
    count = len(submissions)
    for i in range(0, count, SUBMISSION):
        prepare(m, submissions[i + 2], submissions[i + 3], runs, kinds, classes, entries, rows)
    for i in range(0, count, SUBMISSION):
        if i + SUBMISSION < count:
            ask_for_port(m, m[AT_PORTS] + submissions[i + SUBMISSION + 1] * PORT_COLS)
        sm = m[AT_PORTS] + submissions[i + 1] * PORT_COLS
        port.submit(m, sm, rows[submissions[i + 2]], submissions[i])


@compiled
def hand_in(
    m: Memory,
    p: Memory,
    now: int,
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    entries: NDArray[np.int64],
    rows: NDArray[np.int32],
    askers: NDArray[np.uint8],
) -> bool:
    """Hand in what pipelines ask for up to `now`; whether rows for fetches were enough."""
    if p[PS_ASKED] == 0:
        return True
    for sm in range(p[PS_SMS]):
        r = p[AT_ROWS] + sm * p[PS_COLS]
        at = pipeline.first_asked(p, r)
        while at >= 0 and p[at + ASK_AT] <= now:
            if m[Q_FETCH_COUNT] == 0:
                return False
            fetch = p[at + ASK_FETCH]
            kept = p[at + ASK_KEPT] | p[PS_KEEP]
            f = prepare(m, fetch, kept, runs, kinds, classes, entries, rows)
            askers[fetch] = BY_PIPELINE
            port.submit(m, m[AT_PORTS] + sm * PORT_COLS, f, p[at + ASK_AT])
            pipeline.drop_first(p, r)
            at = pipeline.first_asked(p, r)
    return True


@compiled
def hand_out(m: Memory, p: Memory, end: int, askers: NDArray[np.uint8]) -> None:
    """Tell pipelines of their fetches that are complete before `end`, by (time, SM, port order). What Python is to be
    told of, its own fetches and pipelines that are done, then lies first.
    """
    sort(m)
    told = due = 0
    while told < m[Q_OUT]:
        out = m[AT_OUT] + told * OUT_COLS
        time, sm, fetch = m[out + OUT_TIME], m[out + OUT_SM], m[out + OUT_FETCH]
        if time >= end:
            break
        told += 1
        if askers[fetch] == BY_PIPELINE:
            r = p[AT_ROWS] + sm * p[PS_COLS]
            if not pipeline.told(p, sm, r, fetch, time):
                continue
            time, fetch = p[r + PL_AT], FINISHED
        to = m[AT_OUT] + due * OUT_COLS
        m[to + OUT_TIME] = time
        m[to + OUT_SM] = sm
        m[to + OUT_FETCH] = fetch
        due += 1
    m[Q_TOLD] = told
    m[Q_DUE] = due


@compiled
def sort(m: Memory) -> None:
    """Bring complete fetches in order of (time, SM); what is alike keeps its order."""
    for number in range(1, m[Q_OUT]):
        at = m[AT_OUT] + number * OUT_COLS
        time, sm, fetch = m[at + OUT_TIME], m[at + OUT_SM], m[at + OUT_FETCH]
        before = at - OUT_COLS
        while before >= m[AT_OUT] and (
            m[before + OUT_TIME] > time or (m[before + OUT_TIME] == time and m[before + OUT_SM] > sm)
        ):
            for cell in range(before, before + OUT_COLS):
                m[cell + OUT_COLS] = m[cell]
            before -= OUT_COLS
        m[before + OUT_COLS + OUT_TIME] = time
        m[before + OUT_COLS + OUT_SM] = sm
        m[before + OUT_COLS + OUT_FETCH] = fetch


@compiled
def forget_told(m: Memory) -> None:
    """Let those that nobody was told of yet lie first."""
    shift = m[Q_TOLD] * OUT_COLS
    if shift:
        for cell in range(m[AT_OUT], m[AT_OUT] + m[Q_OUT] * OUT_COLS - shift):
            m[cell] = m[cell + shift]
    m[Q_OUT] -= m[Q_TOLD]
    m[Q_TOLD] = m[Q_DUE] = 0


@inlined
def next_window(m: Memory, p: Memory, event: int) -> int:
    """When the next window must begin: the next event can be seen at an SM at `event` (NEVER: there is none), a
    complete fetch is to be told of, or what is asked for can be there. NEVER: nothing of all that.
    """
    time = event
    if m[Q_TOLD] < m[Q_OUT]:
        time = min(time, m[m[AT_OUT] + m[Q_TOLD] * OUT_COLS + OUT_TIME])
    if p[PS_ASKED] > 0:
        for sm in range(p[PS_SMS]):
            at = pipeline.first_asked(p, p[AT_ROWS] + sm * p[PS_COLS])
            if at >= 0:
                time = min(time, p[at + ASK_AT] + m[Q_WINDOW])
    return int(time)
