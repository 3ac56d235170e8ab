"""The walk of the cache at tile grain against a plain twin and limiting cases."""

from collections import OrderedDict

import numpy as np
import pytest

from sim.coarse import tags
from sim.memory.params import REPLACEMENT_CODE

ALL = 1 << 16


def scalars(sets: int, ways: int, *, passes: int = 1, slots: int = 4, policy: str = "lru") -> np.ndarray:
    p = np.zeros(tags.SCALARS, np.int64)
    p[tags.SLOTS], p[tags.SMS], p[tags.PASSES], p[tags.PARTS] = slots, slots, passes, 1
    p[tags.PARTITIONS], p[tags.SETS], p[tags.WAYS] = 1, sets, ways
    p[tags.POLICY] = REPLACEMENT_CODE[policy]
    return p


def walk(p: np.ndarray, counts: list[int], objects: np.ndarray) -> np.ndarray:
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return tags.walk(p, ptr, np.arange(len(counts)), np.asarray(objects, np.int64))


def lru_twin(order: np.ndarray, sets: int, ways: int) -> list[bool]:
    """A dictionary in order of use for each set."""
    cache: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(sets)]
    found = []
    for block in order.tolist():
        held = cache[block % sets]
        found.append(block in held)
        held.pop(block, None)
        held[block] = None
        if len(held) > ways:
            held.popitem(last=False)
    return found


def test_lru_finds_what_a_plain_twin_finds() -> None:
    """One slot: tiles are walked in their order."""
    order = np.random.default_rng(3).integers(0, 60, 4000)
    found = walk(scalars(4, 8, slots=1), [len(order)], order)
    assert (found == ALL).tolist() == lru_twin(order, 4, 8)


@pytest.mark.parametrize("policy", ["lru", "random", "nru"])
def test_a_replay_that_fits_finds_all(policy: str) -> None:
    assert (walk(scalars(8, 8, passes=2, policy=policy), [16] * 4, np.arange(64)) == ALL).all()


def test_an_lru_cycle_over_the_capacity_finds_nothing() -> None:
    assert not walk(scalars(8, 8, passes=2), [18] * 4, np.arange(72)).any()


def test_what_all_share_is_missed_by_the_first_alone() -> None:
    found = walk(scalars(8, 8), [16] * 4, np.tile(np.arange(16), 4)).reshape(4, 16)
    assert not found[0].any()
    assert (found[1:] == ALL).all()


def test_a_cold_launch_that_reads_all_once_finds_nothing() -> None:
    assert not walk(scalars(8, 8), [16] * 4, np.arange(64)).any()
