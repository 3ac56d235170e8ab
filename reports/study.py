"""A folder of results as one table: rows with their axis values, and the axes that really vary.

Reads three kinds of folders: a sweep, a comparison (same shape), one result (`run --out`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim.result import Result

MANIFEST = "sweep.resolved.yaml"
SCHEMA = "pagewalk.sweep/1"


class ReportError(ValueError):
    """The folder cannot be reported on; the message says what was looked for."""


@dataclass(frozen=True)
class Axis:
    """One varied key path with its values, in the order of the sweep file."""

    path: str
    values: tuple[Any, ...]
    baseline: Any = None
    """The value to compare with; none: the first."""

    @property
    def base(self) -> Any:
        return self.values[0] if self.baseline is None else self.baseline

    @property
    def numeric(self) -> bool:
        return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in self.values)


@dataclass(frozen=True)
class Row:
    """One point: axis values, and its result or the reason why there is none."""

    index: int
    axes: dict[str, Any]
    result: Result | None
    error: str | None = None


@dataclass(frozen=True)
class Study:
    """All rows of a folder. `axes` have at least two values each; `facts` is the manifest's plain data."""

    kind: str
    name: str
    rows: tuple[Row, ...]
    axes: tuple[Axis, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> list[tuple[Row, Result]]:
        return [(row, row.result) for row in self.rows if row.result is not None]

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.result is None]

    @property
    def first(self) -> Result:
        return self.done[0][1]

    def axis(self, path: str) -> Axis | None:
        return next((axis for axis in self.axes if axis.path == path), None)


def load(folder: Path) -> Study:
    """Raises ReportError when the folder holds neither a sweep nor a result, or no finished point."""
    if (folder / MANIFEST).is_file():
        study = _load_sweep(folder)
    elif (folder / "result.json").is_file():
        result = _read_result(folder / "result.json")
        study = Study("run", folder.resolve().name, (Row(0, {}, result),), ())
    else:
        raise ReportError(
            f"{folder}: no {MANIFEST} (of a sweep or comparison) and no result.json (of a run) in it"
        )
    if not study.done:
        raise ReportError(f"{folder}: no finished point; {_first_error(study)}")
    return study


def _load_sweep(folder: Path) -> Study:
    import yaml

    try:
        facts = yaml.safe_load((folder / MANIFEST).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReportError(f"{folder / MANIFEST}: cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        raise ReportError(f"{folder / MANIFEST}: not a manifest of schema {SCHEMA}")
    rows = tuple(_load_row(folder, point) for point in facts["points"])
    axes = vary(rows, facts.get("baseline") or {})
    return Study(facts["kind"], facts["name"], rows, axes, facts)


def _load_row(folder: Path, point: dict[str, Any]) -> Row:
    axes = {"hardware": point["hardware"], "workload": point["workload"], **point["axes"]}
    path = folder / "points" / f"{point['hash']}.json"
    if path.is_file():
        return Row(point["index"], axes, _read_result(path))
    failure = path.with_suffix(".failed.json")
    why = json.loads(failure.read_text(encoding="utf-8"))["message"] if failure.is_file() else "not run yet"
    return Row(point["index"], axes, None, str(why))


def _read_result(path: Path) -> Result:
    try:
        return Result.read(path)
    except ValueError as error:
        raise ReportError(f"{path}: {error}") from None


def vary(rows: Sequence[Row], baseline: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Axes with more than one value over the rows: those of the sweep file first, then the two configs."""
    paths = list(dict.fromkeys(path for row in rows for path in row.axes))
    paths.sort(key=lambda path: path in ("hardware", "workload"))
    axes = []
    for path in paths:
        values: list[Any] = []
        for row in rows:
            if path in row.axes and row.axes[path] not in values:
                values.append(row.axes[path])
        if len(values) > 1:
            axes.append(Axis(path, tuple(values), baseline.get(path)))
    return tuple(axes)


def _first_error(study: Study) -> str:
    return study.failed[0].error or "unknown reason" if study.failed else "the list of points is empty"
