"""What the cells of a table may hold, as data: a range a column, and rules between the cells of a row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sim.errors import InputError
from sim.table_file import Row

Kind = Literal["a number", "a whole number", "a power of two"]


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both allowed. An optional cell may be empty, and its column may be missing."""

    low: float
    high: float
    kind: Kind = "a whole number"
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.kind} from {_plain(self.low)} to {_plain(self.high)}"

    def holds(self, value: float) -> bool:
        if not self.low <= value <= self.high:
            return False
        if self.kind == "a number":
            return True
        return value == int(value) and (self.kind == "a whole number" or int(value).bit_count() == 1)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the cell of `column` must be beside the other cells; `allowed` may name them, as in {tRC}."""

    column: str
    holds: Callable[[Row], bool]
    allowed: str


def range_problems(row: Row, ranges: Mapping[str, Range]) -> list[str]:
    """A message for every cell of `row` that is no number of its range."""
    return [
        row.problem(key, str(allowed))
        for key, allowed in ranges.items()
        if not (allowed.optional and not row.has(key)) and not _within(row, key, allowed)
    ]


def choice_problems(row: Row, choices: Mapping[str, Iterable[str]]) -> list[str]:
    """A message for every text cell of `row` that is none of its choices."""
    return [
        row.problem(key, ", ".join(allowed))
        for key, allowed in choices.items()
        if row.cells.get(key, "") not in allowed
    ]


def rule_problems(row: Row, rules: Iterable[Rule]) -> list[str]:
    """A message for every rule that `row` breaks. Its cells must be within their ranges."""
    return [
        row.problem(rule.column, rule.allowed.format_map(row.cells)) for rule in rules if not rule.holds(row)
    ]


def _within(row: Row, key: str, allowed: Range) -> bool:
    try:
        return allowed.holds(row.number(key))
    except InputError:
        return False


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
