"""A run of the harness with stand-in sections: limits, crashes, skips, the plan, without a GPU."""

import csv
import sys
import time
from pathlib import Path

import measure
import pytest
from gpu_harness.build import target_of
from gpu_harness.device import Device, query
from gpu_harness.runner import run_section
from gpu_harness.sections import SECTIONS, TOTAL_LIMIT_S, Section, chosen, limit_for, plan_table

LINE = (
    '{"measurement": "stream", "params": {"variant": "read"}, "value": 4000, "unit": "GB/s", "repeats": 1, '
)
LINE += '"min": 4000, "max": 4000, "check": "ok"}'
H200 = Device("NVIDIA H200", "580.1", 90, "13.0", "abc")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_plan_fits_into_eight_minutes_with_a_tenth_to_spare() -> None:
    from gpu_harness.sections import BUILD_ESTIMATE_S

    assert sum(section.estimate_s for section in SECTIONS) + BUILD_ESTIMATE_S <= 0.9 * TOTAL_LIMIT_S
    assert all(section.estimate_s < section.limit_s for section in SECTIONS)


def test_a_section_gets_what_is_left_of_the_total_and_none_starts_with_nothing_left() -> None:
    section = Section("x", "cuda", 10, 60, "")
    assert limit_for(section, elapsed_s=0, total_limit_s=480) == 60
    assert limit_for(section, elapsed_s=450, total_limit_s=480) == 30
    assert limit_for(section, elapsed_s=476, total_limit_s=480) == 0


def test_the_dry_run_prints_every_section_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main(["--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == plan_table(SECTIONS)
    assert all(section.name in printed for section in SECTIONS)


def test_a_section_that_does_not_exist_is_named_with_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert measure.main(["--dry-run", "--only", "chase,chess"]) == 2
    assert "no section called chess" in capsys.readouterr().err
    assert [section.name for section in chosen(["stream", "launch"])] == ["launch", "stream"]


@pytest.mark.skipif(query("name") is not None, reason="there is a GPU here: this would run it")
def test_without_a_gpu_the_run_refuses_before_it_writes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure.main(["--out", str(tmp_path / "out")]) == 2
    assert "no NVIDIA GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_rows_arrive_and_other_output_goes_to_the_log(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    outcome = run_section(python(f"print('hello'); print('{LINE}')"), 30, tmp_path / "log", rows.append)
    assert (outcome.rows, outcome.reason) == (1, "")
    assert rows[0]["value"] == 4000
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_hang_costs_its_limit_and_keeps_the_rows_before_it(tmp_path: Path) -> None:
    # the child of the section holds the pipe open, as a compiler's worker does
    code = f"print('{LINE}', flush=True); import subprocess; subprocess.run(['sleep', '60'])"
    began = time.monotonic()
    outcome = run_section(python(code), 2.0, tmp_path / "log", lambda row: None)
    assert time.monotonic() - began < 20
    assert outcome.rows == 1
    assert outcome.reason == "ended at its limit of 2 s after 1 rows"


def test_a_crash_is_reported_with_its_last_message(tmp_path: Path) -> None:
    code = "import sys; sys.exit('cudaMalloc: out of memory')"
    outcome = run_section(python(code), 30, tmp_path / "log", lambda row: None)
    assert outcome.reason == "exit code 1 after 0 rows: cudaMalloc: out of memory"


def test_a_run_writes_all_files_and_a_reason_for_what_did_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = measure.Measurement(H200, tmp_path, total_limit_s=60)
    (tmp_path / "build").mkdir()
    stand_in = tmp_path / "build" / "stream"
    stand_in.write_text(f"#!/bin/sh\necho '{LINE}'\necho '{LINE.replace('4000', '9000')}'\n")
    stand_in.chmod(0o755)
    run.run(chosen(["stream"])[0], {})
    run.run(chosen(["chase"])[0], {"chase": "no nvcc on this machine"})
    assert run.finish() == 0
    with (tmp_path / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["check"] for row in rows] == ["ok", "ok", "skipped"]
    assert rows[1]["flag"] == ""  # neither cold nor large: the L2 may deliver this
    assert rows[2]["note"] == "no nvcc on this machine"
    with (tmp_path / "memory.csv").open() as file:
        assert [row["value"] for row in csv.DictReader(file)] == ["4000", "9000"]
    assert (tmp_path / "plausibility.csv").is_file()
    assert "3 rows, 0 flagged, 0 failed checks" in capsys.readouterr().out


def test_hopper_is_built_with_its_own_instructions() -> None:
    assert target_of(90) == "arch=compute_90a,code=sm_90a"
    assert target_of(80) == "arch=compute_80,code=sm_80"
