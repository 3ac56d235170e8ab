"""Sharing and waste follow the arithmetic that the paging paper predicts."""

from pathlib import Path

import numpy as np
import pytest

from kernels_ref.baselines import FreeSpace, MaximumLength, Oracle, Paged, PowerOfTwo, steady_state_waste
from kernels_ref.block_manager import BlockManager
from kernels_ref.errors import InputError
from kernels_ref.request_trace import read_requests


def used(manager: BlockManager) -> int:
    return manager.pool.usable_blocks - manager.num_free_blocks


@pytest.mark.parametrize("samples", [4, 8])
def test_parallel_samples_share_the_prompt_and_own_only_what_they_generate(samples: int) -> None:
    prompt, generated, size = 2000, 100, 16
    manager = BlockManager(4096, size)
    manager.allocate(0, prompt)
    for sample in range(1, samples):
        manager.fork(0, sample)
    for _ in range(generated):
        for sample in range(samples):
            manager.append(sample)
    # 2000 = 125 full blocks, all shared; each sample owns ceil(100 / 16) = 7 of its own.
    assert used(manager) == 125 + samples * 7
    alone = samples * -(-(prompt + generated) // size)
    assert 1 - used(manager) / alone == pytest.approx(1 - (125 + 7 * samples) / (132 * samples))


def test_eight_samples_of_a_long_prompt_save_more_than_80_percent() -> None:
    # (125 + 56) / (8 x 132) = 0.171.
    assert 1 - (125 + 8 * 7) / (8 * 132) > 0.8


def test_a_beam_of_width_4_shares_the_prompt_and_every_common_stretch() -> None:
    # Beam search: all four beams come from beam 0 for 64 tokens (each step beam 0 is kept and forked), then
    # diverge.
    prompt, size, width = 1600, 16, 4
    manager = BlockManager(1024, size)
    manager.allocate(0, prompt)
    for _ in range(64):
        manager.append(0)
    for beam in range(1, width):
        manager.fork(0, beam)
    for _ in range(32):
        for beam in range(width):
            manager.append(beam)
    # Common: (1600 + 64) / 16 = 104 blocks; each beam: 32 / 16 = 2.
    assert used(manager) == 104 + width * 2
    alone = width * (1600 + 96) // 16
    assert 1 - used(manager) / alone == pytest.approx(1 - 112 / 424)


def test_a_dropped_beam_returns_exactly_its_own_blocks() -> None:
    manager = BlockManager(64, 4)
    manager.allocate(0, 10)
    manager.fork(0, 1)
    manager.append(1, 5)  # copies the half-full block and opens one more
    assert used(manager) == 3 + 2
    manager.free(1)
    assert used(manager) == 3


@pytest.fixture
def lengths(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    trace = read_requests(shared / "data" / "traces" / "sharegpt_llama_31_8b_300.jsonl.gz")
    return trace.input_length, trace.output_length


def test_pages_of_16_waste_below_4_percent_where_the_maximum_wastes_60(
    lengths: tuple[np.ndarray, np.ndarray],
) -> None:
    capacity, maximum = 100_000, 8192
    paged = steady_state_waste(*lengths, capacity, Paged(16), maximum)
    reserved = steady_state_waste(*lengths, capacity, MaximumLength(maximum), maximum)
    assert paged.waste_fraction < 0.04
    assert reserved.waste_fraction > 0.6
    assert paged.running > 4 * reserved.running


def test_page_waste_is_half_a_page_per_sequence(lengths: tuple[np.ndarray, np.ndarray]) -> None:
    # A uniformly filled last page of B slots leaves (B - 1) / 2 empty.
    for size in (8, 16, 32, 64):
        waste = steady_state_waste(*lengths, 100_000, Paged(size), 8192)
        empty = (waste.reserved + waste.internal) / waste.running
        assert empty == pytest.approx((size - 1) / 2, rel=0.15)


def test_the_oracle_wastes_nothing_inside_and_power_of_two_less_than_half(
    lengths: tuple[np.ndarray, np.ndarray],
) -> None:
    oracle = steady_state_waste(*lengths, 100_000, Oracle(), 8192)
    doubled = steady_state_waste(*lengths, 100_000, PowerOfTwo(), 8192)
    assert oracle.internal == 0
    assert 0 < doubled.internal_fraction < 0.5
    assert 0 < doubled.waste_fraction < 0.5
    assert oracle.external > 0  # contiguous even when it knows the length


def test_first_fit_joins_neighbours_and_finds_no_room_in_pieces() -> None:
    space = FreeSpace(10)
    starts = [space.take(3), space.take(3), space.take(4)]
    assert starts == [0, 3, 6]
    space.give(0, 3)
    space.give(6, 4)
    assert (space.free, space.largest) == (7, 4)
    assert space.take(5) is None
    space.give(3, 3)
    assert space.largest == 10


def test_a_request_beyond_the_maximum_is_refused() -> None:
    with pytest.raises(InputError, match="longest found 30 tokens"):
        steady_state_waste(np.array([20]), np.array([10]), 100, Paged(), 25)
