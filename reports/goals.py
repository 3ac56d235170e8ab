"""Objectives and constraints of a sweep: which points are allowed, and which of those no other beats."""

from collections.abc import Sequence
from html import escape
from typing import Any

from reports.layout import Done, row_label
from reports.study import Study
from reports.tables import number_text, table
from sim.result import Result


def metric(result: Result, name: str) -> float | None:
    """A number of a result by its path; `energy_j.total` is the sum of the parts.

    Area has a total only where the die is known: what a design adds is not all that it takes.
    """
    group, _, key = name.partition(".")
    value: Any = getattr(result, group)
    if key and isinstance(value, dict):
        value = value.get(key, sum(value.values()) if name == "energy_j.total" else None)
    return float(value) if isinstance(value, (int, float)) else None


def broken(result: Result, constraints: dict[str, dict[str, float]]) -> list[str]:
    """The constraints that this result breaks, each with its value; a missing value breaks its limit."""
    reasons = []
    for name, limit in constraints.items():
        value = metric(result, name)
        low, high = limit.get("min", float("-inf")), limit.get("max", float("inf"))
        if value is None or not low <= value <= high:
            limits = ", ".join(f"{bound} {number_text(number)}" for bound, number in limit.items())
            reasons.append(f"{name} is {number_text(value)} ({limits})")
    return reasons


def front(points: Sequence[tuple[float, ...]]) -> list[bool]:
    """For each point (smaller is better): whether no other is as good in all and better in one."""
    return [
        not any(all(b <= a for a, b in zip(p, q, strict=True)) and p != q for q in points) for p in points
    ]


def allowed(study: Study) -> list[Done]:
    limits = study.facts.get("constraints") or {}
    return [done for done in study.done if not broken(done[1], limits)]


def table_of(study: Study) -> str:
    """With several objectives or any constraint: the allowed points that no other beats; else nothing."""
    objectives: dict[str, str] = study.facts.get("objectives") or {}
    limits = study.facts.get("constraints") or {}
    if len(objectives) < 2 and not limits:
        return ""
    fit = [done for done in allowed(study) if all(metric(done[1], name) is not None for name in objectives)]
    signs = {name: 1.0 if way == "min" else -1.0 for name, way in objectives.items()}
    scores = [tuple(sign * (metric(r, name) or 0.0) for name, sign in signs.items()) for _, r in fit]
    best = [done for done, kept in zip(fit, front(scores), strict=True) if kept]
    rows = [
        [escape(row_label(study, row)), *(number_text(metric(r, name)) for name in objectives)]
        for row, r in best
    ]
    header = ["point", *(f"{escape(name)} ({way})" for name, way in objectives.items())]
    out = f"; {len(study.done) - len(fit)} break a constraint" if limits else ""
    text = f"<p>Points that no other allowed point beats: {len(best)} of {len(study.done)}{out}.</p>"
    return text + table(header, rows, 1)
