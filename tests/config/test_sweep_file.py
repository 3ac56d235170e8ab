"""Sweep files: what they may say, and where a mistake is reported."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import pytest

from sim.config.axes import axis_loaders
from sim.config.micro import Micro
from sim.config.sweep import Sweep, load_sweep
from sim.errors import InputError
from sim.sweep.points import Plan, expand

Write = Callable[[str], None]
GOOD = """\
hardware: h200_sxm
workload: [decode_64x8k]
axes:
  sm.sram_kib: [228, 512]
  workload.kv_format: [fp16, {hot: fp16, cold: int4, hot_tokens: 64}]
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def put(text: str) -> None:
        (tmp_path / "s.yaml").write_text(text)

    return put


def problems() -> list[str]:
    with pytest.raises(InputError) as caught:
        load_sweep("s.yaml")
    return list(caught.value.problems)


def test_one_name_is_a_list_of_one_and_defaults_are_filled_in(write: Write) -> None:
    write(GOOD)
    resolved = load_sweep("s.yaml")
    spec = resolved.spec
    assert (spec.hardware, spec.workload) == (["h200_sxm"], ["decode_64x8k"])
    assert list(spec.axes) == ["sm.sram_kib", "workload.kv_format"]
    assert spec.axes["sm.sram_kib"] == [228, 512]
    assert (spec.fidelity, spec.seed, spec.objectives) == ("full", 0, {"time_ns": "min"})
    assert resolved.origin["axes.sm.sram_kib"] == "s.yaml:4:3"


def test_paths_are_relative_to_the_sweep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "mine.yaml").write_text("base: h100_sxm\n")
    (folder / "s.yaml").write_text(
        "hardware: [h100_sxm, ./mine.yaml]\nworkload: decode_64x8k\nbaseline: {hardware: ./mine.yaml}\n"
    )
    monkeypatch.chdir(tmp_path)
    spec = load_sweep("study/s.yaml").spec
    assert spec.hardware == ["h100_sxm", "study/mine.yaml"]
    assert spec.baseline == {"hardware": "study/mine.yaml"}


def test_objectives_and_constraints_name_metrics_of_the_result(write: Write) -> None:
    write(
        GOOD + "objectives: {time_ns: min, energy_j.total: min}\nconstraints: {area_mm2.total: {max: 900}}\n"
    )
    spec = load_sweep("s.yaml").spec
    assert spec.objectives == {"time_ns": "min", "energy_j.total": "min"}
    assert spec.constraints["area_mm2.total"].max == 900
    write(GOOD + "constraints: [area_mm2.total <= 900, tokens >= 1e3, tokens <= 5000]\n")
    limits = load_sweep("s.yaml").spec.constraints
    assert (limits["area_mm2.total"].max, limits["tokens"].min, limits["tokens"].max) == (900, 1000, 5000)
    write(GOOD + "objectives: [time_ns, tokens]\n")
    assert load_sweep("s.yaml").spec.objectives == {"time_ns": "min", "tokens": "min"}


def test_a_baseline_is_one_of_the_points(write: Write) -> None:
    write(GOOD + "baseline: {sm.sram_kib: 512, hardware: h200_sxm}\n")
    assert load_sweep("s.yaml").spec.baseline == {"sm.sram_kib": 512, "hardware": "h200_sxm"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axes: {sm.sram_kb: [1]}", "s.yaml:3:8: axes.sm.sram_kb: unknown key; allowed: count, "),
        ("axes: {workload.kv: [1]}", "s.yaml:3:8: axes.workload.kv: unknown key; allowed: name, "),
        ("axes: {base: [a]}", "s.yaml:3:8: axes.base: cannot be an axis; write config files instead"),
        (
            "axes: {sm.count: []}",
            "s.yaml:3:8: axes.sm.count: found []; allowed: a list, at least one of: any value",
        ),
        ("axes: {sm.count: 5}", "s.yaml:3:8: axes.sm.count: found 5; allowed: a list"),
        (
            "axes: {sm.count: [off]}",
            "s.yaml:3:19: axes.sm.count[0]: found off, which YAML 1.1 reads as false",
        ),
        ("fidelity: exact", 's.yaml:3:1: fidelity: found "exact"; allowed: one of full, sampled, bound'),
        ("axis: {}", "s.yaml:3:1: axis: unknown key; allowed: name, "),
        ("seed: -1", "s.yaml:3:1: seed: found -1; allowed: a whole number from 0 to"),
        (
            "objectives: [speed]",
            's.yaml:3:1: objectives.speed: found "speed"; allowed: a key of a result: time_ns, ',
        ),
        ("constraints: {speed: {max: 1}}", "s.yaml:3:15: constraints.speed: found "),
        (
            "constraints: {tokens: {}}",
            "s.yaml:3:15: constraints.tokens: found neither; allowed: min, max or both",
        ),
        (
            "baseline: {sm.count: 3}",
            "s.yaml:3:12: baseline.sm.count: unknown key; allowed: hardware, workload",
        ),
        (
            "axes: {sm.count: [1]}\nbaseline: {sm.count: 3}",
            "s.yaml:4:12: baseline.sm.count: found 3; allowed: ",
        ),
        (
            "constraints: [tokens = 3]",
            's.yaml:3:1: constraints: found ["tokens = 3"]; allowed: a mapping by name',
        ),
        ("constraints: 5", "s.yaml:3:1: constraints: found 5; allowed: a mapping by name"),
        ("constraints: [tokens <= x]", 'constraints.tokens.max: found "x"; allowed: a number'),
    ],
)
def test_a_mistake_is_reported_where_it_stands(write: Write, text: str, message: str) -> None:
    write("hardware: h100_sxm\nworkload: decode_64x8k\n" + text + "\n")
    assert message in problems()[0]


def test_unknown_machines_and_workloads_are_all_named(write: Write) -> None:
    write("hardware: [h100_sxn, h100_sxm]\nworkload: ./w.yaml\n")
    first, second = problems()
    assert first.startswith("s.yaml:1:12: hardware[0]: h100_sxn: no such hardware; shipped: ")
    assert first.endswith("did you mean h100_sxm?")
    assert second == "s.yaml:2:1: workload[0]: found w.yaml; no such file"


def test_a_name_given_twice_and_too_many_points_are_refused(write: Write) -> None:
    write("hardware: [h100_sxm, h100_sxm]\nworkload: decode_64x8k\n")
    assert problems() == ["s.yaml:1:22: hardware[1]: found h100_sxm twice; each name once"]
    axis = str(list(range(1, 401)))
    write(f"hardware: h100_sxm\nworkload: decode_64x8k\naxes: {{sm.count: {axis}, l2.slices: {axis}}}\n")
    assert problems() == ["s.yaml:3:1: axes: found 160000 points; allowed: at most 100000"]


def test_what_is_missing_is_named(write: Write) -> None:
    write("axes: {}\n")
    assert [line.split(";")[0] for line in problems()] == [
        "s.yaml:1:1: hardware: missing",
        "s.yaml:1:1: workload: missing",
    ]


def test_hardware_is_required_but_axes_are_not() -> None:
    assert Sweep.model_validate({"hardware": ["a"], "workload": "b"}).workload == ["b"]


def test_a_bad_axis_value_is_reported_at_its_line_of_the_sweep_file(write: Write) -> None:
    write(
        "hardware: h100_sxm\nworkload: decode_64x8k\naxes:\n"
        "  sm.sram_kib: [228,\n    -5]\n  workload.batch: [1, 0]\n"
    )
    load_hw, load_wl = axis_loaders(load_sweep("s.yaml"))
    assert load_hw("h100_sxm", ["sm.sram_kib=228"]).spec.sm.sram_kib == 228
    for load, name, setting, message in (
        (load_hw, "h100_sxm", "sm.sram_kib=-5", "s.yaml:5:5: sm.sram_kib: found -5; allowed: a whole number"),
        (load_wl, "decode_64x8k", "workload.batch=0", "s.yaml:6:23: batch: found 0; allowed: a whole number"),
    ):
        with pytest.raises(InputError) as caught:
            load(name, [setting])
        assert str(caught.value).startswith(message)


def test_keys_of_microbenchmarks_are_axes_and_a_kind_that_lacks_them_says_so(write: Write) -> None:
    write("hardware: h100_sxm\nworkload: micro_gather\naxes:\n  workload.run_bytes: [64, 100]\n")
    _, load = axis_loaders(load_sweep("s.yaml"))
    spec = load("micro_gather", ["workload.run_bytes=64"]).spec
    assert isinstance(spec, Micro)
    assert spec.run_bytes == 64
    for name, value, message in (
        ("micro_gather", 100, "s.yaml:4:28: run_bytes: found 100; allowed: a multiple of 8"),
        ("decode_64x8k", 64, "s.yaml:4:24: workload.run_bytes: unknown key; allowed: name, "),
    ):
        with pytest.raises(InputError) as caught:
            load(name, [f"workload.run_bytes={value}"])
        assert str(caught.value).startswith(message)


def test_a_whole_workload_is_no_axis(write: Write) -> None:
    write("hardware: h100_sxm\nworkload: micro_gather\naxes: {workload: [a]}\n")
    assert problems() == ["s.yaml:3:8: axes.workload: cannot be an axis; write config files instead"]


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml")), ids=str)
def test_every_point_of_a_shipped_sweep_resolves(path: Path) -> None:
    loaded = load_sweep(str(path))
    spec = loaded.spec
    axes = {key: tuple(values) for key, values in spec.axes.items()}
    plan = Plan(tuple(spec.hardware), tuple(spec.workload), axes, spec.fidelity, spec.seed)
    points = expand(plan, *axis_loaders(loaded), "version")
    sizes = [len(values) for values in (spec.hardware, spec.workload, *axes.values())]
    assert len(points) == prod(sizes)
