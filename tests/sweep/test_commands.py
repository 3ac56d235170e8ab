"""sweep, compare and report as commands, at fidelity bound: the whole way without a simulation."""

import csv
import errno
import io
import json
import os
from pathlib import Path

import pytest

from sim.cli.main import main

SWEEP = """
name: tiny
hardware: h200_sxm
workload: decode_16x8k
axes:
  hw.hbm.peak_gb_s: [2400, 4800]
  workload.kv_format: [fp16, fp8_e4m3]
fidelity: bound
"""


def pagewalk(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))


@pytest.fixture
def sweep_file(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SWEEP)
    return path


def test_a_sweep_writes_its_table_and_a_report_draws_it(tmp_path, sweep_file, capfd):
    out = tmp_path / "out"
    assert pagewalk("sweep", str(sweep_file), "--jobs", "1", "--out", str(out)) == 0
    rows = table(out)
    assert [(r["hw.hbm.peak_gb_s"], r["workload.kv_format"]) for r in rows] == [
        ("2400", "fp16"),
        ("2400", "fp8_e4m3"),
        ("4800", "fp16"),
        ("4800", "fp8_e4m3"),
    ]
    times = [float(r["time_ns"]) for r in rows]
    assert times[0] == pytest.approx(2 * times[2])
    assert "4 points: 4 run, 0 kept from before, 0 failed" in capfd.readouterr().out

    assert pagewalk("report", str(out)) == 0
    assert "Yes: more HBM peak pays off in every combination." in capfd.readouterr().out
    assert "Yes: more HBM peak" in (out / "report.html").read_text()


def test_failed_points_end_with_1_and_keep_the_others(tmp_path, sweep_file, capfd):
    """A kernel for another kind of attention: known only when the point runs."""
    axes = "axes:\n  workload.kernel: [fa3, flashmla]\n  workload.context: [256, 512]\nfidelity: sampled\n"
    sweep_file.write_text(SWEEP.split("axes:")[0] + axes)
    out = tmp_path / "out"
    code = pagewalk("sweep", str(sweep_file), "--jobs", "1", "--out", str(out))
    captured = capfd.readouterr()
    assert code == 1, captured.err
    assert "failed: point 2 (h200_sxm, decode_16x8k, workload.kernel=flashmla, " in captured.err
    statuses = [row["status"] for row in table(out)]
    assert statuses == ["ok"] * 2 + ["failed"] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("peak_gb_s", "peak_gbs"), "peak_gb_s"),
        (("[2400, 4800]", "[-1, 4800]"), "tiny.yaml:6:22: hbm.peak_gb_s: found -1; allowed: "),
        (("[2400, 4800]", "[2400, -1]"), "tiny.yaml:6:28: hbm.peak_gb_s: found -1; allowed: "),
        (("h200_sxm", "h300"), "h300"),
    ],
)
def test_a_bad_sweep_ends_with_2_before_anything_is_written(tmp_path, sweep_file, capfd, change, message):
    sweep_file.write_text(SWEEP.replace(*change))
    assert pagewalk("sweep", str(sweep_file), "--out", str(tmp_path / "out")) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "out").exists()


def test_a_point_that_fails_names_the_line_to_blame(tmp_path, sweep_file, capfd):
    """What machine and workload make together is known in the worker only: an axis value, a line of a workload."""
    sweep_file.write_text(
        SWEEP.split("workload: ")[0]
        + """workload: decode_tiered
axes:
  workload.tier.name: [attic]
fidelity: sampled
"""
    )
    assert pagewalk("sweep", str(sweep_file), "--jobs", "1", "--out", str(tmp_path / "out")) == 1
    place = f"{tmp_path}/tiny.yaml:6:24: "
    assert f"attic): {place}tier.name: found 'attic'; allowed: a tier of h200_sxm" in capfd.readouterr().err
    machines = ("--hw", "h200_sxm", "--hw", "h200_tiered")
    assert pagewalk("compare", "decode_tiered", *machines, "--fidelity", "bound", "--jobs", "1") == 2
    assert "h200_sxm: workloads/decode_tiered.yaml:10:8: tier.name: found 'host'" in capfd.readouterr().err


def test_a_full_disk_ends_with_one_line(tmp_path, sweep_file, capfd, monkeypatch):
    """`write` and `fsync` name no file."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sim.sweep.store.os.fsync", full)
    out = tmp_path / "out"
    assert pagewalk("sweep", str(sweep_file), "--jobs", "1", "--out", str(out)) == 2
    assert capfd.readouterr().err == f"{out}/sweep.resolved.yaml: No space left on device\n"


def test_jobs_and_scheduler_exclude_each_other(sweep_file, capfd):
    assert pagewalk("sweep", str(sweep_file), "--jobs", "2", "--scheduler", "tcp://x:1") == 2
    assert "exclude each other" in capfd.readouterr().err


def test_compare_prints_one_json_object_with_the_inputs_that_differ(capfd):
    machines = ("--hw", "h100_sxm", "--hw", "h200_sxm")
    assert pagewalk("compare", "decode_16x8k", *machines, "--fidelity", "bound", "--jobs", "1", "--json") == 0
    data = json.loads(capfd.readouterr().out)
    assert data["schema"] == "pagewalk.compare/1"
    assert data["baseline"] == "h100_sxm"
    assert data["inputs_that_differ"]["hw.hbm.stacks"] == [5, 6]
    time = next(metric for metric in data["metrics"] if metric["name"] == "time")
    assert time["call"] == ["=", "better"]
    assert time["relative"][1] == pytest.approx(5 * 5.24 / (6 * 6.25))
    assert len(data["results"]) == 2


def test_compare_keeps_a_folder_that_report_reads(tmp_path, capfd):
    out = tmp_path / "cmp"
    machines = ("--hw", "h100_sxm", "--hw", "h200_sxm")
    arguments = (
        "compare",
        "decode_16x8k",
        *machines,
        "--fidelity",
        "bound",
        "--jobs",
        "1",
        "--out",
        str(out),
    )
    assert pagewalk(*arguments) == 0
    assert "input that differs" in capfd.readouterr().out
    assert pagewalk("report", str(out)) == 0
    page = (out / "report.html").read_text()
    assert "Side by side" in page
    assert "h200_sxm is faster than h100_sxm" in page


def test_compare_needs_two_machines(capfd):
    assert pagewalk("compare", "decode_16x8k", "--hw", "h100_sxm") == 2
    assert "at least two machines" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [("nowhere",), (".", "--out", "no/such/folder/x.html")])
def test_report_on_nothing_is_bad_input(tmp_path, monkeypatch, capfd, arguments):
    monkeypatch.chdir(tmp_path)
    assert pagewalk("report", *arguments) == 2
    assert "Traceback" not in capfd.readouterr().err
