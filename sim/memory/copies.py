"""Copies of another partition's data, where an L2 in partitions reads through the near one (`l2.far_copies`).

Every address has a home slice, in front of its memory. An SM reads through its own partition's slice; what is
missing there and has its home elsewhere is asked of the home slice, one crossing away, and a copy stays. So an SM
sees near latency up to a partition's capacity, then hits of the other partition at far latency, then memory: the
two plateaus that pointer chases show on A100, H100 and B200. And data that SMs of both partitions read are held
twice, which is why less than the whole capacity serves them. Writes go to the home slice; copies of what they
change are dropped. A crossing counts as network time, there and back.
"""

from sim.memory import events, pool, tags
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ADDR,
    AT_SLICES,
    AVAIL,
    COPY_TIE,
    FILL,
    GOAL,
    HBM_DONE,
    HBMQ,
    HOME,
    L2_ARRIVE,
    L2_DONE,
    MSHRW,
    NOCQ,
    PATH,
    PLACE,
    S_TAGS,
    SLICE_COLS,
    STAGE,
    TIE,
    WHAT,
    Memory,
)
from sim.memory.mapping import home_of
from sim.memory.params import Param
from sim.memory.request import (
    COPY,
    WANT_SHIFT,
    fetch_of,
    goal,
    path,
    sm_of,
    what,
)

NEAR, FAR, WAYS, GRANULE_SHIFT = int(Param.NEAR), int(Param.FAR), int(Param.WAYS), int(Param.GRANULE_SHIFT)
SLICES, SLICES_NEAR = int(Param.SLICES), int(Param.SLICES_NEAR)
N_FAR = INDEX["l2_far"]


@inlined
def ask_home(m: Memory, node: int, row: int, miss: int, count: int, time: int) -> None:
    """Send for the sectors `miss` (`count` bytes) of a request that leaves its slice at `time`. row: where its set is
    among those of a slice, which is the same in every one.
    """
    home = home_of(m, m[node + ADDR])
    copy = pool.take(m)
    m[copy + TIE] = m[node + TIE] | COPY_TIE
    m[copy + WHAT] = what(count, COPY) | miss << WANT_SHIFT
    m[copy + PATH] = path(sm_of(m, node), home)
    m[copy + ADDR] = m[node + ADDR]
    m[copy + GOAL] = goal(node, m[home + S_TAGS] + row)
    m[copy + STAGE] = HOME
    m[copy + MSHRW] = 0
    m[copy + PLACE] = m[node + PLACE]
    m[N_FAR] += count
    events.push(m, copy, time + m[FAR] - m[NEAR])


@inlined
def crossed(m: Memory, copy: int, start: int) -> None:
    """A copy's data passed the link at `start`: the request that asked for them is filled one crossing later."""
    node = fetch_of(m, copy)
    # the way there and back counts as network time: as if it had arrived later by all that it did not queue
    m[node + L2_ARRIVE] += m[copy + L2_ARRIVE] - m[node + L2_DONE]
    m[node + L2_DONE] = m[copy + L2_DONE]
    m[node + NOCQ] += m[copy + NOCQ]
    m[node + AVAIL] = m[copy + AVAIL]
    m[node + HBMQ] = m[copy + HBMQ]
    m[node + HBM_DONE] = m[copy + HBM_DONE]
    m[node + STAGE] = FILL
    events.push(m, node, start + m[FAR] - m[NEAR])
    pool.give(m, copy)


@compiled
def drop(m: Memory, addr: int, mask: int, home: int) -> None:
    """Sectors `mask` were written at their home slice: no other partition's copy is valid any more."""
    at = m[AT_SLICES] + (((home - m[AT_SLICES]) // SLICE_COLS) % m[SLICES_NEAR]) * SLICE_COLS
    while at < m[AT_SLICES] + m[SLICES] * SLICE_COLS:
        if at != home:
            cell = tags.find(m, tags.row_of(m, at, addr), addr >> m[GRANULE_SHIFT])
            if cell >= 0:
                m[cell + m[WAYS]] &= ~mask
        at += m[SLICES_NEAR] * SLICE_COLS
