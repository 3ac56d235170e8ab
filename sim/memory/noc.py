"""The way back from a slice to an SM: partition link, latency by distance, ingress port."""

from sim.memory import events
from sim.memory.counters import INDEX
from sim.memory.jit import compiled
from sim.memory.layout import (
    BYTES,
    NOCQ,
    OUT,
    P_INGRESS,
    P_PART,
    RETURN,
    S_LINK,
    S_PART,
    SLICE,
    SM,
    STAGE,
    WRITE,
    Memory,
)
from sim.memory.params import Param

NEAR, FAR, LINK_Q16 = int(Param.NEAR), int(Param.FAR), int(Param.LINK_Q16)
PARTITIONS, SLICES, INGRESS_Q16 = int(Param.PARTITIONS), int(Param.SLICES), int(Param.INGRESS_Q16)
N_BUSY = INDEX["noc_busy"]


@compiled
def latency(m: Memory, sm: int, at: int) -> int:
    """One way between an SM and a slice."""
    return int(m[NEAR] if m[at + S_PART] == m[sm + P_PART] else m[FAR])


@compiled
def send_back(m: Memory, node: int, time: int) -> None:
    """Data (or a write's acknowledgement) leaves the slice at `time`.

    Events at SMs are queued by arrival less the shortest way back: so one horizon bounds both what L2 and memory
    may do and what SMs may see.
    """
    sm, at = m[node + SM], m[node + SLICE]
    far = m[at + S_PART] != m[sm + P_PART]
    if far and m[LINK_Q16] and not m[node + WRITE]:
        m[node + STAGE] = OUT
        events.push(m, node, time)
        return
    m[node + STAGE] = RETURN
    events.push(m, node, time + (m[FAR] - m[NEAR] if far else 0))


@compiled
def cross(m: Memory, node: int, now: int) -> None:
    """Pass the link that leaves the slice's partition, in order of time."""
    home = m[m[node + SLICE] + S_LINK]
    start = max(now, m[home])
    m[home] = start + ((m[node + BYTES] * m[LINK_Q16]) >> 16)
    m[node + NOCQ] += start - now
    m[node + STAGE] = RETURN
    events.push(m, node, start + m[FAR] - m[NEAR])


@compiled
def ingress(m: Memory, node: int, arrival: int) -> int:
    """Pass the SM's read port in order of arrival; the instant at which the last byte is in."""
    sm = m[node + SM]
    if m[node + WRITE]:
        return int(max(arrival, m[sm + P_INGRESS]))
    service = (m[node + BYTES] * m[INGRESS_Q16]) >> 16
    done = max(arrival, m[sm + P_INGRESS] + service)
    m[sm + P_INGRESS] = done
    m[node + NOCQ] += done - arrival
    m[N_BUSY] += service
    return int(done)
