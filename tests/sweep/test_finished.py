"""Values of finished steps outlive the process; those of another key do not count, nor does half a file."""

from pathlib import Path

from sim.sweep.finished import Finished

STEP, VALUE = "round 1, fa2", {"prologue_clk": 0.1}


def test_a_step_is_found_again() -> None:
    assert Finished(None).get(STEP) is None
    kept = Finished(None)
    kept.put(STEP, VALUE)
    assert kept.get(STEP) == VALUE


def test_steps_of_another_key_do_not_count_and_stay(tmp_path: Path) -> None:
    Finished(tmp_path, "a").put(STEP, VALUE)
    assert len(Finished(tmp_path, "b")) == 0
    Finished(tmp_path, "b").put(STEP, {"prologue_clk": 0.2})
    assert Finished(tmp_path, "a").get(STEP) == VALUE


def test_half_a_file_is_no_step(tmp_path: Path) -> None:
    Finished(tmp_path, "a").put(STEP, VALUE)
    (path,) = (tmp_path / "points").iterdir()
    path.write_text(path.read_text()[:30])
    assert len(Finished(tmp_path, "a")) == 0
