"""The ways between SMs and slices: latency by distance, links between partitions, ingress ports.

Data of reads and of writes take turns, in order of time, at the link that leaves the partition they come from:
the slice's on the way back, the SM's on the way out. Requests and acknowledgements carry none.
"""

from sim.memory import events
from sim.memory.counters import INDEX
from sim.memory.jit import compiled, inlined
from sim.memory.layout import (
    ARRIVE,
    AT_LINKS,
    NOCQ,
    P_INGRESS,
    P_PART,
    S_PART,
    STAGE,
    Memory,
)
from sim.memory.params import Param
from sim.memory.request import (
    bytes_of,
    is_write,
    sm_of,
)

NEAR, FAR, LINK_Q16 = int(Param.NEAR), int(Param.FAR), int(Param.LINK_Q16)
PARTITIONS, SLICES, INGRESS_Q16 = int(Param.PARTITIONS), int(Param.SLICES), int(Param.INGRESS_Q16)
N_BUSY = INDEX["noc_busy"]


@inlined
def latency(m: Memory, sm: int, at: int) -> int:
    """One way between an SM and a slice."""
    return int(m[NEAR] if m[at + S_PART] == m[sm + P_PART] else m[FAR])


@inlined
def apart(m: Memory, sm: int, at: int) -> bool:
    """Whether data between an SM and a slice pass a link that has a bandwidth."""
    return bool(m[LINK_Q16] and m[at + S_PART] != m[sm + P_PART])


@inlined
def turn(m: Memory, link: int, count: int, now: int) -> int:
    """Take the next turn at a link for `count` bytes; when it begins."""
    start = max(now, m[link])
    m[link] = start + ((count * m[LINK_Q16]) >> 16)
    return int(start)


@compiled
def cross(m: Memory, node: int, now: int) -> None:
    """A write's data, NEAR from their SM, pass the link to the home slice's partition."""
    start = turn(m, m[AT_LINKS] + m[sm_of(m, node) + P_PART], bytes_of(m, node), now)
    m[node + STAGE] = ARRIVE
    events.push(m, node, start + m[FAR] - m[NEAR])


@inlined
def ingress(m: Memory, node: int, arrival: int) -> int:
    """Pass the SM's read port in order of arrival; the instant at which the last byte is in."""
    sm = sm_of(m, node)
    if is_write(m, node):
        return int(max(arrival, m[sm + P_INGRESS]))
    service = (bytes_of(m, node) * m[INGRESS_Q16]) >> 16
    done = max(arrival, m[sm + P_INGRESS] + service)
    m[sm + P_INGRESS] = done
    m[node + NOCQ] += done - arrival
    m[N_BUSY] += service
    return int(done)
