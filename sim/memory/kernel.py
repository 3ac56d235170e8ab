"""The compiled loop of the memory plane: take submissions, process events up to a horizon, hand out completions."""

import numpy as np
from numpy.typing import NDArray

from sim.memory import events, hbm_train, l2, noc, port
from sim.memory.jit import compiled
from sim.memory.layout import (
    ARRIVE,
    AT_FETCHES,
    AT_OUT,
    AT_PORTS,
    AT_SLICES,
    ELIGIBLE,
    ENQUEUE,
    EV_TIME,
    F_INDEX,
    F_ISSUED,
    F_LEFT,
    F_STAMPS,
    F_SUBMIT,
    FETCH,
    FETCH_COLS,
    FILL,
    HBM_DONE,
    HBM_ENQ,
    HBMQ,
    INFLIGHT,
    ISSUE,
    L2_ARRIVE,
    L2_DONE,
    L2Q,
    NOCQ,
    OUT,
    P_BLOCKED,
    PORT_COLS,
    Q_FREE_COUNT,
    Q_GROW,
    Q_OUT,
    RETURN,
    STAGE,
    TLBW,
    WAKE,
    Memory,
)
from sim.memory.params import Param
from sim.memory.stamps import Stamp

NEAR = int(Param.NEAR)
X_SUBMIT, X_ELIGIBLE, X_INFLIGHT = int(Stamp.SUBMIT), int(Stamp.ELIGIBLE), int(Stamp.INFLIGHT_WAIT)
X_ISSUE, X_TLB = int(Stamp.ISSUE), int(Stamp.TLB_WAIT)
X_L2_ARRIVE, X_L2_DONE, X_L2Q = int(Stamp.L2_ARRIVE), int(Stamp.L2_DONE), int(Stamp.L2_QUEUE)
X_HBM_ENQ, X_HBM_START = int(Stamp.HBM_ENQUEUE), int(Stamp.HBM_START)
X_HBM_DONE, X_HBMQ = int(Stamp.HBM_DONE), int(Stamp.HBM_QUEUE)
X_ARRIVE, X_NOCQ = int(Stamp.SM_ARRIVE), int(Stamp.NOC_QUEUE)
GROW, IDLE = -1, -2


@compiled
def submit_all(
    m: Memory, sms: NDArray[np.int64], fetches: NDArray[np.int64], times: NDArray[np.int64]
) -> None:
    """Hand a window's submissions, in order, to their ports."""
    for i in range(len(sms)):
        sm = m[AT_PORTS] + sms[i] * PORT_COLS
        port.submit(m, sm, m[AT_FETCHES] + fetches[i] * FETCH_COLS, times[i])


@compiled
def resume(m: Memory) -> None:
    """Go on at the ports that the pool had stopped, after it grew."""
    m[Q_GROW] = 0
    for sm in range(m[AT_PORTS], m[AT_SLICES], PORT_COLS):
        if m[sm + P_BLOCKED]:
            port.issue(m, sm)


@compiled
def advance(m: Memory, horizon: int) -> int:
    """Process every event before `horizon`. Returns the next event's time, IDLE, or GROW: the pool must grow first."""
    while True:
        if m[Q_GROW] or m[Q_FREE_COUNT] <= port.MARGIN:
            return GROW
        node = events.pop(m, horizon)
        if node < 0:
            following = events.next_time(m)
            return following if following >= 0 else IDLE
        dispatch(m, node, m[node + EV_TIME])


@compiled
def dispatch(m: Memory, node: int, now: int) -> None:
    stage = m[node + STAGE]
    if stage == ARRIVE:
        l2.arrive(m, node, now)
    elif stage == ENQUEUE:
        hbm_train.enqueue(m, node, now)
    elif stage == WAKE:
        m[node + hbm_train.C_WAKE] = -1
        hbm_train.run(m, node, now)
    elif stage == FILL:
        l2.filled(m, node, now)
    elif stage == RETURN:
        arrived(m, node, now + m[NEAR])
    elif stage == OUT:
        noc.cross(m, node, now)


@compiled
def arrived(m: Memory, node: int, arrival: int) -> None:
    """A chunk is back at its SM; its fetch is complete with the last one."""
    done = noc.ingress(m, node, arrival)
    f = m[node + FETCH]
    m[f + F_LEFT] -= 1
    if m[f + F_LEFT] == 0 and m[f + F_ISSUED]:
        stamp(m, node, f, f + F_STAMPS, done)
        m[m[AT_OUT] + m[Q_OUT]] = m[f + F_INDEX]
        m[Q_OUT] += 1
    port.credit(m, node, done)


@compiled
def stamp(m: Memory, node: int, f: int, x: int, done: int) -> None:
    m[x + X_SUBMIT] = m[f + F_SUBMIT]
    m[x + X_ELIGIBLE] = m[node + ELIGIBLE]
    m[x + X_INFLIGHT] = m[node + INFLIGHT]
    m[x + X_ISSUE] = m[node + ISSUE]
    m[x + X_TLB] = m[node + TLBW]
    m[x + X_L2_ARRIVE] = m[node + L2_ARRIVE]
    m[x + X_L2_DONE] = m[node + L2_DONE]
    m[x + X_HBM_ENQ] = m[node + HBM_ENQ]
    m[x + X_HBM_START] = m[node + HBM_ENQ] + m[node + HBMQ]
    m[x + X_HBM_DONE] = m[node + HBM_DONE]
    m[x + X_ARRIVE] = done
    m[x + X_NOCQ] = m[node + NOCQ]
    m[x + X_L2Q] = m[node + L2Q]
    m[x + X_HBMQ] = m[node + HBMQ]
