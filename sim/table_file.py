"""CSV files of truth sets: rows of text cells that know where they stand, for messages."""

import csv
import math
from collections.abc import Iterable, Iterator
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
    """Rows of a CSV file; a byte order mark and empty lines are ignored. Raises InputError, with lines, if it cannot be
    read, a required column is missing or any is named twice, or rows are not as wide as the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(line, cells) for line, cells in _lines(file, path) if cells]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path}:{_first_foreign_line(path)}: is not UTF-8 text; expected a CSV file in UTF-8"
        ) from None
    columns = lines[0][1] if lines else []
    _check_columns(columns, required, path)
    _check_widths(lines, path)
    if len(lines) < 2:
        raise InputError(f"{path}: no rows; expected a header and at least one row")
    # A column without a name is nobody's: spreadsheets write one for an index.
    return [
        Row({column: cell for column, cell in zip(columns, cells, strict=True) if column}, f"{path}:{line}")
        for line, cells in lines[1:]
    ]


def _first_foreign_line(path: Path) -> int:
    """The line, from 1, that is not UTF-8."""
    raw = path.read_bytes()
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return raw.count(b"\n", 0, error.start) + 1
    return 1


def _lines(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of cells with the line on which each begins: that is where a quote is not closed."""
    reader = csv.reader(file, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            hint = "is a quote not closed?"
            raise InputError(f"{path}:{first}: not a CSV file: {error} ({hint})") from None
        yield first, cells


def _check_columns(columns: list[str], required: tuple[str, ...], path: Path) -> None:
    missing = [c for c in required if c not in columns]
    if missing:
        raise InputError(f"{path}:1: columns: {', '.join(missing)} missing; found {', '.join(columns)[:200]}")
    twice = [c for c in dict.fromkeys(columns) if c and columns.count(c) > 1]
    if twice:
        raise InputError(f"{path}:1: columns: found {', '.join(twice)} more than once; allowed: once")


def _check_widths(lines: list[tuple[int, list[str]]], path: Path) -> None:
    problems = [
        f"{path}:{line}: found {len(cells)} cells; allowed: {len(lines[0][1])}, as in the header"
        for line, cells in lines
        if len(cells) != len(lines[0][1])
    ]
    if problems:
        raise InputError(*problems[:MOST_PROBLEMS])
