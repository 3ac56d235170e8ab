"""Rows of requests as a pool with a free list, so that memory follows requests in flight, not lines."""

from sim.memory.jit import inlined
from sim.memory.layout import (
    CHUNK_COLS,
    HBMQ,
    LINK,
    NOCQ,
    Q_FREE_COUNT,
    Q_FREE_HEAD,
    TLBW,
    Memory,
)
from sim.memory.prefetch import prefetch


@inlined
def take(m: Memory) -> int:
    """A row whose waits are 0. The caller has made sure that one is free."""
    node = m[Q_FREE_HEAD]
    following = m[node + LINK]
    m[Q_FREE_HEAD] = following
    m[Q_FREE_COUNT] -= 1
    for line in range(following, following + CHUNK_COLS, 8):
        prefetch(m, line)
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
