"""Values of finished steps outlive the process; those of another key do not count, nor does half a file."""

from pathlib import Path

import pytest

from sim.sweep.finished import Finished

STEP, VALUE, OTHER = "round 1, fa2", {"prologue_clk": 0.1}, {"prologue_clk": 0.2}


def again() -> dict[str, float]:
    pytest.fail("computed twice")


def test_a_step_is_found_again() -> None:
    kept = Finished(None)
    assert len(kept) == 0
    assert kept.once(STEP, lambda: VALUE) == VALUE
    assert kept.once(STEP, again) == VALUE


def test_steps_of_another_key_do_not_count_and_stay(tmp_path: Path) -> None:
    Finished(tmp_path, "a").once(STEP, lambda: VALUE)
    assert len(Finished(tmp_path, "b")) == 0
    assert Finished(tmp_path, "b").once(STEP, lambda: OTHER) == OTHER
    assert Finished(tmp_path, "a").once(STEP, again) == VALUE


def test_half_a_file_is_no_step(tmp_path: Path) -> None:
    Finished(tmp_path, "a").once(STEP, lambda: VALUE)
    (path,) = (tmp_path / "points").iterdir()
    path.write_text(path.read_text()[:30])
    assert len(Finished(tmp_path, "a")) == 0
