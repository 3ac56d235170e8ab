"""Sweeps finish, fail, die and go on: the same table whatever happened on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_fakes import load_hardware, load_workload, simulate

from sim.errors import InputError
from sim.sweep.points import Plan, expand
from sim.sweep.progress import PlainProgress
from sim.sweep.store import Store
from sim.sweep.sweep import Outcome, Request, run_sweep

SCRIPT = Path(__file__).with_name("sweep_script.py")


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "log.txt"
    path.touch()
    monkeypatch.setenv("FAKE_LOG", str(path))
    return path


def sweep(folder: Path, values: tuple[int, ...], jobs: int = 1, restart: bool = False) -> Outcome:
    plan = Plan(("hw",), ("wl",), {"hw.x": values})
    points = expand(plan, load_hardware, load_workload, "0")
    return run_sweep("sweep", "fake", plan, points, {}, simulate, Request(folder, jobs=jobs, restart=restart))


def start_script(folder: Path, jobs: int, count: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"FAKE_SLEEP": "0.15"}
    command = [sys.executable, str(SCRIPT), str(folder), str(jobs), str(count)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)


def wait_for_points(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("points/[!.]*.json"))) < count:
        assert time.monotonic() < deadline, "the sweep stored nothing"
        time.sleep(0.02)


def living_members(group: int) -> list[str]:
    """Processes of a group that still run; the dead that nobody has waited for do not count."""
    stats = [p.read_text() for p in Path("/proc").glob("[0-9]*/stat") if p.exists()]
    fields = [(text.split(" ")[0], text.rsplit(")", 1)[1].split()) for text in stats]
    return [pid for pid, rest in fields if int(rest[2]) == group and rest[0] != "Z"]


def wait_until_gone(group: int) -> None:
    deadline = time.monotonic() + 10
    while living_members(group):
        assert time.monotonic() < deadline, "workers outlive the sweep"
        time.sleep(0.05)


def test_one_and_two_processes_write_the_same_bytes(tmp_path, log):
    sweep(tmp_path / "one", (1, 2, 3, 4), jobs=1)
    sweep(tmp_path / "two", (1, 2, 3, 4), jobs=2)
    assert (tmp_path / "one/results.csv").read_bytes() == (tmp_path / "two/results.csv").read_bytes()


def test_a_second_start_runs_nothing_and_restart_runs_all(tmp_path, log):
    assert sweep(tmp_path / "s", (1, 2)) == Outcome(2, 0, 2, ())
    assert sweep(tmp_path / "s", (1, 2)) == Outcome(2, 2, 0, ())
    assert log.read_text().splitlines() == ["1", "2"]
    assert sweep(tmp_path / "s", (1, 2), restart=True).ran == 2
    assert len(log.read_text().splitlines()) == 4


def test_a_longer_axis_runs_only_the_new_points(tmp_path, log):
    sweep(tmp_path / "s", (1, 2))
    assert sweep(tmp_path / "s", (0, 1, 2)).ran == 1
    assert log.read_text().splitlines() == ["1", "2", "0"]


def test_a_failed_point_is_recorded_and_the_others_run(tmp_path, log):
    outcome = sweep(tmp_path / "s", (1, 13, 2))
    assert [(p.axes["hw.x"], why) for p, why in outcome.failures] == [(13, "SRAM too small: 13 KiB < 16 KiB")]
    lines = (tmp_path / "s/results.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["status", "ok", "failed", "ok"]


def test_a_failed_point_is_tried_again_by_the_next_start(tmp_path, log):
    sweep(tmp_path / "s", (13,))
    assert sweep(tmp_path / "s", (13,)).ran == 1


def test_a_point_that_kills_its_worker_fails_alone(tmp_path, log):
    outcome = sweep(tmp_path / "s", (1, 66, 2, 3), jobs=2)
    assert [p.axes["hw.x"] for p, _ in outcome.failures] == [66]
    assert "ended without an answer" in outcome.failures[0][1]


def test_a_sweep_killed_with_sigkill_resumes_to_the_same_bytes_and_repeats_no_finished_point(tmp_path, log):
    killed = start_script(tmp_path / "killed", jobs=2, count=8)
    wait_for_points(tmp_path / "killed", 3)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    time.sleep(1.0)
    log.write_text("")
    stored = {path.stem for path in (tmp_path / "killed/points").glob("[!.]*.json")}
    assert 3 <= len(stored) < 8

    plan = Plan(("hw",), ("wl",), {"hw.x": tuple(range(100, 108))})
    points = expand(plan, load_hardware, load_workload, "0")
    finished = {str(p.axes["hw.x"]) for p in points if p.hash in stored}
    outcome = sweep(tmp_path / "killed", tuple(range(100, 108)), jobs=2)
    again = log.read_text().splitlines()
    assert outcome == Outcome(8, len(stored), 8 - len(stored), ())
    assert len(again) == len(set(again)) == outcome.ran
    assert not finished & set(again)

    sweep(tmp_path / "whole", tuple(range(100, 108)))
    assert (tmp_path / "killed/results.csv").read_bytes() == (tmp_path / "whole/results.csv").read_bytes()


def test_ctrl_c_ends_at_once_with_130_and_leaves_no_worker(tmp_path, log):
    running = start_script(tmp_path / "s", jobs=2, count=50)
    wait_for_points(tmp_path / "s", 1)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=10)
    assert running.returncode == 130
    assert len(list((tmp_path / "s").glob("points/[!.]*.json"))) < 25
    wait_until_gone(running.pid)


def test_workers_of_a_killed_sweep_end_by_themselves(tmp_path, log):
    killed = start_script(tmp_path / "s", jobs=2, count=50)
    wait_for_points(tmp_path / "s", 1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    wait_until_gone(killed.pid)


def test_a_folder_in_use_is_refused(tmp_path, log):
    store = Store(tmp_path / "s")
    store.create()
    with store.locked(), pytest.raises(InputError, match="another sweep is writing"):
        sweep(tmp_path / "s", (1,))


def test_a_file_in_the_way_is_bad_input(tmp_path, log):
    (tmp_path / "s").write_text("x")
    with pytest.raises(InputError, match="cannot be a sweep folder"):
        sweep(tmp_path / "s", (1,))


def test_the_cluster_without_dask_says_what_to_install(tmp_path, log, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    plan = Plan(("hw",), ("wl",), {"hw.x": (1,)})
    points = expand(plan, load_hardware, load_workload, "0")
    with pytest.raises(InputError, match=r"pagewalk\[cluster\]"):
        run_sweep("sweep", "f", plan, points, {}, simulate, Request(tmp_path / "s", scheduler="tcp://x:1"))


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]"])
def test_a_point_whose_file_holds_no_result_runs_again(text: str, tmp_path: Path, log: Path) -> None:
    sweep(tmp_path, (1, 2))
    table = (tmp_path / "results.csv").read_text()
    next(tmp_path.glob("points/*.json")).write_text(text)
    assert sweep(tmp_path, (1, 2)).ran == 1
    assert (tmp_path / "results.csv").read_text() == table


def test_progress_counts_what_was_there_before_and_reckons_without_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = PlainProgress(12, what="compare", kept=5)
    progress.started -= 8
    progress.advance(ok=True)
    progress.close()
    # One point took eight seconds and six are left.
    assert capsys.readouterr().err == "compare: 6/12 points, 0 failed, 8 s, about 48 s left\n"
