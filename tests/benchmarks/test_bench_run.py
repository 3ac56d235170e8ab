"""The pieces of the run benchmark work on a tiny workload; their numbers are for benchmarks/bench_run.py to show."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sim.cli.job import run_named


@pytest.fixture(scope="module")
def bench(repo: Path) -> ModuleType:
    """The script as a module; it lies outside the packages."""
    spec = importlib.util.spec_from_file_location("bench_run", repo / "benchmarks" / "bench_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_run"] = module
    spec.loader.exec_module(module)
    return module


TINY = ("workload.batch=2", "workload.context=512", "workload.kernel=register_decode")


def test_a_run_in_a_fresh_process_gives_time_memory_and_its_mapping(bench: ModuleType) -> None:
    run = bench.run_once(bench.Job(sets=TINY))
    assert run.seconds > 0
    assert 50 < run.rss_mb < 500
    assert run.mapping["kernel"] == "register_decode"
    assert 0 < run.plane_ns_per_line * 2048 * 512 * 2 / 64 < run.seconds * 1e9


def test_the_mapping_that_a_search_found_can_be_fixed_and_gives_the_same_time(bench: ModuleType) -> None:
    options = {"fidelity": "full", "seed": 0, "what_if": False, "verify": False}
    found = run_named(bench.WORKLOAD, bench.HARDWARE, TINY, **options)  # type: ignore[arg-type]
    fixed = (*TINY, *bench.fixed_mapping(found.mapping))
    again = run_named(bench.WORKLOAD, bench.HARDWARE, fixed, **options)  # type: ignore[arg-type]
    assert again.mapping["candidates_considered"] == 1 < found.mapping["candidates_considered"]
    assert again.time_ns == found.time_ns


def test_help_is_the_help_of_the_command_and_not_nothing(
    bench: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(bench.command_line("--help"), check=True)
    assert "pagewalk" in capfd.readouterr().out
    assert bench.wall_s(bench.command_line("--help")) > 0


def test_the_table_shows_targets_beside_what_was_seen_and_marks_misses(bench: ModuleType) -> None:
    rows = [bench.Row("quick", 4.0, 3.5, "s"), bench.Row("slow", 0.3, 0.4, "s")]
    head, quick, slow = bench.as_table(rows).splitlines()
    assert head.split() == ["target", "seen"]
    assert quick.split() == ["quick", "4", "s", "3.50", "s"]
    assert slow.split() == ["slow", "0.3", "s", "0.40", "s", "missed"]
