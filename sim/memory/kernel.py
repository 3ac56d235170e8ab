"""The compiled loop of the memory plane: take submissions, process events up to a horizon, hand out
completions.
"""

import numpy as np
from numpy.typing import NDArray

from sim.memory import assist, events, hbm_ahead, l2, port, returns, tlb
from sim.memory.jit import compiled, entry, inlined
from sim.memory.layout import (
    ARRIVE,
    AT_FETCHES,
    AT_PORTS,
    EV_TIME,
    FETCH_COLS,
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
from sim.memory.prefetch import prefetch

NEAR = int(Param.NEAR)
SMS = int(Param.SMS)
GROW, IDLE = -1, -2


@entry
def submit_all(m: Memory, submissions: NDArray[np.int64]) -> None:
    """Hand a window's submissions (SM, fetch, time), in order, to their ports."""
    m = cells(m)
    count = len(submissions)
    for i in range(0, count, 3):
        if i + 3 < count:
            ask_for_port(m, m[AT_PORTS] + submissions[i + 3] * PORT_COLS)
            prefetch(m, m[AT_FETCHES] + submissions[i + 4] * FETCH_COLS)
        sm = m[AT_PORTS] + submissions[i] * PORT_COLS
        port.submit(m, sm, m[AT_FETCHES] + submissions[i + 1] * FETCH_COLS, submissions[i + 2])


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
        translation(m, node, now, stage)


@compiled
def translation(m: Memory, node: int, now: int, stage: int) -> None:
    if stage == TRANSLATE:
        m[node + STAGE] = ARRIVE
        events.push(m, node, tlb.translate(m, node, now))
    elif stage == LOOKUP:
        assist.shared(m, node, now)
    elif stage == WALKED:
        assist.walked(m, node, now)
