"""Events of the tile-grain loop: a heap by (time, order of creation) in flat cells.

Cell 0 holds the number of events, cell 1 the number ever created; pairs (time, code) follow from HEAD on. The upper
bits of a code are the order of creation.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import compiled, inlined

Int64 = NDArray[np.int64]

START, SEND, READY, FREE, DONE, STORE, KNOWN, LOOK, KINDS = range(9)
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
    rise(heap, i, time, (heap[1] << CODE_BITS) | code)


@inlined
def rise(heap: Int64, i: int, time: int, code: int) -> None:
    """Put an event into the free place i, or above it in place of later ones."""
    while i > 0:
        parent = (i - 1) >> 1
        there = heap[HEAD + 2 * parent]
        if there < time or (there == time and heap[HEAD + 2 * parent + 1] < code):
            break
        heap[HEAD + 2 * i] = there
        heap[HEAD + 2 * i + 1] = heap[HEAD + 2 * parent + 1]
        i = parent
    heap[HEAD + 2 * i] = time
    heap[HEAD + 2 * i + 1] = code


@inlined
def earlier(heap: Int64, a: int, b: int) -> int:
    """The place, of a and b, whose event comes first. Not `or`, `and`: nobody can guess this branch."""
    first, second = heap[HEAD + 2 * a], heap[HEAD + 2 * b]
    older = heap[HEAD + 2 * a + 1] < heap[HEAD + 2 * b + 1]
    return a if (first < second) | ((first == second) & older) else b


@inlined
def take_event(heap: Int64) -> int:
    """Take out the first event (its time has been read at HEAD); its code.

    The last event fills the place that is free once the first of each brood has moved up: it belongs near the bottom
    nearly always, so it is not compared on the way down.
    """
    taken = heap[HEAD + 1] & ((1 << CODE_BITS) - 1)
    size = heap[0] - 1
    heap[0] = size
    i = 0
    child = 1
    while child < size:
        if child + 1 < size:
            child = earlier(heap, child, child + 1)
        heap[HEAD + 2 * i] = heap[HEAD + 2 * child]
        heap[HEAD + 2 * i + 1] = heap[HEAD + 2 * child + 1]
        i = child
        child = 2 * i + 1
    rise(heap, i, heap[HEAD + 2 * size], heap[HEAD + 2 * size + 1])
    return int(taken)
