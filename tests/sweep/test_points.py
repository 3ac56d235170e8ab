"""A sweep file becomes points in a defined order, each with a hash of what decides its result."""

import pytest
from sweep_fakes import load_hardware, load_workload

from sim.errors import InputError
from sim.sweep.points import Plan, expand


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
