"""Long launches from their shortened forms."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sim.attention_run import Task, problem_of
from sim.cli.job import all_profiles, engine_step
from sim.coarse import columns as c
from sim.coarse.estimate import Problem, attention_grid_of, build_coarse, coarse_time
from sim.coarse.grid import Grid, port_ps
from sim.coarse.hits import Reuse, nothing_found
from sim.coarse.machine import Timing, run_grid
from sim.coarse.shortened import MOST_TILES, is_long, long_timing, shorten
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.candidates import candidates
from sim.lowering.units import Units, attention_units
from sim.memory.addresses import build_address_map


def problem(*sets: str) -> tuple[Problem, Units]:
    hw, workload = load_hardware("h100_sxm").spec, load_workload("decode_16x8k", sets).spec
    step = engine_step(workload, model_of(workload), 0, hw)
    profiles = [p for p in all_profiles(workload) if p.name == "fa3"]
    cut = candidates(step, profiles, None, hw, workload.table_entry_bytes)[0].cut
    addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
    made = problem_of(Task(hw, workload, "gqa", step, profiles), addresses, cut)
    return made, attention_units(step, cut)


LONG = ("workload.batch=48", "workload.context=16384")


def test_only_the_first_tile_of_a_cta_pays_for_the_query_at_its_port() -> None:
    """One more descriptor, and the bytes of the query: what a CTA lends to its kind is told apart."""
    made, units = problem("workload.batch=2", "workload.context=4096")
    grid = attention_grid_of(made, units)
    whole = port_ps(made.lower(units), made.hw)[: grid.tiles]
    assert (grid.classes[grid.tile_class, c.PORT] == whole).all()
    assert whole[0] > whole[1]


@pytest.fixture(scope="module")
def long_grid() -> tuple[Problem, Grid]:
    made, units = problem(*LONG)
    return made, attention_grid_of(made, units)


def test_a_form_keeps_the_first_tile_and_the_last_ones_of_each_cta(long_grid: tuple[Problem, Grid]) -> None:
    grid = long_grid[1]
    form = shorten(grid, 0.25)
    counts, kept = np.diff(grid.tile_ptr), np.diff(form.tile_ptr)
    assert (kept == np.rint(counts / 4)).all()
    assert (form.tile_class[form.tile_ptr[:-1]] == grid.tile_class[grid.tile_ptr[:-1]]).all()
    last = grid.tile_class[grid.tile_ptr[1:] - 1]
    assert (form.tile_class[form.tile_ptr[1:] - 1] == last).all()


def test_a_long_launch_takes_the_time_that_all_its_tiles_take(long_grid: tuple[Problem, Grid]) -> None:
    p, grid = long_grid
    assert grid.tiles > 2 * MOST_TILES
    run = partial(run_grid, formats=p.step.formats, hw=p.hw, memory=p.memory)
    found = long_timing(grid, run)
    whole = run(grid, nothing_found(grid.tiles))
    assert found is not None
    assert found.end == pytest.approx(whole.end, rel=0.01)
    assert found.memory_ps == pytest.approx(whole.memory_ps, rel=0.01)
    sm_ps = p.hw.sm.count * (whole.end - whole.start)
    assert found.idle / sm_ps == pytest.approx(whole.idle / sm_ps, abs=0.01)


def test_times_on_no_line_are_not_extrapolated(long_grid: tuple[Problem, Grid]) -> None:
    p, grid = long_grid

    def curved(form: Grid, reuse: Reuse) -> Timing:
        timing = run_grid(form, reuse, p.step.formats, p.hw, p.memory)
        return replace(timing, end=timing.end + form.tiles**2)

    assert long_timing(grid, curved) is None


def test_launches_that_find_something_in_l2_are_never_shortened() -> None:
    for extra, expected in ((), True), (("workload.shared_prefix=8192",), False):
        made, units = problem(*LONG, *extra)
        kernel = build_coarse(made, units, attention_grid_of(made, units))
        assert is_long(kernel.grid, kernel.reuse, made.step.formats) is expected


def test_short_launches_run_all_their_tiles() -> None:
    made, units = problem("workload.batch=4")
    kernel = build_coarse(made, units, attention_grid_of(made, units))
    assert not is_long(kernel.grid, kernel.reuse, made.step.formats)
    assert len(coarse_time(made, kernel).attention.consumed) == kernel.grid.tiles
