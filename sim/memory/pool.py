"""Rows of requests and of fetches as a pool with two lists of free ones: memory follows bytes in flight, not lines."""

from sim.memory.jit import inlined
from sim.memory.layout import (
    HBMQ,
    LINK,
    NOCQ,
    Q_FETCH_COUNT,
    Q_FETCH_HEAD,
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


@inlined
def take_for_fetch(m: Memory) -> int:
    """A row, as it was left. The caller has made sure that one is free."""
    f = m[Q_FETCH_HEAD]
    m[Q_FETCH_HEAD] = m[f + LINK]
    m[Q_FETCH_COUNT] -= 1
    return int(f)


@inlined
def give_of_fetch(m: Memory, f: int) -> None:
    """Return a fetch's row."""
    m[f + LINK] = m[Q_FETCH_HEAD]
    m[Q_FETCH_HEAD] = f
    m[Q_FETCH_COUNT] += 1
