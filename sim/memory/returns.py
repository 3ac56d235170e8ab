"""The way back to an SM: partition link, network, ingress port, and the completion of fetches.

Events at SMs are queued by arrival less the shortest way back, so that one horizon bounds both what L2
and memory may do and what SMs may see.
"""

from sim.memory import assist, copies, events, fetch_rows, noc, port
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    AT_OUT,
    AVAIL,
    F_INDEX,
    F_ISSUED,
    F_KEPT,
    F_LEFT,
    F_STAMPS,
    HBM_DONE,
    HBMQ,
    INFLIGHT,
    ISSUE,
    L2_ARRIVE,
    L2_DONE,
    MSHRW,
    NOCQ,
    OUT,
    OUT_COLS,
    OUT_FETCH,
    OUT_SM,
    OUT_TIME,
    P_NUMBER,
    P_PART,
    Q_OUT,
    RETURN,
    S_LINK,
    S_PART,
    STAGE,
    TLBW,
    WALKED,
    WHAT,
    Memory,
)
from sim.memory.params import Param
from sim.memory.request import (
    COPY,
    WALKER,
    WRITES,
    bytes_of,
    fetch_of,
    slice_at,
    sm_of,
)
from sim.memory.stamps import Stamp

NEAR, FAR, LINK_Q16 = int(Param.NEAR), int(Param.FAR), int(Param.LINK_Q16)
L2_LATENCY, COPIES = int(Param.L2_LATENCY), int(Param.COPIES)
X_MSHRW, X_INFLIGHT = int(Stamp.MSHR_WAIT), int(Stamp.INFLIGHT_WAIT)
X_ISSUE, X_TLB = int(Stamp.ISSUE), int(Stamp.TLB_WAIT)
X_L2_ARRIVE, X_L2_DONE, X_L2Q = int(Stamp.L2_ARRIVE), int(Stamp.L2_DONE), int(Stamp.L2_QUEUE)
X_HBM_ENQ, X_LINKQ = int(Stamp.HBM_ENQUEUE), int(Stamp.LINK_QUEUE)
X_HBM_DONE, X_HBMQ = int(Stamp.HBM_DONE), int(Stamp.HBM_QUEUE)
X_ARRIVE, X_NOCQ = int(Stamp.SM_ARRIVE), int(Stamp.NOC_QUEUE)


@inlined
def send_back(m: Memory, node: int, time: int, now: int) -> None:
    """Data (or a write's acknowledgement) leaves the slice at `time`.

    Events at SMs are queued by arrival less the shortest way back: so one horizon bounds both what L2 and
    memory may do and what SMs may see.
    """
    if m[node + WHAT] & WALKER or over_link(m, node):
        m[node + STAGE] = WALKED if m[node + WHAT] & WALKER else OUT
        events.push(m, node, time)
        return
    if m[slice_at(m, node) + S_PART] != m[sm_of(m, node) + P_PART]:
        time += m[FAR] - m[NEAR]
    if time == now:
        arrived(m, node, now + m[NEAR])
        return
    m[node + STAGE] = RETURN
    events.push(m, node, time)


@inlined
def over_link(m: Memory, node: int) -> bool:
    """Whether a request takes its turn at the link that leaves the slice's partition; a write's data have passed that
    to the slice's (`noc.cross`).
    """
    if m[node + WHAT] & (WALKER | COPY | WRITES) or not m[LINK_Q16]:
        return bool(m[node + WHAT] & COPY)
    return noc.apart(m, sm_of(m, node), slice_at(m, node))


@inlined
def send_now(m: Memory, node: int, now: int) -> None:
    """The data of the event that is being processed leaves, alone: its turn at the link is now, with no event of its
    own, which would come next.
    """
    if over_link(m, node):
        cross(m, node, now)
    else:
        send_back(m, node, now, now)


@compiled
def cross(m: Memory, node: int, now: int) -> None:
    """Pass the link that leaves the slice's partition, in order of time."""
    start = noc.turn(m, m[slice_at(m, node) + S_LINK], bytes_of(m, node), now)
    m[node + NOCQ] += start - now
    if m[node + WHAT] & COPY:
        copies.crossed(m, node, start)
        return
    m[node + STAGE] = RETURN
    events.push(m, node, start + m[FAR] - m[NEAR])


@inlined
def arrived(m: Memory, node: int, arrival: int) -> None:
    """A chunk is back at its SM; its fetch is complete with the last one."""
    if m[node + WHAT] & WALKER:
        port.issue(m, assist.answered(m, node, arrival))
        return
    link = m[node + NOCQ] if m[COPIES] else 0
    done = noc.ingress(m, node, arrival)
    f = fetch_of(m, node)
    m[f + F_LEFT] -= 1
    if m[f + F_LEFT] == 0 and m[f + F_ISSUED]:
        out = m[AT_OUT] + m[Q_OUT] * OUT_COLS
        m[out + OUT_TIME] = done
        m[out + OUT_SM] = m[sm_of(m, node) + P_NUMBER]
        m[out + OUT_FETCH] = m[f + F_INDEX]
        m[Q_OUT] += 1
        if m[f + F_KEPT]:
            stamp(m, node, f + F_STAMPS, link, done)
        else:
            fetch_rows.give(m, f)
    port.credit(m, node, done)


@compiled
def stamp(m: Memory, node: int, x: int, link: int, done: int) -> None:
    """Turn the row of a complete fetch, at x, into its stamps; the first and the last are there already. link: how long
    its last chunk waited for a link between partitions before its sectors were filled.
    """
    m[x + X_MSHRW] = m[node + MSHRW]
    m[x + X_LINKQ] = link
    m[x + X_INFLIGHT] = m[node + INFLIGHT]
    m[x + X_ISSUE] = m[node + ISSUE]
    m[x + X_TLB] = m[node + TLBW]
    m[x + X_L2_ARRIVE] = m[node + L2_ARRIVE]
    m[x + X_L2_DONE] = m[node + L2_DONE]
    m[x + X_HBM_ENQ] = m[node + AVAIL]
    m[x + X_HBM_DONE] = m[node + HBM_DONE]
    m[x + X_ARRIVE] = done
    m[x + X_NOCQ] = m[node + NOCQ]
    m[x + X_L2Q] = m[node + L2_DONE] - m[L2_LATENCY] - m[node + L2_ARRIVE]
    m[x + X_HBMQ] = m[node + HBMQ]
