"""The way back from a slice to an SM: partition link, latency by distance, ingress port."""

from sim.memory.counters import INDEX
from sim.memory.jit import inlined
from sim.memory.layout import (
    NOCQ,
    P_INGRESS,
    P_PART,
    S_PART,
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
