"""Long launches of alike groups of CTAs from their first ones."""

from dataclasses import replace
from functools import cache

import pytest

from sim.attention_run import Task, coarse_kernel
from sim.cli.job import all_profiles, engine_step
from sim.coarse import columns as c
from sim.coarse.estimate import Coarse, Problem, coarse_time
from sim.coarse.grid import Grid
from sim.coarse.hits import Reuse, held
from sim.coarse.machine import Timing, run_grid, scalars
from sim.coarse.repeated import Form, first_ctas, form_of, groups_of, period_of, repeated_timing
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.candidates import candidates
from sim.memory.addresses import build_address_map

SMALL = ("hw.sm.count=8", "hw.l2.capacity_mib=4", "hw.l2.bandwidth_gb_s=600")
LONG = ("workload.kernel=fa3_prefill", "workload.batch=4", "workload.context=1024", "workload.q_len=1024")


@cache
def kernel(*sets: str) -> tuple[Problem, Coarse]:
    every = (*SMALL, *LONG, *sets)
    hw, workload = load_hardware("h100_sxm", every).spec, load_workload("prefill_4k", every).spec
    step = engine_step(workload, model_of(workload), 0, hw)
    profiles = [p for p in all_profiles(workload) if p.name == "fa3_prefill"]
    profiles = [p.model_copy(update={"block_order": "head_longest"}) for p in profiles]
    cut = candidates(step, profiles, None, hw, workload.table_entry_bytes)[0].cut
    addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
    return coarse_kernel(Task(hw, workload, "gqa", step, profiles), addresses, cut)


def found(made: Problem, coarse: Coarse) -> Form | None:
    return groups_of(coarse.grid, coarse.reuse, held(made.hw), made.hw.sm.count)


def test_a_form_has_as_many_groups_as_its_start_its_halves_and_its_end_need() -> None:
    # 100 slots: 600 CTAs before, halves of 375 at least, 450 after
    assert form_of(50, 100) == Form(50, 37, 600, 8)
    assert form_of(1000, 100) == Form(1000, 4, 600, 1)
    assert form_of(4000, 100) == Form(4000, 3, 600, 1)


def test_prompts_of_one_length_repeat_after_the_query_blocks_of_a_head() -> None:
    # 64 query heads on 8: a block of 128 rows is 16 tokens, 64 blocks of 1024 tokens; 8 heads x 4 prompts.
    made, coarse = kernel()
    assert coarse.grid.ctas == 64 * 8 * 4
    assert period_of(coarse.grid, coarse.reuse.objects) == 64
    # 8 SMs: 48 CTAs before the steady part, two halves of one group each, 36 after
    assert found(made, coarse) == Form(period=64, groups=4, first=48, half=1)


def test_the_first_groups_tell_the_time_of_all() -> None:
    made, coarse = kernel()

    def run(grid: Grid, reuse: Reuse) -> Timing:
        return run_grid(grid, reuse, made.step.formats, made.hw, made.memory)

    form = found(made, coarse)
    assert form is not None
    short = repeated_timing(coarse.grid, coarse.reuse, form, run)
    whole = run(coarse.grid, coarse.reuse)
    assert short is not None
    assert short.end == pytest.approx(whole.end, rel=0.01)
    assert coarse_time(made, coarse).attention.end == pytest.approx(whole.end, rel=0.02)
    assert len(short.hits) == coarse.grid.tiles
    assert len(short.query_hits) == coarse.grid.ctas
    assert short.hits.mean() == pytest.approx(whole.hits.mean(), rel=0.02)


def test_an_unsteady_pace_is_not_extrapolated() -> None:
    made, coarse = kernel()

    def slowing(grid: Grid, reuse: Reuse) -> Timing:
        timing = run_grid(grid, reuse, made.step.formats, made.hw, made.memory)
        return replace(timing, consumed=timing.consumed**2 // timing.end)

    form = found(made, coarse)
    assert form is not None
    assert repeated_timing(coarse.grid, coarse.reuse, form, slowing) is None


@pytest.mark.parametrize(
    "sets",
    [
        ("workload.context={uniform: [600, 1024]}", "workload.q_len=600"),
        ("workload.shared_prefix=512", "workload.q_len=512"),
    ],
    ids=["unequal prompts", "KV that all share"],
)
def test_groups_that_differ_or_share_kv_are_run_whole(sets: tuple[str, ...]) -> None:
    made, coarse = kernel(*sets)
    assert found(made, coarse) is None


def test_a_replay_that_fits_l2_is_run_whole() -> None:
    # KV of 4 x 1024 tokens is 17 MB.
    small, large = (
        kernel("workload.l2_state=warm", f"hw.l2.capacity_mib={mib}", "hw.l2.far_copies=false")
        for mib in (8, 40)
    )
    assert found(*small) == form_of(64, 8)
    assert found(*large) is None


def test_a_short_launch_is_run_whole() -> None:
    made, coarse = kernel("workload.batch=1")
    assert coarse.grid.ctas < 1.5 * 18 * 8 * 8
    assert groups_of(coarse.grid, coarse.reuse, held(made.hw), 8 * 8) is None


def test_a_part_has_the_first_ctas_and_nothing_in_its_cache() -> None:
    coarse = kernel()[1]
    grid, reuse = first_ctas(coarse.grid, coarse.reuse, 100)
    assert grid.ctas == 100
    assert grid.tiles == coarse.grid.tile_ptr[100] == len(reuse.objects)
    assert reuse.cache is not None
    assert (reuse.cache.tags < 0).all()


def test_segments_of_a_large_launch_stay_well_below_what_may_be_in_flight() -> None:
    """17 GB in 400,000 segments would be 43 KB each, of which one fits under a cap of 48 KiB."""
    inflight = "hw.sm.max_inflight_kib=48"
    made, coarse = kernel("workload.context=16384", "workload.q_len=16384", inflight)
    assert coarse.grid.tile_bytes.sum() > 400_000 * 40_000
    p = scalars(coarse.grid, made.step.formats, made.hw, made.memory, 0)
    assert p[c.SEGMENT] == 8192 == 48 * 1024 / 6
