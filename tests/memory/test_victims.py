"""Ways are compared as numbers, several at a time; a walk over the set finds the same one."""

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from sim.memory.params import Param
from sim.memory.tags import BUSY, EMPTY, TAG_SHIFT, count_empty, least_recent

Ints = NDArray[np.int64]
ROW = len(Param)


@njit
def oldest(m: Ints, row: int, end: int) -> int:
    return least_recent(m, row, end)


@njit
def empty(m: Ints, row: int) -> int:
    return count_empty(m, row)


def walk(tags: list[int]) -> int:
    """Way with the smallest stamp of those with nothing in flight, the first of equals; -1 when there is none."""
    best = -1
    for way, tag in enumerate(tags):
        if not tag & BUSY and (best < 0 or tag & (BUSY - 1) < tags[best] & (BUSY - 1)):
            best = way
    return best


@pytest.mark.parametrize("ways", [1, 7, 16, 20])
@pytest.mark.parametrize("stamps", [3, BUSY])
def test_the_least_recent_is_the_one_that_a_walk_finds(ways: int, stamps: int) -> None:
    """Stamps up to 2**32 - 1, and few different ones; a third of the ways in flight, at times all."""
    draw = np.random.default_rng(ways)
    none = 0
    for _ in range(200):
        busy = draw.random(ways) < draw.choice([0.3, 1.0], p=[0.9, 0.1])
        tags = draw.integers(0, 1 << 30, ways) << TAG_SHIFT | busy * BUSY | draw.integers(0, stamps, ways)
        m = np.concatenate([np.zeros(ROW, np.int64), tags])
        expected = walk(tags.tolist())
        none += expected < 0
        assert oldest(m, ROW, ROW + ways) == (ROW + expected if expected >= 0 else -1)
    assert none


@pytest.mark.parametrize("ways", [1, 7, 16, 20])
def test_empty_ways_are_counted(ways: int) -> None:
    for filled in range(ways + 1):
        m = np.concatenate([np.zeros(ROW, np.int64), np.full(ways, EMPTY)])
        m[Param.WAYS] = ways
        m[ROW : ROW + filled] = 5 << TAG_SHIFT
        assert empty(m, ROW) == ways - filled
