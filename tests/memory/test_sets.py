"""Over how many sets memory spreads, whatever their number: homes, copies of them, and strides.

On paper: each round over the slices brings each of them one block, in the next set. Contiguous memory then fills all
sets of a slice alike, but for a lap begun at either end. A set sees rounds an odd number apart (a lap over them, less
the step between laps), so that stripes and strides of a power of two meet all sets. At the worst, who reads a block is
as good as drawn: copies then spread as coins do, half the root of their number of rounds, strides as draws, its root.
"""

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from sim.config.load import load_hardware
from sim.memory import division, mapping
from sim.memory.layout import RECIPROCALS
from sim.memory.params import Param, build
from sim.memory.pointer import cells

Ints = NDArray[np.int64]
BLOCK = 512
WAYS = 16
SLICES = (48, 80, 96, 128)
SETS = (1, 2, 63, 64, 77, 79, 80, 81, 97, 126, 127)
"""Even ones and odd ones, powers of two and primes; of the shipped machines, and 77, 0.97 of one of them."""
SHIPPED = ((80, 64), (80, 80), (96, 80), (128, 126))
"""Slices and sets of A100, H100, H200 and B200."""
FOOTPRINT = 0.73
"""Of the capacity: read by one partition each, half of it twice, more than that fills."""


@njit
def _placed(m: Ints, addresses: Ints, slices: Ints, sets: Ints) -> None:
    p = cells(m)
    for i in range(len(addresses)):
        slices[i] = mapping.number_of(p, addresses[i])
        sets[i] = mapping.set_of(p, addresses[i])


def placed(blocks: Ints, slices: int, sets: int) -> tuple[Ints, Ints]:
    """[N] slice and set of each block, of an L2 of so many slices and sets."""
    p = build(load_hardware("h100_sxm").spec)
    assert p[Param.BLOCK_SHIFT] == p[Param.GRANULE_SHIFT] == BLOCK.bit_length() - 1
    p[Param.SLICES_SEEN], p[Param.SETS] = slices, sets
    m = np.zeros(RECIPROCALS + len(p), np.int64)
    m[: len(p)] = p
    m[RECIPROCALS:] = [division.reciprocal(int(by)) if by > 0 else 0 for by in p]
    at, row = np.zeros_like(blocks), np.zeros_like(blocks)
    _placed(m, blocks * BLOCK, at, row)
    return at, row


def lines(at: Ints, row: Ints, slices: int, sets: int) -> Ints:
    """[slices x sets] blocks in each."""
    return np.bincount(at * sets + row, minlength=slices * sets)


def held_for(blocks: Ints, reader: Ints, slices: int, sets: int) -> Ints:
    """Lines that each set has to hold: its homes, and copies of what its partition reads of the other's."""
    at, row = placed(blocks, slices, sets)
    near = slices // 2
    far = at // near != reader
    copies = lines((reader * near + at % near)[far], row[far], slices, sets)
    return lines(at, row, slices, sets) + copies


@pytest.mark.parametrize("slices", SLICES)
@pytest.mark.parametrize("sets", SETS)
def test_contiguous_memory_fills_all_sets_alike(slices: int, sets: int) -> None:
    capacity = slices * sets * WAYS
    whole = lines(*placed(np.arange(capacity), slices, sets), slices, sets)
    assert (whole == WAYS).all()
    begin = 12_345
    part = lines(*placed(np.arange(begin, begin + capacity // 3), slices, sets), slices, sets)
    assert np.ptp(part) <= 2


@pytest.mark.parametrize("slices", SLICES)
def test_copies_of_drawn_readers_spread_as_coins_do(slices: int) -> None:
    for sets in SETS[2:]:
        blocks = np.arange(int(FOOTPRINT * slices * sets * WAYS))
        reader = np.random.default_rng(sets).integers(0, 2, len(blocks))
        spread = held_for(blocks, reader, slices, sets).std()
        rounds = len(blocks) / (slices * sets)
        assert spread == pytest.approx(np.sqrt(rounds / 4 + 0.25), rel=0.1), sets


def pairs() -> list[tuple[int, int]]:
    return [*SHIPPED, *((slices, sets) for slices in (96, 128) for sets in SETS[2:])]


@pytest.mark.parametrize("stripe_kib", [4, 16, 64])
def test_copies_of_striped_readers_spread_no_more_than_that(stripe_kib: int) -> None:
    """SMs of both partitions read stripes in turn, as CTAs of a launch do. A step of one between laps left a partition
    the copies of every other set where the number of sets is odd: 3.4 times as wide.
    """
    over_paper = []
    for slices, sets in pairs():
        blocks = np.arange(int(FOOTPRINT * slices * sets * WAYS))
        reader = blocks * BLOCK // (stripe_kib * 1024) % 2
        coins = np.sqrt(len(blocks) / (slices * sets)) / 2
        over_paper.append(held_for(blocks, reader, slices, sets).std() / coins)
    assert max(over_paper[: len(SHIPPED)]) < 1.05
    assert np.median(over_paper) < 0.8


@pytest.mark.parametrize("stride", [2, 32, 256])
def test_strides_spread_no_more_than_draws(stride: int) -> None:
    """Some numbers of sets agree with the rotation of the slices, so that not all strides of all do."""
    over_paper = []
    for slices, sets in pairs():
        blocks = stride * np.arange(int(FOOTPRINT * slices * sets * WAYS))
        draws = np.sqrt(len(blocks) / (slices * sets))
        over_paper.append(lines(*placed(blocks, slices, sets), slices, sets).std() / draws)
    assert max(over_paper[: len(SHIPPED)]) < 1
    assert np.median(over_paper) < 0.65
