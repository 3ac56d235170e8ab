"""How unevenly a tile lies on the slices of L2, against the memory plane's own placement and counts by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit

from sim.coarse.slices import fullest_shares, slice_numbers
from sim.config.load import load_hardware
from sim.memory import params
from sim.memory.build import from_params
from sim.memory.fetches import FetchTable
from sim.memory.mapping import number_of
from sim.memory.params import Param
from sim.memory.pointer import cells


def tile_of(runs: list[tuple[int, int]]) -> SimpleNamespace:
    """A launch of one CTA of two tiles: query rows and these (address, bytes), and nothing but one block."""
    address = np.array([1 << 40, *(start for start, _ in runs), 0])
    size = np.array([4096, *(count for _, count in runs), 512])
    fetches = SimpleNamespace(
        run_ptr=np.array([0, 1 + len(runs), 2 + len(runs)]), run_addr=address, run_bytes=size
    )
    return SimpleNamespace(fetches=fetches, tiles=2, ctas=SimpleNamespace(tile_ptr=np.array([0, 2])))


@njit
def in_plane(memory: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Number of each address's slice in a memory plane of these parameters."""
    m = cells(memory)
    numbers = np.zeros(len(addresses), np.int64)
    for i in range(len(addresses)):
        numbers[i] = number_of(m, addresses[i])
    return numbers


@pytest.mark.parametrize("hashed", [False, True])
def test_blocks_lie_where_the_memory_plane_has_them(hashed: bool) -> None:
    hw = load_hardware("h100_sxm").spec
    parameters = params.build(hw)
    parameters[Param.HASH] = int(hashed)
    none = np.empty(0, np.int64)
    memory = from_params(parameters, FetchTable(np.zeros(1, np.int64), none, none, none, none))
    block = np.random.default_rng(2).integers(0, 1 << 26, 300)
    numbers = slice_numbers(block, hw.l2.slices, hashed=hashed)
    shift = int(memory[Param.BLOCK_SHIFT])
    assert (numbers == in_plane(memory, block << shift)).all()


def test_a_range_of_one_round_and_a_half_has_two_blocks_on_every_other_slice() -> None:
    """L40S: 48 slices in one partition; 72 blocks are 1.5 a slice, at most 2."""
    hw = load_hardware("l40s").spec
    block = hw.hbm.interleave_bytes
    shares = fullest_shares(tile_of([(0, 72 * block)]), hw)  # type: ignore[arg-type]
    assert shares[0] == pytest.approx(2 / 1.5)
    assert fullest_shares(tile_of([(0, 96 * block)]), hw)[0] == pytest.approx(1)  # type: ignore[arg-type]


def test_copies_are_spread_over_the_slices_of_a_partition() -> None:
    """H100: 80 slices, 40 near; a range of 60 blocks has two on half of those, of 1.5."""
    hw = load_hardware("h100_sxm").spec
    shares = fullest_shares(tile_of([(0, 60 * hw.hbm.interleave_bytes)]), hw)  # type: ignore[arg-type]
    assert shares[0] == pytest.approx(2 / 1.5)


def test_ranges_that_begin_anywhere_pile_up_as_random_ones_do() -> None:
    """16 ranges of 3 blocks on 48 slices: a Monte Carlo of random beginnings, within its scatter over 8 places."""
    hw = load_hardware("l40s").spec
    block, rng = hw.hbm.interleave_bytes, np.random.default_rng(1)
    runs = [
        (int(page) * 48 * block + int(page % 48) * block, 3 * block) for page in rng.integers(0, 1 << 16, 16)
    ]
    starts = rng.integers(0, 48, (2000, 16))
    loads = np.zeros((2000, 48))
    for step in range(3):
        np.add.at(loads, (np.arange(2000)[:, None], (starts + step) % 48), 1)
    expected = loads.max(axis=1).mean()
    assert fullest_shares(tile_of(runs), hw)[0] == pytest.approx(expected, rel=0.25)  # type: ignore[arg-type]
