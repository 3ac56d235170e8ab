"""Collectives of tensor parallelism over NVLink: all-reduces by one shot, two shots or a ring, by size; all-gathers by
ring.

One shot: every device reads the whole buffers of all others. Two shots: it sums its share of them, then all read all
shares. Both begin and end with a barrier of flags, one hop each (vLLM custom_all_reduce.cuh, FasterTransformer). The
ring moves a share per step, 2 (p - 1) steps, half of them where nothing is summed (NCCL).
"""

from sim.config.hardware import Hardware
from sim.config.runtime import AllReduce
from sim.errors import InputError

KIB = 1024
ROUND_TRIP, BARRIER = 2, 1
"""Hops of a read from a peer, and of a flag."""


def all_reduce_ns(size: int, parallel: int, hw: Hardware, rule: AllReduce) -> float:
    """Time to sum buffers of `size` bytes on `parallel` devices, without launch; 0 on one device.

    Raises InputError when there are several and no link between them.
    """
    if parallel == 1:
        return 0.0
    rate, hop = _reached(parallel, hw, rule)
    if size * parallel <= rule.one_shot_kib * KIB:
        return (parallel - 1) * size / rate + (2 * BARRIER + ROUND_TRIP) * hop
    if size <= rule.two_shot_kib * KIB:
        return 2 * (parallel - 1) / parallel * size / rate + (3 * BARRIER + 2 * ROUND_TRIP) * hop
    steps = 2 * (parallel - 1)
    return steps * (size / parallel / rate + hop)


def all_gather_ns(size: int, parallel: int, hw: Hardware, rule: AllReduce) -> float:
    """Time until every device has all shares of a buffer of `size` bytes, without launch; 0 on one device.

    Raises InputError when there are several and no link between them.
    """
    if parallel == 1:
        return 0.0
    rate, hop = _reached(parallel, hw, rule)
    return (parallel - 1) * (size / parallel / rate + hop)


def _reached(parallel: int, hw: Hardware, rule: AllReduce) -> tuple[float, float]:
    """GB/s that a device takes in, and ns of a hop."""
    if hw.link is None:
        raise InputError(
            f"workload.tensor_parallel: found {parallel} in a step; allowed: 1, since {hw.name} has no link"
        )
    return hw.link.bandwidth_gb_s * rule.link_fraction, hw.link.latency_ns


def all_gather_bound_ns(size: int, parallel: int, hw: Hardware) -> float:
    """Every device must take in all shares but its own."""
    if parallel == 1 or hw.link is None:
        return 0.0
    return (parallel - 1) / parallel * size / hw.link.bandwidth_gb_s


def all_reduce_bound_ns(size: int, parallel: int, hw: Hardware) -> float:
    """What no algorithm over the links beats: every device must take in all parts but its own, summed on the way."""
    if parallel == 1 or hw.link is None:
        return 0.0
    return 2 * (parallel - 1) / parallel * size / hw.link.bandwidth_gb_s
