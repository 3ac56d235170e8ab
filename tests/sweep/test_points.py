"""A sweep file becomes points in a defined order, each with a hash of what decides its result."""

import pytest
from sweep_fakes import load_hardware, load_workload

from sim.config.load import load_any_workload
from sim.config.load import load_hardware as load_machine
from sim.errors import InputError
from sim.sweep.points import Job, Plan, expand, named_files, point_hash


def points(plan: Plan, version: str = "1"):
    return expand(plan, load_hardware, load_workload, version)


def test_the_last_axis_runs_fastest_and_hardware_slowest():
    plan = Plan(("a", "b"), ("w",), {"hw.x": (1, 2), "workload.y": (3, 4)})
    seen = [(p.hardware, p.axes["hw.x"], p.axes["workload.y"]) for p in points(plan)]
    assert seen == [(h, x, y) for h in "ab" for x in (1, 2) for y in (3, 4)]
    assert [p.index for p in points(plan)] == list(range(8))


def test_an_axis_of_the_workload_reaches_the_workload_and_a_bare_path_the_hardware():
    point = points(Plan(("a",), ("w",), {"sm.count": (7,), "workload.batch": (9,)}))[0]
    assert point.job.hardware.sm_count == "7"
    assert point.job.workload.workload_batch == "9"


def test_the_hash_is_stable_and_moves_with_every_input():
    base = Plan(("a",), ("w",), {"hw.x": (1,)})
    same = points(base)[0].hash
    assert points(base)[0].hash == same
    others = [
        points(Plan(("a",), ("w",), {"hw.x": (2,)})),
        points(Plan(("b",), ("w",), {"hw.x": (1,)})),
        points(Plan(("a",), ("w",), {"hw.x": (1,)}, fidelity="bound")),
        points(Plan(("a",), ("w",), {"hw.x": (1,)}, seed=1)),
        points(base, version="2"),
    ]
    assert same not in {p[0].hash for p in others}


def test_every_bad_value_is_reported_before_anything_runs():
    with pytest.raises(InputError) as error:
        points(Plan(("a", "b"), ("w",), {"hw.bad": (1,)}))
    assert error.value.problems == ("a: hw.bad: unknown key", "b: hw.bad: unknown key")


def test_two_points_with_equal_inputs_are_refused_by_name():
    with pytest.raises(InputError, match=r"points 1 and 2 resolve to the same inputs .*hw.x=1"):
        points(Plan(("a",), ("w",), {"hw.x": (1, 1)}))


def test_an_endless_sweep_is_refused_with_its_size():
    with pytest.raises(InputError, match="1000000 points; at most 100000"):
        points(Plan(("a",), ("w",), {"hw.x": tuple(range(1000)), "hw.y": tuple(range(1000))}))


def test_an_axis_without_values_is_refused():
    with pytest.raises(InputError, match=r"axes: hw\.x: no values"):
        points(Plan(("a",), ("w",), {"hw.x": ()}))


def test_the_hash_moves_with_what_a_named_file_says_and_inherits(tmp_path):
    """A folder that is resumed must not keep what another runtime, or another base of a kernel, gave."""
    runtime, base, kernel = (tmp_path / f"{name}.yaml" for name in ("runtime", "base", "kernel"))
    runtime.write_text("base: vllm\n")
    base.write_text("base: fa3\nprologue_clk: 10\n")
    kernel.write_text("base: base.yaml\n")

    machine = load_machine("h100_sxm").spec

    def digest(*sets: str) -> str:
        workload = load_any_workload("step_llama3_8b", sets)
        return point_hash(Job(machine, workload.spec, named_files(workload.spec), "full", 0), "1")

    sets = (f"workload.runtime={runtime}", f"workload.kernel={kernel}")
    seen = [digest(*sets)]
    kernel.write_text("base: base.yaml   # the same\n")
    assert digest(*sets) == seen[0]
    runtime.write_text("base: vllm\nk_step: 128\n")
    seen.append(digest(*sets))
    base.write_text("base: fa3\nprologue_clk: 20\n")
    seen.append(digest(*sets))
    assert len(set(seen)) == 3
