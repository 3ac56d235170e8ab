"""How unevenly a tile lies on the slices of L2, against the memory plane's own placement and counts by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit

from sim.coarse.slices import slice_numbers, tile_slices
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


def loads(runs: list[tuple[int, int]], hardware: str) -> np.ndarray:
    """[places, slices] blocks of a tile on each slice of a partition, in the order of their numbers."""
    hw = load_hardware(hardware).spec
    near = hw.l2.slices // hw.l2.partitions
    ptr, numbers = tile_slices(tile_of(runs), hw)  # type: ignore[arg-type]
    assert ptr.tolist() == [0, numbers.shape[1] - 1, numbers.shape[1]]
    return np.stack([np.bincount(at[: ptr[1]], minlength=near) for at in numbers])


def test_a_range_of_one_round_and_a_half_has_two_blocks_on_every_other_slice() -> None:
    """L40S: 48 slices in one partition; 72 blocks are at most 2 a slice, 96 are 2 everywhere."""
    block = load_hardware("l40s").spec.hbm.interleave_bytes
    assert (np.sort(loads([(0, 72 * block)], "l40s"), axis=1) == np.repeat([1, 2], 24)).all()
    assert (loads([(0, 96 * block)], "l40s") == 2).all()


def test_copies_are_spread_over_the_slices_of_a_partition() -> None:
    """H100: 80 slices, 40 near; a range of 60 blocks has two on half of those."""
    block = load_hardware("h100_sxm").spec.hbm.interleave_bytes
    assert (np.sort(loads([(0, 60 * block)], "h100_sxm"), axis=1) == np.repeat([1, 2], 20)).all()
