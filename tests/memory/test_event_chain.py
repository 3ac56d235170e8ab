"""Chains of events come in order of time, then of TIE, then as they were queued."""

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from sim.memory.event_chain import arranged, holds, put_in, take_out
from sim.memory.layout import EV_TIME, LINK, TIE

COLS = max(LINK, EV_TIME, TIE) + 1
Ints = NDArray[np.int64]


@njit
def arrange(m: Ints, first: int) -> int:
    return arranged(m, first)


@njit
def insert(m: Ints, first: int, node: int) -> int:
    return put_in(m, first, node)


def queued(count: int, seed: int, alike: int) -> Ints:
    """`count` events with few different times and ties, chained as they are queued: the last one first."""
    rows = np.zeros((count, COLS), np.int64)
    draw = np.random.default_rng(seed)
    rows[:, EV_TIME], rows[:, TIE] = draw.integers(0, alike, count), draw.integers(0, alike, count)
    rows[:, LINK] = COLS * np.arange(-1, count - 1)
    rows[0, LINK] = -1
    return rows


def walk(m: Ints, first: int) -> list[int]:
    """Numbers of the events of a chain."""
    found = []
    while first >= 0:
        found.append(first // COLS)
        first = int(m[first + LINK])
    return found


def expected(rows: Ints) -> list[int]:
    return sorted(range(len(rows)), key=lambda i: (rows[i, EV_TIME], rows[i, TIE], i))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 100, 257])
@pytest.mark.parametrize("alike", [1, 2, 50])
def test_a_chain_is_arranged(count: int, alike: int) -> None:
    rows = queued(count, seed=count, alike=alike)
    m = rows.reshape(-1)
    assert walk(m, arrange(m, COLS * (count - 1))) == expected(rows)


@pytest.mark.parametrize("alike", [1, 3, 50])
def test_an_event_is_put_into_a_chain_in_order(alike: int) -> None:
    rows = queued(40, seed=alike, alike=alike)
    m, first = rows.reshape(-1), -1
    for node in range(len(rows)):
        first = insert(m, first, COLS * node)
        assert walk(m, first) == expected(rows[: node + 1])


@njit
def take(m: Ints, first: int, node: int) -> int:
    return take_out(m, first, node) if holds(m, first, node) else -2


def test_an_event_is_taken_out_of_a_chain() -> None:
    """The first, the last, one in between, one that is not there."""
    for node, left in ((3, [2, 1, 0]), (0, [3, 2, 1]), (2, [3, 1, 0])):
        m = queued(4, seed=1, alike=2).reshape(-1)
        assert walk(m, take(m, COLS * 3, COLS * node)) == left
    assert take(queued(4, seed=1, alike=2).reshape(-1), COLS * 1, COLS * 3) == -2
