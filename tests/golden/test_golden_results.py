"""Results of the shipped machines stay the same to the last bit, or their drift is shown and accepted in git."""

from pathlib import Path

import golden_metrics
import pytest
from golden_metrics import (
    cases_of,
    difference,
    read_stored,
    run_golden,
    shipped_hardware,
    table,
    write_stored,
)


@pytest.mark.parametrize("hardware", shipped_hardware())
def test_results_of_a_shipped_machine_have_not_drifted(hardware: str) -> None:
    now = {name: run_golden(hardware, name) for name in cases_of(hardware)}
    rows = difference(read_stored().get(hardware, {}), now, hardware)
    if rows:
        pytest.fail(
            f"{table(rows)}\naccept with: python tests/golden/update_golden.py {hardware}", pytrace=False
        )


def test_the_stored_file_knows_exactly_the_shipped_machines_and_workloads() -> None:
    stored = read_stored()
    assert list(stored) == shipped_hardware()
    assert all(list(rows) == cases_of(hw) for hw, rows in stored.items())


def test_drift_is_shown_as_old_new_and_change() -> None:
    rows = difference(
        {"decode": {"time_ns": 200.0, "same": 1}}, {"decode": {"time_ns": 201.0, "same": 1}}, "chip"
    )
    assert rows == [("chip decode", "time_ns", "200", "201", "+0.500%")]
    assert table(rows).splitlines()[0] == "drift against our own earlier results, not error against silicon"


def test_a_difference_in_the_last_bit_is_drift() -> None:
    assert difference({"decode": {"time_ns": 0.3}}, {"decode": {"time_ns": 0.1 + 0.2}}, "chip")


def test_stored_numbers_come_back_to_the_last_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = {"chip": {"decode": {"time_ns": 0.1 + 0.2, "bytes.hbm_read": 2**53 + 1}}}
    monkeypatch.setattr(golden_metrics, "STORED", tmp_path / "golden.json")
    write_stored(golden)
    assert read_stored() == golden
