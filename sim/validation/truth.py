"""Measured attention kernels: one measurement a row, empty cells where the source does not say.

Units: `value` is in the row's `unit`; shapes are counts per GPU. For MLA rows kv_heads is 1 and head_dim 576.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import InputError
from sim.table_file import MOST_PROBLEMS, Row, read_rows

TEXTS = ("id", "source", "gpu", "kernel", "phase", "kv_dtype", "metric", "unit", "notes")
COUNTS = ("batch", "q_heads", "kv_heads", "head_dim", "q_len", "context", "page_size")
COLUMNS = (
    *("id", "source", "source_address", "gpu", "kernel", "phase", "batch", "q_heads", "kv_heads", "head_dim"),
    *("q_len", "context", "page_size", "kv_dtype", "causal", "metric", "value", "unit", "notes"),
)
CAUSAL = {"": None, "true": True, "false": False}
LARGEST_COUNT = 2**40
"""Products of a few such counts, in floating point, are still numbers."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One measurement. None: the source does not state it."""

    id: str
    source: str
    gpu: str
    kernel: str
    phase: str
    kv_dtype: str
    metric: str
    unit: str
    notes: str
    batch: int | None
    q_heads: int | None
    kv_heads: int | None
    head_dim: int | None
    q_len: int | None
    context: int | None
    page_size: int | None
    causal: bool | None
    value: float


def read_truth(path: Path) -> list[TruthRow]:
    """All rows in file order. Raises InputError with file, line and column of every bad cell (at most 20); a number
    that cannot be true is no bad cell: whoever uses the row says so."""
    rows: list[TruthRow] = []
    problems: list[str] = []
    first: dict[str, str] = {}
    for row in read_rows(path, COLUMNS):
        try:
            rows.append(_row(row))
        except InputError as error:
            problems += error.problems
            continue
        name = rows[-1].id
        if name in first:
            problems.append(f"{row.where}: id: found {name[:80]!r} again, first at {first[name]}")
        first.setdefault(name, row.where)
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
    return rows


def _row(row: Row) -> TruthRow:
    problems: list[str] = []
    counts: dict[str, int | None] = {}
    for key in COUNTS:
        try:
            counts[key] = _count(row, key)
        except InputError as error:
            problems += error.problems
    try:
        value = row.number("value")
    except InputError as error:
        problems += error.problems
    for key in ("id", "metric"):
        if not row.text(key).strip():
            problems.append(f"{row.where}: {key}: found nothing; allowed: a text")
    causal = row.text("causal").strip().lower()
    if causal not in CAUSAL:
        problems.append(f"{row.where}: causal: found {causal[:80]!r}; allowed: true, false or nothing")
    if problems:
        raise InputError(*problems)
    cells: dict[str, Any] = {key: row.text(key).strip() for key in TEXTS} | counts
    return TruthRow(**cells, causal=CAUSAL[causal], value=value)


def _count(row: Row, key: str) -> int | None:
    if not row.has(key):
        return None
    return row.integer(key)
