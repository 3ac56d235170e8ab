"""Rows of the measurement harness: tidy, on disk at once, readable as published measurements are."""

import csv
import json
from pathlib import Path

import pytest
from gpu_harness.outputs import TRUTH_COLUMNS, gpu_name, truth_row
from gpu_harness.rows import COLUMNS, CsvSink, MalformedRow, Record, parse_line, skipped, tidy

DEVICE: Record = {
    "device": "NVIDIA H200",
    "driver": "580",
    "cuda": "13.0",
    "git": "abc",
    "date": "2026-11-20T10:00:00Z",
}
DECODE = {
    "measurement": "decode_attention",
    "params": {
        "kernel": "own Triton paged decode",
        "batch": 16,
        "q_heads": 64,
        "kv_heads": 8,
        "head_dim": 128,
        "q_len": 1,
        "context": 8192,
        "page_size": 16,
        "kv_dtype": "bf16",
        "splits": 5,
        "l2_state": "cold",
        "launch": "graph",
    },
    "value": 150.0,
    "unit": "us",
    "repeats": 11,
    "min": 147.0,
    "max": 153.0,
    "check": "ok",
}


def test_a_line_becomes_a_row_with_the_spread_of_its_repeats() -> None:
    row = tidy("decode", parse_line(json.dumps(DECODE)), DEVICE)
    assert row["context"] == 8192
    assert row["spread"] == pytest.approx(6 / 150, abs=1e-5)
    assert row.keys() <= set(COLUMNS)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ('{"value": 1}', "no measurement"),
        ('{"measurement": "m", "params": {"colour": 1}, "check": "ok"}', "without a column: colour"),
    ],
)
def test_a_line_that_would_lose_something_is_refused(line: str, reason: str) -> None:
    with pytest.raises(MalformedRow, match=reason):
        parse_line(line)


def test_the_clock_read_in_a_kernel_replaces_the_drivers_sample() -> None:
    row = tidy("sram", {**DECODE, "sm_clock_mhz": 1975.5}, {**DEVICE, "sm_clock_mhz": "345"})
    assert row["sm_clock_mhz"] == 1975.5


def test_a_row_is_on_disk_before_the_next_is_measured(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "m.csv", COLUMNS)
    sink.write(tidy("decode", parse_line(json.dumps(DECODE)), DEVICE))
    with (tmp_path / "m.csv").open() as file:
        found = list(csv.DictReader(file))
    sink.close()
    assert [row["value"] for row in found] == ["150.0"]
    assert tuple(found[0]) == COLUMNS


def test_attention_rows_have_the_columns_of_the_published_measurements(shared: Path) -> None:
    with (shared / "validation" / "attention" / "measured.csv").open() as file:
        assert tuple(next(csv.reader(file))) == TRUTH_COLUMNS


def test_a_decode_row_keeps_its_shape_and_says_how_warm_the_cache_was() -> None:
    row = truth_row(tidy("decode", parse_line(json.dumps(DECODE)), DEVICE), 7)
    assert row is not None
    assert row.keys() <= set(TRUTH_COLUMNS)
    assert (row["id"], row["gpu"], row["phase"]) == ("own-h200-0007", "H200", "decode")
    assert (row["batch"], row["context"], row["page_size"], row["kv_dtype"]) == (16, 8192, 16, "bf16")
    assert (row["metric"], row["value"], row["unit"]) == ("latency", 150.0, "us")
    assert "cold: L2 flushed" in str(row["notes"])
    assert "5 splits" in str(row["notes"])


def test_memory_rows_carry_their_parameters_in_the_notes() -> None:
    found = {
        **DECODE,
        "measurement": "gather",
        "unit": "GB/s",
        "params": {"method": "bulk", "run_bytes": 4096},
    }
    row = truth_row(tidy("gather", found, DEVICE), 1)
    assert row is not None
    assert (row["kernel"], row["phase"], row["metric"]) == ("gather bulk", "memory", "bandwidth")
    assert "run_bytes=4096" in str(row["notes"])


def test_unchecked_rows_stay_out_of_the_truth_files() -> None:
    assert truth_row(tidy("decode", {**DECODE, "check": "failed"}, DEVICE), 1) is None
    assert truth_row(skipped("decode", "decode", "no Triton here", DEVICE), 1) is None


def test_gpu_names_are_those_of_the_published_tables() -> None:
    assert gpu_name("NVIDIA H200") == "H200"
    assert gpu_name("NVIDIA H100 80GB HBM3") == "H100-SXM5-80GB"
