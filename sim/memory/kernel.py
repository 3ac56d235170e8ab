"""The compiled loop of the memory plane: window after window, hand in what is asked for, process events up to a
horizon, tell of what is complete.
"""

import numpy as np
from numpy.typing import NDArray

from sim.memory import assist, events, fetch_rows, hbm_ahead, l2, noc, pipeline, port, returns, tlb, windows
from sim.memory.jit import compiled, entry, inlined
from sim.memory.layout import (
    ARRIVE,
    AT_PORTS,
    CROSS,
    EV_TIME,
    FILL,
    HOME,
    LOOKUP,
    OUT,
    P_BLOCKED,
    PORT_COLS,
    Q_BEGAN,
    Q_DUE,
    Q_FOLLOWING,
    Q_FREE_COUNT,
    Q_GROW,
    Q_WALK_END,
    Q_WINDOW,
    Q_WINDOWS,
    RETURN,
    STAGE,
    TRANSLATE,
    WAKE,
    WALKED,
    Memory,
)
from sim.memory.params import Param
from sim.memory.pointer import cells
from sim.memory.request import is_write, slice_at, sm_of

NEAR = int(Param.NEAR)
SMS = int(Param.SMS)
DONE, GROW, ROOM = 0, -1, -2


@entry
def start(p: Memory, r: int, now: int) -> None:
    """Let the pipeline whose row is at r begin (`pipeline.begin`)."""
    pipeline.begin(cells(p), r, now)


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
def advance(
    m: Memory,
    p: Memory,
    submissions: NDArray[np.int64],
    runs: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    entries: NDArray[np.int64],
    rows: NDArray[np.int32],
    askers: NDArray[np.uint8],
    now: int,
    limit: int,
) -> int:
    """Process windows from `now` on, until Python is needed: it is to be told of Q_DUE fetches and pipelines, in the
    window that began at Q_BEGAN, or the next window, at Q_FOLLOWING, would not begin before `limit`. Returns DONE, or
    what it needs to go on: GROW, that the pool grows; ROOM, a free row for a fetch.

    p: the pipelines (`pipeline_layout`). submissions: of Python, by time, each as SUBMISSION cells, for the first
    window; as many rows for fetches are free beside those that pipelines ask for. runs, kinds, classes, entries: of all
    fetches, as in FetchTable; rows: [F] where each submitted one has its row; askers: [F] who asked for it.
    """
    m = cells(m)
    p = cells(p)
    windows.forget_told(m)
    first = True
    while True:
        m[Q_BEGAN] = now
        if not windows.hand_in(m, p, now, runs, kinds, classes, entries, rows, askers):
            return ROOM
        if first:  # Python asks at an SM when what its pipeline asked for has been handed in
            windows.submit_all(m, submissions, runs, kinds, classes, entries, rows)
            first = False
        end = now + m[Q_WINDOW]
        event = until(m, end - m[NEAR])
        if event == GROW:
            return GROW
        m[Q_WINDOWS] += 1
        windows.hand_out(m, p, end, askers)
        now = max(now + 1, windows.next_window(m, p, event))
        m[Q_FOLLOWING] = now
        if m[Q_DUE] > 0 or now >= limit:
            return DONE
        windows.forget_told(m)


@inlined
def until(m: Memory, horizon: int) -> int:
    """Process every event before `horizon`. Returns when the next one can be seen at an SM (NEVER: there is none), or
    GROW: the pool must grow first.
    """
    while True:
        if m[Q_GROW] or m[Q_FREE_COUNT] <= port.MARGIN:
            return GROW
        node = events.pop(m, horizon)
        if node < 0:
            following = events.next_time(m)
            return following + m[NEAR] if following >= 0 else windows.NEVER
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
