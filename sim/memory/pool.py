"""Rows of requests as a pool with a free list, so that memory follows requests in flight, not lines."""

from sim.memory.jit import inlined
from sim.memory.layout import (
    HBMQ,
    LINK,
    NOCQ,
    Q_FREE_COUNT,
    Q_FREE_HEAD,
    TLBW,
    Memory,
)


@inlined
def take(m: Memory) -> int:
    """A row whose waits are 0. The caller has made sure that one is free."""
    node = m[Q_FREE_HEAD]
    m[Q_FREE_HEAD] = m[node + LINK]
    m[Q_FREE_COUNT] -= 1
    m[node + TLBW] = 0
    m[node + NOCQ] = 0
    m[node + HBMQ] = 0
    return int(node)


@inlined
def give(m: Memory, node: int) -> None:
    """Return a row."""
    m[node + LINK] = m[Q_FREE_HEAD]
    m[Q_FREE_HEAD] = node
    m[Q_FREE_COUNT] += 1
