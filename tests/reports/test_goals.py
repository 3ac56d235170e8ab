"""Objectives, constraints and the baseline of a sweep file decide what the report compares."""

from dataclasses import replace

import pytest
import yaml
from synthetic import SRAM, make_result, write_demo

from reports.conclusion import conclude
from reports.goals import broken, front, metric, table_of
from reports.model_error import ModelError
from reports.study import load


def test_the_front_keeps_what_no_other_point_beats():
    points = [(1.0, 4.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.0), (2.0, 2.0)]
    assert front(points) == [True, True, False, True, True]


def test_a_metric_is_read_by_path_and_total_sums_a_group():
    result = replace(make_result(228, "fp16", False, 1.0), energy_j={"hbm": 1.0, "l2": 2.0})
    assert metric(result, "energy_j.hbm") == 1.0
    assert metric(result, "energy_j.total") == 3.0
    assert metric(replace(result, area_mm2={"sram_added": 9.0}), "area_mm2.total") is None
    assert metric(result, "time_ns") == result.time_ns
    assert metric(result, "energy_j.nothing") is None


def test_a_broken_constraint_names_the_metric_its_value_and_the_limit():
    result = make_result(228, "fp16", False, 1.0)
    assert broken(result, {"speed_of_light": {"min": 0.1, "max": 1.0}}) == []
    assert broken(result, {"tokens": {"max": 10}}) == ["tokens is 64 (max 10)"]
    assert broken(result, {"kv.nothing": {"min": 1}}) == ["kv.nothing is - (min 1)"]


def demo_with(tmp_path, facts):
    folder = write_demo(tmp_path / "demo", lambda sram, fmt, assist: 0.8 ** SRAM.index(sram))
    path = folder / "sweep.resolved.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | facts, sort_keys=False))
    return load(folder)


def test_points_that_break_a_constraint_are_counted_and_left_out(tmp_path):
    """At most 700 MB read keeps INT4 alone (636 MB): 8 of 24 points, of which the fastest remains."""
    facts = {"objectives": {"time_ns": "min"}, "constraints": {"bytes.hbm_read": {"max": 700_000_000}}}
    text = table_of(demo_with(tmp_path, facts))
    assert "16 break a constraint" in text
    assert "SRAM per SM 2 MiB, INT4" in text
    assert "FP16" not in text


def test_one_objective_without_constraints_needs_no_table(tmp_path):
    assert table_of(demo_with(tmp_path, {"objectives": {"time_ns": "min"}})) == ""


def test_the_baseline_of_the_sweep_is_what_gains_are_measured_from(tmp_path):
    """0.8 per step: from 1 MiB to 2 MiB is 1/0.8 - 1, and INT4 becomes the base of the formats."""
    facts = {"baseline": {"hw.sm.sram_kib": 1024, "workload.kv_format": "int4"}}
    found = conclude(demo_with(tmp_path, facts), ModelError(0.05, "a test"))
    assert {line.whole.low for line in found.lines} == {1024}
    assert found.lines[0].whole.gain == pytest.approx(0.25)
    formats = [e.value for e in found.effects if e.axis.path == "workload.kv_format"]
    assert formats == ["fp16", "fp8_e4m3"]
