"""Events come in order of time, then of TIE, wherever in the queue they waited."""

from heapq import heapify, heappop, heappush

import numpy as np
import pytest
from numba import njit

from sim.config.hardware import Hardware
from sim.memory import build, events
from sim.memory.buckets import BUCKETS, PLACES, SHIFT
from sim.memory.layout import AT_CHUNKS, CHUNK_COLS, Q_COUNT, Q_HEAP, TIE, Memory
from sim.memory.pointer import cells
from tests.memory.conftest import table

BUCKET = 1 << SHIFT
SPAN = BUCKETS << SHIFT
Queued = list[tuple[int, int, int]]


@njit
def push(m: Memory, node: int, time: int) -> None:
    events.push(cells(m), node, time)


@njit
def pop(m: Memory, horizon: int) -> int:
    return events.pop(cells(m), horizon)


@njit
def remove(m: Memory, node: int) -> None:
    events.remove(cells(m), node)


@njit
def next_time(m: Memory) -> int:
    return events.next_time(cells(m))


class Queue:
    """The plane's queue beside a plain heap of (time, TIE, row)."""

    def __init__(self, hw: Hardware, count: int, seed: int) -> None:
        self.m = build.new_memory(hw, table([[(0, 32)]]))
        self.free = [int(self.m[AT_CHUNKS]) + i * CHUNK_COLS for i in range(count)]
        for node, tie in zip(self.free, np.random.default_rng(seed).permutation(count), strict=True):
            self.m[node + TIE] = tie
        self.plain: Queued = []

    def push(self, time: int) -> None:
        node = self.free.pop()
        heappush(self.plain, (time, int(self.m[node + TIE]), node))
        push(self.m, node, time)

    def pop(self, horizon: int) -> int:
        """Time of the event that is next, -1 when none is before `horizon`."""
        assert next_time(self.m) == (self.plain[0][0] if self.plain else -1)
        node = pop(self.m, horizon)
        if not self.plain or self.plain[0][0] >= horizon:
            assert node == -1
            return -1
        time, _, expected = heappop(self.plain)
        assert node == expected
        self.free.insert(0, node)
        return time

    def remove(self, which: int) -> None:
        node = self.plain.pop(which % len(self.plain))[2]
        heapify(self.plain)
        remove(self.m, node)
        self.free.insert(0, node)


@pytest.mark.parametrize("window", [BUCKET // 2, 1000, SPAN])
@pytest.mark.parametrize("ahead", [3, 40, 3000, 30_000, 3 * SPAN])
def test_events_come_in_order(small: Hardware, ahead: int, window: int) -> None:
    """Up to 300 of them, queued from far below one bucket to three calendars ahead; one in five is taken out."""
    queue, draw, now = Queue(small, 300, ahead), np.random.default_rng(ahead + window), 0
    for horizon in range(window, 60 * window, window):
        for _ in range(min(len(queue.free), int(draw.integers(0, 40)))):
            queue.push(max(now, horizon - window) + int(draw.integers(0, ahead)))
        while (time := queue.pop(horizon)) >= 0:
            now = time
            if draw.random() < 0.4:
                queue.push(now + int(draw.integers(0, ahead)))
            if queue.plain and draw.random() < 0.2:
                queue.remove(int(draw.integers(0, 1000)))
    while queue.pop(1 << 60) >= 0:
        pass
    assert queue.m[Q_COUNT] == queue.m[Q_HEAP] == 0


@pytest.mark.parametrize("others", [0, 30])
def test_many_of_one_instant_come_in_order_of_tie(small: Hardware, others: int) -> None:
    """More than the list holds, while further ones of the instant, and of the next, are queued and taken out."""
    queue, draw = Queue(small, 400, others), np.random.default_rng(others)
    base = 100 * BUCKET
    for _ in range(300):
        queue.push(base)
    for _ in range(others):
        queue.push(base + int(draw.integers(0, 3)))
    popped = 0
    while (time := queue.pop(1 << 60)) >= 0:
        popped += 1
        if popped % 7 == 0 and popped < 200:
            queue.push(time)
        if popped % 11 == 0 and queue.plain:
            queue.remove(int(draw.integers(0, 1000)))
    assert queue.m[Q_COUNT] == queue.m[Q_HEAP] == 0


@pytest.mark.parametrize("count", range(1, 3 * PLACES))
@pytest.mark.parametrize("which", range(3))
def test_a_crowded_bucket_gives_back_what_it_was_given(small: Hardware, count: int, which: int) -> None:
    """Beyond PLACES they are chained. Any of them can be taken out: the last, the first, one in the middle."""
    queue = Queue(small, count, count)
    base = 100 * BUCKET
    for i in range(count):
        queue.push(base + 5 * i % BUCKET)
    assert queue.m[Q_COUNT] == count
    queue.remove((count - 1, 0, count // 2)[which])
    for _ in range(count - 1):
        assert queue.pop(1 << 60) >= base
    assert queue.pop(1 << 60) == -1
