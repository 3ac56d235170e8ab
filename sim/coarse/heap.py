"""Events of the tile-grain loop: a binary heap by (time, order of creation) in flat cells.

Cell 0 holds the number of events, cell 1 the number ever created; pairs (time, code) follow from HEAD on. The upper
bits of a code are the order of creation.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import compiled

Int64 = NDArray[np.int64]

KINDS = 8
"""An event's code is index x KINDS + kind."""
CODE_BITS = 20
"""A million codes: slots of the largest machine that configs allow, times kinds."""
HEAD = 2
"""Cell of the first event's time."""


def new_heap(capacity: int) -> Int64:
    """An empty heap."""
    return np.zeros(HEAD + 2 * capacity, np.int64)


@compiled
def schedule(heap: Int64, time: int, code: int) -> None:
    """Add an event."""
    i = heap[0]
    heap[0] = i + 1
    heap[1] += 1
    full = (heap[1] << CODE_BITS) | code
    while i > 0:
        parent = (i - 1) >> 1
        if heap[HEAD + 2 * parent] <= time:  # of equal times the newest comes last
            break
        heap[HEAD + 2 * i] = heap[HEAD + 2 * parent]
        heap[HEAD + 2 * i + 1] = heap[HEAD + 2 * parent + 1]
        i = parent
    heap[HEAD + 2 * i] = time
    heap[HEAD + 2 * i + 1] = full


@compiled
def earlier(heap: Int64, a: int, b: int) -> bool:
    """Whether the event at place a comes before that at place b."""
    first, second = heap[HEAD + 2 * a], heap[HEAD + 2 * b]
    return bool(first < second or (first == second and heap[HEAD + 2 * a + 1] < heap[HEAD + 2 * b + 1]))


@compiled
def take_event(heap: Int64) -> int:
    """Take out the first event (its time has been read at HEAD); its code."""
    code = heap[HEAD + 1] & ((1 << CODE_BITS) - 1)
    size = heap[0] - 1
    heap[0] = size
    i = 0
    child = 1
    while child < size:
        if child + 1 < size and earlier(heap, child + 1, child):
            child += 1
        if earlier(heap, size, child):
            break
        heap[HEAD + 2 * i] = heap[HEAD + 2 * child]
        heap[HEAD + 2 * i + 1] = heap[HEAD + 2 * child + 1]
        i = child
        child = 2 * i + 1
    heap[HEAD + 2 * i] = heap[HEAD + 2 * size]
    heap[HEAD + 2 * i + 1] = heap[HEAD + 2 * size + 1]
    return int(code)
