"""Pairs of rows that differ in one thing: what is paired, and what the ratios amount to."""

from pathlib import Path
from typing import Any

import pytest

from sim.validation.attention import map_rows
from sim.validation.errors import Prediction
from sim.validation.names import shipped_names
from sim.validation.output import CHANGE_COLUMNS, write_changes
from sim.validation.trends import changes, setting, trend, trends
from sim.validation.truth import read_truth
from tests.validation.truth_files import write_truth


def predicted(tmp_path: Path, *rows: tuple[dict[str, Any], float]) -> list[Prediction]:
    """Rows of a hand-made file with the time that was predicted for each, in us."""
    cases, skipped = map_rows(
        read_truth(write_truth(tmp_path / "t.csv", *(row for row, _ in rows))), shipped_names()
    )
    assert not skipped
    return [Prediction(case, time, time - 1, 1.0, 1.0) for case, (_, time) in zip(cases, rows, strict=True)]


def test_numbers_are_compared_with_their_neighbours(tmp_path: Path) -> None:
    rows = [({"batch": batch, "value": 40.0 * batch}, 30.0 * batch) for batch in (16, 1, 4)]
    found = changes(predicted(tmp_path, *rows))
    assert [(c.kind, c.before, c.after) for c in found] == [("batch", 1, 4), ("batch", 4, 16)]
    assert all(c.measured == pytest.approx(4) == c.predicted for c in found)


def test_names_are_compared_each_with_each(tmp_path: Path) -> None:
    rows = [({"kv_dtype": kv, "value": value}, value) for kv, value in (("fp8", 70.0), ("bf16", 100.0))]
    (change,) = changes(predicted(tmp_path, *rows))
    assert (change.kind, change.before, change.after) == ("kv", "16bit", "fp8")
    assert change.measured == pytest.approx(0.7)


def test_rows_that_differ_in_two_things_or_in_their_source_are_no_pair(tmp_path: Path) -> None:
    rows = [
        ({"batch": 4, "page_size": 16}, 30.0),
        ({"batch": 8, "page_size": 64, "value": 60.0}, 60.0),
        ({"batch": 8, "page_size": 16, "value": 60.0, "source": "another"}, 60.0),
        ({"batch": 8, "page_size": 16, "value": 60.0, "notes": "cold"}, 60.0),
    ]
    assert changes(predicted(tmp_path, *rows)) == []


def test_machines_and_kernels_are_compared_over_all_sources(tmp_path: Path) -> None:
    rows = [
        ({"value": 30.0}, 30.0),
        ({"value": 24.0, "gpu": "H200", "source": "another"}, 20.0),
        ({"value": 45.0, "kernel": "vLLM FlashInfer", "source": "a third"}, 40.0),
    ]
    found = changes(predicted(tmp_path, *rows))
    assert [(c.kind, c.before, c.after) for c in found] == [
        ("kernel", "vLLM FlashAttention-3", "vLLM FlashInfer"),
        ("gpu", "H100-SXM5-80GB", "H200"),
    ]


def test_new_tokens_of_a_whole_prefill_follow_the_context(tmp_path: Path) -> None:
    rows = [
        ({"phase": "prefill", "causal": "true", "q_len": n, "context": n, "value": 200.0 * n}, 200.0 * n)
        for n in (1024, 2048)
    ]
    assert [(c.kind, c.before, c.after) for c in changes(predicted(tmp_path, *rows))] == [
        ("context", 1024, 2048)
    ]


def test_of_repeats_the_first_counts(tmp_path: Path) -> None:
    rows = [({"value": 30.0}, 30.0), ({"value": 33.0}, 30.0), ({"batch": 8, "value": 60.0}, 60.0)]
    (change,) = changes(predicted(tmp_path, *rows))
    assert change.measured == pytest.approx(2)


def test_a_trend_has_medians_the_mean_error_of_ratios_and_the_share_of_the_same_direction(
    tmp_path: Path,
) -> None:
    """Measured x2, x1.02 and x0.5; predicted x1.8, x0.9 and x1.1. The second cannot be told from noise."""
    pairs = [(2.0, 1.8), (1.02, 0.9), (0.5, 1.1)]
    rows = []
    for source, (measured, guess) in enumerate(pairs):
        rows += [
            ({"source": f"s{source}", "page_size": 16, "value": 100.0}, 100.0),
            ({"source": f"s{source}", "page_size": 64, "value": 100.0 * measured}, 100.0 * guess),
        ]
    found = changes(predicted(tmp_path, *rows))
    got = trend(found)
    assert (got.n, got.told, got.same_way) == (3, 2, 0.5)
    assert (got.measured, got.predicted) == (pytest.approx(1.02), pytest.approx(1.1))
    assert got.mape == pytest.approx((0.1 + 0.12 / 1.02 + 1.2) / 3)
    by_pair = trends(found)["page_tokens"]
    assert list(by_pair) == ["all", "16 to 64", "16 to 64, H100-SXM5-80GB / vLLM FlashAttention-3"]
    assert len({*by_pair.values()}) == 1


def test_nothing_told_says_no_direction(tmp_path: Path) -> None:
    rows = [({"page_size": 16, "value": 100.0}, 100.0), ({"page_size": 64, "value": 101.0}, 90.0)]
    assert trend(changes(predicted(tmp_path, *rows))).same_way is None


def test_the_table_has_all_that_the_pair_shares(tmp_path: Path) -> None:
    rows = [({"page_size": 16, "value": 100.0}, 100.0), ({"page_size": 64, "value": 125.0}, 110.0)]
    found = changes(predicted(tmp_path, *rows))
    assert CHANGE_COLUMNS[8:] == setting(found[0].rows[0])._fields
    write_changes(found, tmp_path / "trends.csv")
    header, line = (tmp_path / "trends.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert (cells["page_tokens"], cells["batch"]) == ("", "4")
    assert [cells[key] for key in ("id_before", "id_after", "before", "after")] == [
        "r001",
        "r002",
        "16",
        "64",
    ]
    assert (cells["measured_ratio"], cells["predicted_ratio"], cells["relative_error"]) == (
        "1.25",
        "1.1",
        "-0.12",
    )
