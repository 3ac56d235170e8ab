"""A split reduction that is launched early waits on its SMs for the first kernel."""

import pytest

from sim.attention_run import Task, estimate_ns, find_mapping
from sim.cli.job import all_profiles, engine_step, simulate
from sim.config.hardware import Hardware
from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.config.load import load_hardware, load_workload, model_of
from sim.launch_times import code_ps, following_ps
from sim.memory.addresses import build_address_map

SPLIT = (
    "workload.kernel=fa3",
    "workload.batch=1",
    "workload.mapping={tile_tokens: 128, stages: 2, splits: 4, ctas_per_sm: 1}",
)


def chip(dependent: str) -> Hardware:
    sets = ("hw.launch.graph_ns=1300", "hw.launch.cta_ns=100", f"hw.launch.dependent_ns={dependent}")
    return load_hardware("h100_sxm", sets).spec


@pytest.mark.parametrize(
    ("dependent", "at_once", "early", "expected"),
    [
        ("400", False, True, (400_000, 0)),
        ("400", False, False, (1_300_000, 100_000)),
        ("null", False, True, (1_300_000, 100_000)),
        ("2000", False, True, (1_300_000, 0)),
        ("400", True, False, (0, 0)),
    ],
)
def test_the_gap_before_a_launch_behind_another(
    dependent: str, at_once: bool, early: bool, expected: tuple[int, int]
) -> None:
    assert following_ps(chip(dependent), "graph", at_once=at_once, early=early) == expected


def test_an_early_launch_saves_its_gap_the_start_of_its_ctas_and_the_wait_for_its_code_at_both_grains() -> (
    None
):
    spec = load_workload("decode_1x8k", SPLIT).spec
    full = [simulate(chip(dependent), spec).time_ns for dependent in ("null", "400")]
    tile = []
    for dependent in ("null", "400"):
        hw = chip(dependent)
        step = engine_step(spec, model_of(spec), 0, hw)
        profiles = [p for p in all_profiles(spec) if p.name == "fa3"]
        task = Task(hw, spec, "gqa", step, profiles)
        addresses = build_address_map(step, spec.layout, spec.table_entry_bytes)
        tile.append(estimate_ns(task, addresses, find_mapping(task, addresses).candidate.cut))
    for before, after in (full, tile):
        code = code_ps(chip("null"), USUAL_CODE_TRIPS, 1.0) / 1000
        assert before - after == pytest.approx(1300 + 100 - 400 + code, abs=20)
