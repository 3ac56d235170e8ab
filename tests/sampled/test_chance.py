"""What a sample cannot tell: when it counts, and how much."""

import numpy as np
import pytest

from sim.attention_run import Task, coarse_kernel, find_mapping
from sim.cli.job import all_profiles, engine_step, run_named
from sim.coarse.estimate import Coarse, Problem
from sim.coarse.shares import ONE
from sim.config.load import load_hardware, load_workload, model_of
from sim.memory.addresses import build_address_map
from sim.sampled.chance import TAIL_ERROR, UNSEEN_ERROR, chance_ps, found_share
from sim.sampled.draws import Drawn, drawn_time
from sim.sampled.extrapolate import LONG_TAIL
from sim.sampled.plan import is_past_lru


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
    drawn = Drawn(drawn_time(*kernel("l40s", 8)).time, 1000.0)
    end = drawn.time.end_ps
    both = (1000.0**2 + (UNSEEN_ERROR * 0.5 * end) ** 2) ** 0.5
    assert chance_ps(drawn, 0.5) == pytest.approx(both)
    tail = chance_ps(drawn, 0.5, LONG_TAIL + 0.1) ** 2 - chance_ps(drawn, 0.5) ** 2
    assert tail**0.5 == pytest.approx(TAIL_ERROR * (LONG_TAIL + 0.1) * end)
    assert chance_ps(drawn, 0.0) == pytest.approx(1000.0)
    assert chance_ps(drawn, 0.0, LONG_TAIL) == pytest.approx(1000.0)


def test_a_replay_past_an_lru_cache_is_simulated_whole() -> None:
    """28K tokens on pages of one token, 1.14 times what the L2 of an L40S holds: more work than two samples."""
    keys = ("batch=1", "context=28096", "page_tokens=1", "l2_state=warm", "kernel=flashinfer")
    sets = tuple(f"workload.{key}" for key in keys)
    result = run_named("decode_16x8k", "l40s", sets, fidelity="sampled", seed=0, what_if=False, verify=False)
    assert result.sampling is not None
    assert result.sampling["share"] == 1.0
