"""Which axis of a study plays which part in every figure: along x, as a line, as a panel."""

from dataclasses import dataclass
from typing import Any

from reports.study import Axis, Row, Study
from reports.units import axis_name, value_with_unit
from sim.result import Result

MAX_SERIES = 8
"""More lines than this in one panel cannot be told apart: such an axis makes panels instead."""

Done = tuple[Row, Result]


@dataclass(frozen=True)
class Layout:
    """x: the first numeric axis (else the first); series: the next; panels: every combination of the rest."""

    x: Axis | None
    series: Axis | None
    others: tuple[Axis, ...]


def layout(study: Study) -> Layout:
    axes = list(study.axes)
    if not axes:
        return Layout(None, None, ())
    x = next((axis for axis in axes if axis.numeric), axes[0])
    axes.remove(x)
    candidates = [axis for axis in axes if len(axis.values) <= MAX_SERIES]
    series = max(candidates, key=lambda axis: len(axis.values), default=None)
    if series is not None:
        axes.remove(series)
    return Layout(x, series, tuple(axes))


def text_of(axis: Axis, value: Any) -> str:
    """'SRAM per SM 512 KiB' for a number, 'INT4' for a name that speaks for itself."""
    text = value_with_unit(axis.path, value)
    return f"{axis_name(axis.path)} {text}" if axis.numeric else text


def panels(study: Study, plan: Layout) -> list[tuple[str, list[Done]]]:
    """(title, finished rows) for each combination of the axes that are neither x nor series."""
    groups: dict[str, list[Done]] = {}
    for row, result in study.done:
        title = " / ".join(text_of(axis, row.axes[axis.path]) for axis in plan.others)
        groups.setdefault(title, []).append((row, result))
    return list(groups.items())


def lines(rows: list[Done], plan: Layout) -> list[tuple[int, str, list[Done]]]:
    """(position in the series axis, label, rows in x order) for each line of one panel."""
    if plan.series is None:
        return [(0, "", _in_order(rows, plan))]
    out = []
    for position, value in enumerate(plan.series.values):
        mine = [done for done in rows if done[0].axes[plan.series.path] == value]
        if mine:
            out.append((position, text_of(plan.series, value), _in_order(mine, plan)))
    return out


def line_label(series: str, panel: str) -> str:
    """Names one line of one panel: 'INT4 / hardware assist'."""
    return " / ".join(filter(None, (series, panel)))


def x_position(plan: Layout, row: Row) -> int:
    return plan.x.values.index(row.axes[plan.x.path]) if plan.x is not None else 0


def x_labels(plan: Layout) -> list[str]:
    return [value_with_unit(plan.x.path, v) for v in plan.x.values] if plan.x is not None else [""]


def row_label(study: Study, row: Row) -> str:
    """All varied values of a row, for tables and messages."""
    return ", ".join(text_of(axis, row.axes[axis.path]) for axis in study.axes) or study.name


def _in_order(rows: list[Done], plan: Layout) -> list[Done]:
    return sorted(rows, key=lambda done: x_position(plan, done[0]))
