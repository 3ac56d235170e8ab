"""The tidy table: one row a measurement, the same columns for all, written and flushed row by row.

A section prints JSON lines; `tidy` turns one into a row. A parameter without a column is an error, not
a silent loss.
"""

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import Self

DEVICE_COLUMNS = (
    "device",
    "driver",
    "cuda",
    "date",
    "git",
    "sm_clock_mhz",
    "mem_clock_mhz",
    "clocks_locked",
)
PARAMETERS = (
    "variant",
    "method",
    "kernel",
    "l2_state",
    "launch",
    "footprint_bytes",
    "stride_bytes",
    "run_bytes",
    "inflight_bytes_per_sm",
    "ctas_per_sm",
    "threads",
    "passes",
    "hops",
    "sm",
    "batch",
    "q_heads",
    "kv_heads",
    "head_dim",
    "q_len",
    "context",
    "page_size",
    "kv_dtype",
    "causal",
    "splits",
    "m",
    "n",
    "k",
)
RESULT_COLUMNS = ("value", "unit", "repeats", "min", "max", "spread", "check", "flag", "note")
COLUMNS = (*DEVICE_COLUMNS, "section", "measurement", *PARAMETERS, *RESULT_COLUMNS)

Cell = str | int | float | bool
Record = dict[str, Cell]


class MalformedRow(ValueError):
    """A section printed a line that is no row."""


def parse_line(line: str) -> dict[str, object]:
    """A section's line as an object with `measurement`, `params` and `check`; MalformedRow otherwise."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise MalformedRow(f"not JSON: {line[:80]!r}") from error
    if not isinstance(found, dict) or not {"measurement", "params", "check"} <= found.keys():
        raise MalformedRow(f"no measurement, params and check in {line[:80]!r}")
    unknown = found["params"].keys() - set(PARAMETERS)
    if unknown:
        raise MalformedRow(f"parameters without a column: {', '.join(sorted(unknown))}")
    return found


def tidy(section: str, found: dict[str, object], device: Record) -> Record:
    """One row. `spread` is (max - min) / median of the repeats."""
    row: Record = {**device, "section": section, "measurement": str(found["measurement"])}
    params = found["params"]
    assert isinstance(params, dict)
    row.update(params)
    for key in ("value", "unit", "repeats", "min", "max", "check", "note"):
        if key in found:
            row[key] = found[key]  # type: ignore[assignment]  # JSON scalars, as the sections print them
    if found.get("sm_clock_mhz"):
        row["sm_clock_mhz"] = float(
            str(found["sm_clock_mhz"])
        )  # read in a kernel: better than the driver's sample
    if "value" in row and float(row["value"]) != 0.0:
        row["spread"] = round((float(row["max"]) - float(row["min"])) / float(row["value"]), 5)
    return row


def skipped(section: str, measurement: str, reason: str, device: Record) -> Record:
    """The row of something that was not measured."""
    return {**device, "section": section, "measurement": measurement, "check": "skipped", "note": reason}


class CsvSink:
    """A CSV file whose rows are on disk as soon as they are written."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns, restval="", lineterminator="\n")
        self._writer.writeheader()
        self._file.flush()

    def write(self, row: Record) -> None:
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()
