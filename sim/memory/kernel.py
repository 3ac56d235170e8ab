"""The compiled loop of the memory plane: take submissions, process events up to a horizon, hand out
completions.
"""

import numpy as np
from numpy.typing import NDArray

from sim.memory import assist, events, fetch_rows, hbm_ahead, l2, noc, port, returns, tlb
from sim.memory.jit import compiled, entry, inlined
from sim.memory.layout import (
    ARRIVE,
    AT_PORTS,
    CROSS,
    EV_TIME,
    F_CLASS,
    F_INDEX,
    F_KEPT,
    F_KIND,
    FILL,
    HOME,
    LOOKUP,
    OUT,
    P_BLOCKED,
    PORT_COLS,
    Q_FREE_COUNT,
    Q_GROW,
    Q_WALK_END,
    RETURN,
    STAGE,
    TRANSLATE,
    WAKE,
    WALKED,
    Memory,
)
from sim.memory.loads_ahead import ask_for_port
from sim.memory.params import Param
from sim.memory.pointer import cells
from sim.memory.request import is_write, slice_at, sm_of

NEAR = int(Param.NEAR)
SMS = int(Param.SMS)
GROW, IDLE = -1, -2
SUBMISSION = 4
"""Cells of a submission."""


@entry
def submit_all(
    m: Memory,
    submissions: NDArray[np.int64],
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    entries: NDArray[np.int64],
    rows: NDArray[np.int32],
) -> None:
    """Hand a window's submissions (time, SM, fetch, kept), in order, to their ports. As many rows for fetches are free.

    runs, kinds, classes, entries: of all fetches, as in FetchTable; rows: [F] where each submitted one has its row.
    """
    m = cells(m)
    count = len(submissions)
    for i in range(0, count, SUBMISSION):
        fetch = submissions[i + 2]
        f = fetch_rows.take(m)
        rows[fetch] = f
        begin, end = (entries[fetch], entries[fetch + 1]) if len(entries) > 1 else (0, 0)
        fetch_rows.prepare(m, f, runs[fetch], runs[fetch + 1], begin, end)
        m[f + F_KIND] = kinds[fetch]
        m[f + F_CLASS] = classes[fetch]
        m[f + F_INDEX] = fetch
        m[f + F_KEPT] = submissions[i + 3]
    for i in range(0, count, SUBMISSION):
        if i + SUBMISSION < count:
            ask_for_port(m, m[AT_PORTS] + submissions[i + SUBMISSION + 1] * PORT_COLS)
        sm = m[AT_PORTS] + submissions[i + 1] * PORT_COLS
        port.submit(m, sm, rows[submissions[i + 2]], submissions[i])


@entry
def release(m: Memory, fetches: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
    """Give back the rows of complete fetches that were kept."""
    m = cells(m)
    for fetch in fetches:
        fetch_rows.give(m, rows[fetch])


@entry
def resume(m: Memory) -> None:
    """Go on at the ports that the pool had stopped, after it grew."""
    m = cells(m)
    m[Q_GROW] = 0
    for number in range(m[SMS]):  # not up to the next section: sections are padded to cache lines
        sm = m[AT_PORTS] + number * PORT_COLS
        if m[sm + P_BLOCKED]:
            port.issue(m, sm)


@entry
def advance(m: Memory, horizon: int) -> int:
    """Process every event before `horizon`. Returns the next event's time, IDLE, or GROW: the pool must grow
    first.
    """
    m = cells(m)
    while True:
        if m[Q_GROW] or m[Q_FREE_COUNT] <= port.MARGIN:
            return GROW
        node = events.pop(m, horizon)
        if node < 0:
            following = events.next_time(m)
            return following if following >= 0 else IDLE
        dispatch(m, node, m[node + EV_TIME])


@inlined
def dispatch(m: Memory, node: int, now: int) -> None:
    stage = m[node + STAGE]
    if stage == ARRIVE:
        ready = tlb.walking(m, node, now) if now < m[Q_WALK_END] else now
        if ready > now:
            events.push(m, node, ready)
        else:
            l2.arrive(m, node, now)
    elif stage == WAKE:
        hbm_ahead.run(m, node, now)
    elif stage == FILL:
        l2.filled(m, node, now)
    elif stage == HOME:
        l2.at_home(m, node, now)
    elif stage == RETURN:
        returns.arrived(m, node, now + m[NEAR])
    elif stage == OUT:
        returns.cross(m, node, now)
    else:
        before_l2(m, node, now, stage)


@compiled
def before_l2(m: Memory, node: int, now: int, stage: int) -> None:
    """Stages of few requests: translation, and the link that far writes pass."""
    if stage == TRANSLATE:
        over = is_write(m, node) and noc.apart(m, sm_of(m, node), slice_at(m, node))
        m[node + STAGE] = CROSS if over else ARRIVE
        events.push(m, node, tlb.translate(m, node, now))
    elif stage == CROSS:
        noc.cross(m, node, now)
    elif stage == LOOKUP:
        assist.shared(m, node, now)
    elif stage == WALKED:
        assist.walked(m, node, now)
