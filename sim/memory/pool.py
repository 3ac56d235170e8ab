"""Rows of requests as a pool with a free list, so that memory follows requests in flight, not lines."""

from sim.memory.jit import inlined
from sim.memory.layout import (
    CHUNK_COLS,
    HBMQ,
    LINK,
    NOCQ,
    Q_FREE_COUNT,
    Q_FREE_HEAD,
    Memory,
)
from sim.memory.params import LINE_CELLS
from sim.memory.prefetch import prefetch


@inlined
def take(m: Memory) -> int:
    """A row whose waits are 0. The caller has made sure that one is free. The next one is asked for."""
    node = m[Q_FREE_HEAD]
    following = m[node + LINK]
    m[Q_FREE_HEAD] = following
    for line in range(following, following + CHUNK_COLS, LINE_CELLS):
        prefetch(m, line)
    m[Q_FREE_COUNT] -= 1
    m[node + NOCQ] = 0
    m[node + HBMQ] = 0
    return int(node)


@inlined
def give(m: Memory, node: int) -> None:
    """Return a row."""
    m[node + LINK] = m[Q_FREE_HEAD]
    m[Q_FREE_HEAD] = node
    m[Q_FREE_COUNT] += 1
