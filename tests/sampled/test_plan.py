"""How much of a launch a sample simulates, by what its detail costs."""

import numpy as np
import pytest

from sim.attention_run import Task, find_mapping, problem_of
from sim.cli.job import all_profiles, engine_step
from sim.coarse.estimate import attention_grid_of
from sim.coarse.grid import Grid
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.attention_tiles import tile_counts
from sim.lowering.cut import Cut
from sim.lowering.units import Units, attention_units
from sim.memory.addresses import build_address_map
from sim.sampled.plan import (
    ALONE_US,
    BUDGET_US,
    CHECK_US,
    CHUNK_US,
    COPY_US,
    LEAST_TILES,
    SHARED_US,
    WHOLE,
    Cost,
    detail_cost,
    plan_sample,
)


def launch(hardware: str, kernel: str, batch: int, context: int) -> tuple[Hardware, Cut, Units, Grid]:
    sets = (f"workload.batch={batch}", f"workload.context={context}", f"workload.kernel={kernel}")
    hw, workload = load_hardware(hardware).spec, load_workload("decode_16x8k", sets).spec
    step = engine_step(workload, model_of(workload), 0, hw)
    task = Task(hw, workload, "gqa", step, all_profiles(workload))
    addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
    cut = find_mapping(task, addresses).candidate.cut
    units = attention_units(step, cut)
    return hw, cut, units, attention_grid_of(problem_of(task, addresses, cut), units)


@pytest.mark.parametrize(
    ("hardware", "kernel", "further", "turns"),
    [
        ("rtx4090", "fa2", 0.0, ALONE_US),
        ("h100_sxm", "fa3", COPY_US, ALONE_US),  # one stream alone on an SM, of an L2 with copies
        ("h100_sxm", "flashinfer", COPY_US, SHARED_US),  # two CTAs an SM
        ("b200", "trtllm_gen", COPY_US, SHARED_US),  # two streams
        ("l40s", "fa2", CHECK_US, ALONE_US),  # inline ECC
    ],
)
def test_a_tile_costs_its_turns_and_its_requests(
    hardware: str, kernel: str, further: float, turns: tuple[float, float]
) -> None:
    """Pieces of 512 bytes: as many requests as its bytes have of them, where runs are longer."""
    hw, _, _, grid = launch(hardware, kernel, 8, 2048)
    cost = detail_cost(grid, hw)
    assert hw.hbm.interleave_bytes == 512
    requests = float(grid.sample.work.packed_bytes.mean()) / 512
    assert cost.tile == pytest.approx(turns[0] + requests * (CHUNK_US + further))
    assert cost.cta == turns[1]


def test_ctas_take_their_part_of_the_budget() -> None:
    """100 CTAs of 500 us leave 130 ms: 1300 tiles of 100 us."""
    cost = Cost(tile=100.0, cta=500.0)
    assert cost.of(100, 1300) == BUDGET_US
    assert cost.tiles(100) == 1300
    assert cost.tiles(1000) == 0


def test_a_launch_runs_whole_up_to_a_cost_and_in_part_beyond() -> None:
    """What is left of a larger one costs a sample's budget, give or take a tile for each CTA; every place has one."""
    hw, cut, units, grid = launch("h100_sxm", "fa3", 4, 2048)
    assert detail_cost(grid, hw).of(grid.ctas, grid.tiles) < WHOLE * BUDGET_US
    assert plan_sample(units, grid, cut, hw) is None
    hw, cut, units, grid = launch("h100_sxm", "fa3", 32, 8192)
    cost = detail_cost(grid, hw)
    assert cost.of(grid.ctas, grid.tiles) > WHOLE * BUDGET_US
    part = plan_sample(units, grid, cut, hw)
    assert part is not None
    counts = tile_counts(part, cut)
    assert hw.sm.count * cut.ctas_per_sm <= len(counts)
    assert counts.max() >= LEAST_TILES
    assert cost.of(len(counts), int(counts.sum())) == pytest.approx(BUDGET_US, abs=len(counts) * cost.tile)
    assert (part.hi == units.hi[: len(counts)]).all()
    assert np.array_equal(part.sequence, units.sequence[: len(counts)])
