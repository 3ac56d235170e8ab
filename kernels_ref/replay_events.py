"""A schedule of events as the functional replay takes it: columns checked, rows in order of time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError
from kernels_ref.event_columns import COLUMNS, EventKind


def _absent() -> NDArray[np.int32]:
    return np.empty(0, np.int32)


@dataclass(frozen=True)
class Schedule:
    """Events in rows; equal times are ordered by row. Without `q_first`, `q_count`: all query rows."""

    time_ps: NDArray[np.int64]
    kind: NDArray[np.int8]
    cta: NDArray[np.int32]
    tile: NDArray[np.int32]
    seq: NDArray[np.int32]
    kv_head: NDArray[np.int32]
    split: NDArray[np.int32]
    page_first: NDArray[np.int32]
    page_count: NDArray[np.int32]
    token_first: NDArray[np.int32]
    token_count: NDArray[np.int32]
    frame: NDArray[np.int64]
    q_first: NDArray[np.int32] = field(default_factory=_absent)
    q_count: NDArray[np.int32] = field(default_factory=_absent)

    def __post_init__(self) -> None:
        rows = len(self.time_ps)
        for name, absent in (("q_first", 0), ("q_count", -1)):
            if len(getattr(self, name)) == 0 and rows:
                object.__setattr__(self, name, np.full(rows, absent, np.int32))
        for name in COLUMNS:
            if len(getattr(self, name)) != rows:
                raise InputError(
                    f"schedule: column {name} has {len(getattr(self, name))} rows; allowed: {rows}"
                )
        kinds = self.kind.tolist()
        if kinds and not (min(kinds) >= 0 and max(kinds) <= max(EventKind)):
            raise InputError(
                f"schedule: kinds {min(kinds)} to {max(kinds)}; allowed: 0 to {int(max(EventKind))}"
            )

    @classmethod
    def from_rows(cls, rows: list[dict[str, int]]) -> "Schedule":
        """From dictionaries; columns that a row leaves out are -1, except q_first 0."""
        columns: dict[str, NDArray[Any]] = {}
        for name in COLUMNS:
            wide = np.int64 if name in ("time_ps", "frame") else np.int8 if name == "kind" else np.int32
            columns[name] = np.array([row.get(name, 0 if name == "q_first" else -1) for row in rows], wide)
        return cls(**columns)

    def ordered(self) -> list[tuple[int, ...]]:
        """Rows as tuples in the order of COLUMNS, sorted by time; tokens appended in a row are one event."""
        order = np.argsort(self.time_ps, kind="stable")
        columns = {name: getattr(self, name)[order] for name in COLUMNS}
        heads = ~_continues(columns)
        first = np.flatnonzero(heads)
        run = np.diff(np.append(first, len(order)))
        columns["token_count"][first[run > 1]] = run[run > 1]
        return list(zip(*(columns[name][first].tolist() for name in COLUMNS), strict=True))


def _continues(columns: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Rows that append the next single token of the same sequence to the same frame at the same time."""
    found = np.zeros(len(columns["kind"]), dtype=bool)
    single = (
        (columns["kind"] == EventKind.APPEND) & (columns["tile"] < 0) & (np.abs(columns["token_count"]) == 1)
    )
    found[1:] = single[1:] & single[:-1] & (np.diff(columns["token_first"]) == 1)
    for name in ("time_ps", "seq", "frame"):
        found[1:] &= np.diff(columns[name]) == 0
    return found
