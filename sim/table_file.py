"""CSV files of truth sets: rows of text cells that know where they stand, for messages."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from sim.errors import InputError

MOST_PROBLEMS = 20
"""Bad cells that one error lists; more of them scroll the first away."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its text cells, and where it stands (for messages)."""

    cells: dict[str, str]
    where: str

    def text(self, key: str) -> str:
        return self.cells[key]

    def problem(self, key: str, allowed: str, shown: int = 80) -> str:
        """The message that refuses a cell, with `shown` characters of it."""
        return f"{self.where}: {key}: found {self.cells.get(key, '')[:shown]!r}; allowed: {allowed}"

    def number(self, key: str) -> float:
        """Raises InputError unless the cell is a finite number."""
        try:
            value = float(self.cells[key])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(self.problem(key, "a number"))
        return value

    def integer(self, key: str) -> int:
        value = self.number(key)
        if value != int(value):
            raise InputError(f"{self.where}: {key}: found {value}; allowed: a whole number")
        return int(value)

    def has(self, key: str) -> bool:
        return self.cells.get(key, "") != ""


def read_rows(path: Path, required: tuple[str, ...]) -> list[Row]:
    """Rows of a CSV file. Raises InputError if it cannot be read or a required column is missing."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            missing = [c for c in required if c not in columns]
            if missing:
                raise InputError(
                    f"{path}:1: columns: {', '.join(missing)} missing; found {', '.join(columns)[:200]}"
                )
            rows = [
                Row({k: v or "" for k, v in cells.items() if k}, f"{path}:{reader.line_num}")
                for cells in reader
            ]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file: {error}") from None
    if not rows:
        raise InputError(f"{path}: no rows; expected a header and at least one row")
    return rows
