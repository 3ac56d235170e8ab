"""Microbenchmarks through the commands: screen, JSON, run folder, report, sweep, comparison."""

import csv
import json
from pathlib import Path

import pytest

from sim.cli.main import exit_code_of, pagewalk

CHIP = """\
base: h100_sxm
name: chip
sm: {count: 4}
l2: {capacity_mib: 2, slices: 8}
hbm: {stacks: 1, capacity_gib: 4}
"""
SMALL = "workload.footprint_mib=0.5"
SWEEP = """\
hardware: chip.yaml
workload: micro_gather
axes:
  workload.run_bytes: [64, 1024]
objectives: {counters.micro_gb_s: max}
"""


@pytest.fixture(autouse=True)
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chip.yaml").write_text(CHIP)
    monkeypatch.chdir(tmp_path)


def test_a_run_folder_has_the_result_and_its_report_says_what_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        exit_code_of(pagewalk, ["run", "micro_chase", "--hw", "chip.yaml", "--out", "r", "--set", SMALL]) == 0
    )
    screen = capsys.readouterr().out
    result = json.loads(Path("r/result.json").read_text())
    latency = f"{result['counters']['micro_latency_ns']:.4g} ns"
    assert ["load", *latency.split()] in [line.split() for line in screen.splitlines()]
    assert result["workload"]["benchmark"] == "chase"
    assert result["mapping"]["kernel"] == "microbenchmark chase"
    assert exit_code_of(pagewalk, ["report", "r"]) == 0
    page = Path("r/report.html").read_text()
    assert f">{latency}<" in page
    assert ">microbenchmark chase<" in page


def test_a_trace_of_a_microbenchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(pagewalk, ["trace", "micro_chase", "--out", "t.npz"]) == 2
    assert "found a microbenchmark; allowed here: kernel, step" in capsys.readouterr().err


def test_a_sweep_has_what_was_measured_in_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(SWEEP)
    assert exit_code_of(pagewalk, ["sweep", "s.yaml", "--jobs", "1", "--out", "o"]) == 0
    with Path("o/results.csv").open() as file:
        short, long = csv.DictReader(file)
    assert float(short["counters.micro_gb_s"]) < float(long["counters.micro_gb_s"])
    assert exit_code_of(pagewalk, ["report", "o"]) == 0
    assert ">measured<" in Path("o/report.html").read_text()
    capsys.readouterr()


def test_a_report_states_no_error_of_kernels_for_microbenchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(SWEEP)
    assert exit_code_of(pagewalk, ["sweep", "s.yaml", "--jobs", "1", "--out", "o"]) == 0
    assert exit_code_of(pagewalk, ["report", "o"]) == 0
    page = Path("o/report.html").read_text()
    assert "Known error of the model" not in page
    assert "decode" not in page[page.index("How far to trust") :][:600]
    assert "no error of the model is stated for microbenchmarks" in page
    assert "known error" not in capsys.readouterr().out
    assert exit_code_of(pagewalk, ["report", "o", "--model-error", "0.1"]) == 0
    assert (
        "Known error of the model: ±10%, from the value given as --model-error"
        in Path("o/report.html").read_text()
    )


def test_a_sampled_sweep_of_a_microbenchmark_is_refused_before_any_point(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("s.yaml").write_text(SWEEP + "fidelity: sampled\n")
    assert exit_code_of(pagewalk, ["sweep", "s.yaml", "--jobs", "1", "--out", "o"]) == 2
    error = capsys.readouterr().err
    assert error.count("fidelity") == error.count("microbenchmark") == 1
    assert (
        "fidelity: found sampled for micro_gather, a microbenchmark, which is simulated whole; allowed: full, bound"
        in error
    )
    assert not Path("o").exists()


def test_a_comparison_names_the_measured_bandwidth(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "micro_inflight", "--hw", "chip.yaml", "--hw", "l4", "--jobs", "1", "--json"]
    assert exit_code_of(pagewalk, [*arguments, "--set", "workload.inflight_kib=4"]) == 0
    data = json.loads(capsys.readouterr().out)
    (row,) = [metric for metric in data["metrics"] if metric["name"] == "measured bandwidth"]
    assert row["values"] == [result["counters"]["micro_gb_s"] for result in data["results"]]
