"""The engine's step: who attends to which blocks, and in what physical order they lie."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step, snapshot
from kernels_ref.errors import InputError
from kernels_ref.request_trace import RequestTrace, read_requests
from kernels_ref.trace import Geometry, Step

SHAPE = Geometry(q_heads=8, kv_heads=2, head_dim=16, value_dim=16)


def step_of(contexts: list[int], page: int = 16, q_len: int = 1, seed: int = 0, **options: Any) -> Step:
    lengths = np.array(contexts, np.int32)
    return make_step(
        Batch("decode", SHAPE, lengths, np.full(len(lengths), q_len, np.int32), page, **options), seed
    )


@pytest.mark.parametrize("order", ["sequential", "shuffled", "trace"])
def test_every_sequence_has_the_blocks_of_its_context_and_shares_none(order: str) -> None:
    step = step_of([100, 16, 17, 1], page_order=order)
    assert np.diff(step.table_ptr).tolist() == [7, 1, 2, 1]
    assert len(set(step.table.tolist())) == len(step.table)


def test_sequential_blocks_are_neighbours_and_shuffled_ones_are_not() -> None:
    assert (np.diff(step_of([400], page_order="sequential").table) == 1).all()
    assert (np.diff(step_of([400], page_order="shuffled").table) != 1).any()


def test_blocks_as_allocated_have_long_runs_of_neighbours_from_prefill_and_scattered_ones_from_decoding() -> (
    None
):
    row = step_of([2000] * 4).row(0)
    neighbours = np.abs(np.diff(row)) == 1
    assert neighbours[:100].mean() > 0.9
    assert neighbours[-10:].mean() < 0.5


def test_the_order_is_that_of_the_seed() -> None:
    assert (step_of([500, 600], seed=1).table == step_of([500, 600], seed=1).table).all()
    assert (step_of([500, 600], seed=1).table != step_of([500, 600], seed=2).table).any()


@pytest.mark.parametrize("order", ["sequential", "trace"])
def test_a_shared_prefix_is_stored_once_in_full_blocks(order: str) -> None:
    # 70 shared tokens are 4 full blocks of 16; the fifth is part of each sequence's own.
    step = step_of([100, 200], shared_prefix=70, page_order=order)
    assert (step.row(0)[:4] == step.row(1)[:4]).all()
    assert not set(step.row(0)[4:].tolist()) & set(step.row(1)[4:].tolist())


def test_old_pages_are_cold_and_the_newest_tokens_stay_hot() -> None:
    # 100 tokens, the newest 20 hot: pages 0 to 4 end at token 80, and only they are wholly cold.
    step = step_of([100], formats=("fp8_e4m3", "int4"), hot_tokens=20)
    assert step.frame_format[step.row(0)].tolist() == [1, 1, 1, 1, 1, 0, 0]


def test_the_older_part_of_each_context_lies_in_the_tier() -> None:
    step = step_of([160], tiers=("host",), tier_fraction=0.5)
    assert step.frame_residency[step.row(0)].tolist() == [1] * 5 + [0] * 5


def test_new_tokens_are_written_into_the_last_slots() -> None:
    step = step_of([33], q_len=3, page_order="sequential")
    assert step.appends.tolist() == [[0, 30, 1], [0, 31, 1], [0, 32, 2]]


def test_more_new_tokens_than_context_is_bad_input() -> None:
    with pytest.raises(InputError, match="5 new tokens in a context of 4"):
        step_of([4], q_len=5)


def trace_of(repo: Path) -> RequestTrace:
    return read_requests(repo / "workloads" / "traces" / "sample_chat.jsonl.gz")


def test_a_snapshot_takes_the_latest_arrivals_with_part_of_their_output(repo: Path) -> None:
    trace = trace_of(repo)
    assert trace.arrival_s is not None
    contexts = snapshot(trace, 300.0, 32, np.random.default_rng(0))
    latest = np.argsort(np.where(trace.arrival_s < 300, trace.arrival_s, -1), kind="stable")[-32:]
    assert (contexts >= trace.input_length[latest]).all()
    assert (contexts <= trace.input_length[latest] + trace.output_length[latest]).all()


def test_a_snapshot_before_enough_arrivals_is_bad_input(repo: Path) -> None:
    with pytest.raises(InputError, match="a batch of 64 needs as many"):
        snapshot(trace_of(repo), 0.5, 64, np.random.default_rng(0))
