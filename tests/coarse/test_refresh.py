"""Tiles at tile grain whose last block waits for a refresh, against the mean of what is drawn and against the plane."""

import math

import numpy as np
import pytest

from sim.attention_run import Task, estimate_ns, find_mapping, run_attention
from sim.cli.job import all_profiles, engine_step
from sim.coarse.path import refresh_wait
from sim.config.load import load_hardware, load_workload, model_of
from sim.memory.addresses import build_address_map

REFRESH = 200_000


def waits(met: float, sending: int) -> np.ndarray:
    drawn = (np.arange(20_000) + 0.5) / 20_000
    return np.array([refresh_wait.py_func(met, REFRESH, sending, chance) for chance in drawn])


@pytest.mark.parametrize("met", [0.1, 1.0, 6.0])
def test_of_blocks_asked_for_at_once_the_latest_wait_counts(met: float) -> None:
    """The integral of 1 - exp(-met (1 - y / R)) over y from 0 to R is R (1 - (1 - exp(-met)) / met)."""
    expected = REFRESH * (1 - (1 - math.exp(-met)) / met)
    assert waits(met, 0).mean() == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(("met", "sending"), [(3.0, 50_000), (3.0, 200_000), (8.0, 600_000)])
def test_blocks_asked_for_early_wait_behind_later_ones(met: float, sending: int) -> None:
    """Against Poisson-many blocks, each with its own instant and its own rest of a refresh."""
    rng = np.random.default_rng(1)
    latest = []
    for count in rng.poisson(met, 20_000):
        ahead, rest = rng.uniform(0, sending, count), rng.uniform(0, REFRESH, count)
        latest.append(max(0.0, (rest - ahead).max(initial=0.0)))
    assert waits(met, sending).mean() == pytest.approx(np.mean(latest), rel=0.03)


def test_no_wait_exceeds_a_refresh() -> None:
    assert waits(50.0, 0).max() < REFRESH
    assert waits(0.01, 0).min() == 0


@pytest.mark.parametrize(("refresh", "off"), [("none", 0.03), ("per_bank", 0.05)])
def test_lone_ctas_are_held_up_by_refreshes_at_both_grains(refresh: str, off: float) -> None:
    """Eight CTAs with three tiles of 32 KiB under way: memory is mostly idle, and one tile in its turn waits for the
    last of 64 blocks. Without the wait for refreshes the tile grain would be a tenth too fast."""
    sets = (
        f"hw.hbm.refresh={refresh}",
        "workload.kernel=trtllm_gen_fp8",
        "workload.kv_format=fp8_e4m3",
        "workload.batch=1",
        "workload.context=4096",
        "workload.mapping={splits: 1}",
    )
    hw, workload = load_hardware("b200", sets).spec, load_workload("decode_16x8k", sets).spec
    task = Task(hw, workload, "gqa", engine_step(workload, model_of(workload), 0, hw), all_profiles(workload))
    addresses = build_address_map(task.step, task.workload.layout, task.workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    assert estimate_ns(task, addresses, cut) == pytest.approx(
        run_attention(task).outcome.time_ps / 1000, rel=off
    )
