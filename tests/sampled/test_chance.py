"""What a sample cannot tell: when it counts, and how much."""

from dataclasses import replace

import numpy as np
import pytest

from sim.attention_run import Task, coarse_kernel, find_mapping
from sim.cli.job import all_profiles, engine_step
from sim.coarse.estimate import Coarse, Problem
from sim.coarse.shares import ONE
from sim.config.load import load_hardware, load_workload, model_of
from sim.memory.addresses import build_address_map
from sim.sampled.chance import (
    PAST_LRU_ERROR,
    TAIL_ERROR,
    UNSEEN_ERROR,
    chance_ps,
    found_share,
    is_past_lru,
)
from sim.sampled.draws import Drawn, drawn_time
from sim.sampled.extrapolate import LONG_TAIL


def kernel(hardware: str, batch: int, state: str = "warm") -> tuple[Problem, Coarse]:
    """2,048 tokens of 8 heads x 128 in 16 bits are 8 MiB of KV a sequence."""
    sets = (
        f"workload.batch={batch}",
        "workload.context=2048",
        f"workload.l2_state={state}",
        "workload.kernel=fa2",
    )
    hw, workload = load_hardware(hardware).spec, load_workload("decode_16x8k", sets).spec
    step = engine_step(workload, model_of(workload), 0, hw)
    task = Task(hw, workload, "gqa", step, all_profiles(workload))
    addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    return coarse_kernel(task, addresses, cut)


@pytest.mark.parametrize(
    ("hardware", "batch", "state", "past"),
    [
        ("l40s", 15, "warm", True),  # 120 MiB replayed past 96
        ("l40s", 15, "cold", False),
        ("l40s", 8, "warm", False),  # 64 MiB: all is found
        ("l40s", 20, "warm", False),  # 160 MiB: out of reach
        ("a100_sxm_80gb", 4, "warm", False),  # not LRU
    ],
)
def test_a_replay_past_an_lru_cache_is_up_to_chance(
    hardware: str, batch: int, state: str, past: bool
) -> None:
    assert is_past_lru(*kernel(hardware, batch, state)) is past


def test_the_share_found_counts_bytes() -> None:
    """All tiles are alike; a quarter of them found by halves: an eighth."""
    _, made = kernel("l40s", 8)
    hits = np.where(np.arange(made.grid.tiles) % 4 == 0, ONE // 2, 0)
    assert found_share(made.grid, hits) == pytest.approx(1 / 8, rel=0.01)


def test_what_cannot_be_told_adds_up_as_independent_errors() -> None:
    problem, made = kernel("l40s", 15)
    drawn = Drawn(drawn_time(problem, made).time, 1000.0)
    end = drawn.time.end_ps
    parts = [1000.0, UNSEEN_ERROR * 0.5 * end, PAST_LRU_ERROR * end]
    assert chance_ps(problem, made, drawn, 0.5) == pytest.approx(sum(part**2 for part in parts) ** 0.5)
    tail = (
        chance_ps(problem, made, drawn, 0.5, LONG_TAIL + 0.1) ** 2 - chance_ps(problem, made, drawn, 0.5) ** 2
    )
    assert tail**0.5 == pytest.approx(TAIL_ERROR * (LONG_TAIL + 0.1) * end)
    cold = replace(problem, memory=replace(problem.memory, warm=False))
    assert chance_ps(cold, made, drawn, 0.0) == pytest.approx(1000.0)
    assert chance_ps(cold, made, drawn, 0.0, LONG_TAIL) == pytest.approx(1000.0)
