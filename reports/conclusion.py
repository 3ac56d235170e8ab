"""What a study says, as numbers: the gain of every step along x, its cost in area, which value is enough.

Only arithmetic on results lives here; `verdict` puts it into words. Gains are speed-ups less one:
0.05 means that the same work takes 1/1.05 of the time.
"""

from dataclasses import dataclass
from statistics import median
from typing import Any

from reports.area import Added, added
from reports.layout import Done, Layout, layout, line_label, lines, panels
from reports.model_error import ModelError, error_of, judge
from reports.study import Axis, Study

ENOUGH = 0.01
"""A value is enough when its time is within 1% of the best of its line."""


@dataclass(frozen=True)
class Step:
    """From one value of x to the next (of a numeric axis), or from the base to another (of names)."""

    low: Any
    high: Any
    gain: float
    call: str
    """gain, tie or loss, by the error of the difference."""
    area: Added | None


@dataclass(frozen=True)
class Line:
    """All values of x with everything else held: one curve of the figures."""

    label: str
    values: tuple[Any, ...]
    times_ns: tuple[float, ...]
    steps: tuple[Step, ...]
    whole: Step
    """From the base value to the fastest other one."""
    best: Any
    enough: Any
    """Smallest x (first in order) within 1% of the best time."""
    error: float

    @property
    def pays(self) -> bool:
        """Faster by more than the error, and by more than the share of the die that it adds (if known)."""
        share = self.whole.area.die_share if self.whole.area else None
        return self.whole.call == "gain" and (share is None or self.whole.gain > share)


@dataclass(frozen=True)
class Effect:
    """One value of an axis against the base value of that axis, everything else equal."""

    axis: Axis
    value: Any
    low: float
    mid: float
    high: float
    call: str
    count: int


@dataclass(frozen=True)
class Conclusion:
    plan: Layout
    lines: tuple[Line, ...]
    effects: tuple[Effect, ...]
    model: ModelError
    fastest: Done


def conclude(study: Study, model: ModelError) -> Conclusion:
    """Lines need two finished points, effects one pair."""
    plan = layout(study)
    found = []
    for title, rows in panels(study, plan):
        for _, label, line in lines(rows, plan):
            if plan.x is not None and len(line) > 1:
                found.append(_line(line_label(label, title), plan.x, line, model))
    effects = tuple(e for axis in study.axes if axis is not plan.x for e in _effects(study, axis, model))
    fastest = min(study.done, key=lambda done: done[1].time_ns)
    return Conclusion(plan, tuple(found), effects, model, fastest)


def _line(label: str, x: Axis, rows: list[Done], model: ModelError) -> Line:
    values = tuple(row.axes[x.path] for row, _ in rows)
    times = tuple(result.time_ns for _, result in rows)
    best = min(range(len(times)), key=lambda i: (times[i], i))
    base = values.index(x.base) if x.base in values else 0
    others = [i for i in range(len(rows)) if i != base]
    target = min(others, key=lambda i: (times[i], i))
    enough = next(i for i, t in enumerate(times) if t <= times[best] * (1 + ENOUGH))
    error = max(error_of(rows[base][1], rows[i][1], model) for i in others)
    return Line(
        label=label,
        values=values,
        times_ns=times,
        steps=tuple(_step(x, rows[a], rows[b], model) for a, b in _pairs(x, base, len(rows))),
        whole=_step(x, rows[base], rows[target], model),
        best=values[best],
        enough=values[enough],
        error=error,
    )


def _pairs(x: Axis, base: int, count: int) -> list[tuple[int, int]]:
    """Neighbours along a numeric axis; names have no neighbours, so each is held against the base."""
    if x.numeric:
        return [(i, i + 1) for i in range(count - 1)]
    return [(base, i) for i in range(count) if i != base]


def _step(x: Axis, low: Done, high: Done, model: ModelError) -> Step:
    gain = low[1].time_ns / high[1].time_ns - 1
    a, b = low[0].axes[x.path], high[0].axes[x.path]
    area = added(low[1].hardware, x.path, a, b) if x.numeric else None
    return Step(a, b, gain, judge(gain, error_of(low[1], high[1], model)), area)


def _effects(study: Study, axis: Axis, model: ModelError) -> list[Effect]:
    """Speed-ups of each other value of `axis` over its base, over all pairs that differ in nothing else."""
    base = {_rest(study, done, axis): done for done in study.done if done[0].axes[axis.path] == axis.base}
    out = []
    for value in axis.values:
        if value == axis.base:
            continue
        pairs = [
            (base[rest], done)
            for done in study.done
            if done[0].axes[axis.path] == value and (rest := _rest(study, done, axis)) in base
        ]
        if pairs:
            gains = [a.time_ns / b.time_ns - 1 for (_, a), (_, b) in pairs]
            error = max(error_of(a, b, model) for (_, a), (_, b) in pairs)
            calls = {judge(gain, error) for gain in gains}
            call = calls.pop() if len(calls) == 1 else "mixed"
            out.append(Effect(axis, value, min(gains), median(gains), max(gains), call, len(gains)))
    return out


def _rest(study: Study, done: Done, axis: Axis) -> tuple[str, ...]:
    return tuple(repr(done[0].axes[other.path]) for other in study.axes if other is not axis)
