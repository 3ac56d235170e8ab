"""Designs side by side: absolute values, and each relative to the first, judged by the metric's direction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.config_keys import ECHO, leaves
from reports.palette import CAUSE_TEXT
from reports.quantities import MEASURED, sampling_error
from sim.causes import CAUSES
from sim.result import Result

Value = float | int | None
MOST_CAUSES = 6
EXACT = ("tightest bound", "KV cache held", "area")
"""Follow from the configs and the batch alone: a sampled run knows them as well as a full one."""
NOTHING = 1e-12
"""Relative differences up to rounding are no differences."""


@dataclass(frozen=True)
class Metric:
    """One line of a comparison. `better`: less, more, or neither (a share has no direction)."""

    name: str
    unit: str
    better: str
    values: tuple[Value, ...]
    relative: tuple[float | None, ...]
    """Value over the first design's value."""
    calls: tuple[str, ...]
    """better, worse, different, or = (not larger than the sampling error), against the first design."""


@dataclass(frozen=True)
class Comparison:
    names: tuple[str, ...]
    differ: dict[str, tuple[Any, ...]]
    """Key path to the value in each design, for the inputs that are not the same in all."""
    metrics: tuple[Metric, ...]


def _energy(result: Result) -> float | None:
    return sum(result.energy_j.values()) if result.energy_j else None


def _area(result: Result) -> float | None:
    """None where the die is not known: what a design adds is not all that it takes."""
    return result.area_mm2.get("total") if result.area_mm2 else None


def _counter(key: str) -> Callable[[Result], Value]:
    return lambda r: r.counters.get(key)


METRICS: Sequence[tuple[str, str, str, Callable[[Result], Value]]] = (
    ("time", "ns", "less", lambda r: r.time_ns),
    *((f"measured {name}", unit, way, _counter(key)) for key, name, unit, way in MEASURED),
    ("tokens per second", "1/s", "more", lambda r: r.tokens_per_s()),
    ("tightest bound", "ns", "less", lambda r: r.bound_ns),
    ("share of the bound reached", "fraction", "more", lambda r: r.speed_of_light),
    ("device memory bandwidth", "GB/s", "more", lambda r: r.bandwidth_gb_s.get("hbm")),
    ("device memory reads", "bytes", "less", lambda r: r.bytes.get("hbm_read")),
    ("KV cache held", "bytes", "less", lambda r: r.kv.get("used_bytes")),
    ("energy", "J", "less", _energy),
    ("area", "mm2", "less", _area),
)


def compare(names: Sequence[str], results: Sequence[Result]) -> Comparison:
    """`results` in the order of `names`; the first is what the others are measured against."""
    metrics = [_metric(name, unit, way, [of(r) for r in results], results) for name, unit, way, of in METRICS]
    causes = _largest_causes(results)
    metrics += [_metric(f"SM-time: {CAUSE_TEXT[c]}", "fraction", "neither", v, results) for c, v in causes]
    kept = tuple(m for m in metrics if any(value is not None for value in m.values))
    return Comparison(tuple(names), differing_inputs(results), kept)


def _largest_causes(results: Sequence[Result]) -> list[tuple[str, list[Value]]]:
    rows = [(cause, [(r.stalls or {}).get(cause) for r in results]) for cause in CAUSES]
    rows.sort(key=lambda row: -max(share or 0.0 for share in row[1]))
    return [(cause, list[Value](shares)) for cause, shares in rows[:MOST_CAUSES] if any(shares)]


def _metric(name: str, unit: str, better: str, values: Sequence[Value], results: Sequence[Result]) -> Metric:
    first = values[0]
    relative: list[float | None] = []
    calls: list[str] = []
    for value, result in zip(values, results, strict=True):
        ratio = value / first if value is not None and first else None
        relative.append(ratio)
        error = 0.0 if name in EXACT else sampling_error(results[0]) + sampling_error(result)
        calls.append(_call(ratio, better, error))
    return Metric(name, unit, better, tuple(values), tuple(relative), tuple(calls))


def _call(ratio: float | None, better: str, error: float) -> str:
    if ratio is None or abs(ratio - 1) <= max(error, NOTHING):
        return "=" if ratio is not None else "-"
    if better == "neither":
        return "different"
    return "better" if (ratio < 1) == (better == "less") else "worse"


def times_text(ratio: float | None, call: str) -> str:
    """'0.936x', with three decimals, or as many as show that something is better or worse at all."""
    if ratio is None:
        return "-"
    decimals = 6 if call in ("better", "worse") and abs(ratio - 1) < 0.0005 else 3
    return f"{ratio:.{decimals}f}x"


def differing_inputs(results: Sequence[Result]) -> dict[str, tuple[Any, ...]]:
    """Every config key whose value is not the same in all results; names, texts and sources left out."""
    tables = [
        dict(leaves("hw", _inputs(r.hardware)) + leaves("workload", _inputs(r.workload))) for r in results
    ]
    paths = dict.fromkeys(path for table in tables for path in table)
    rows = {path: tuple(table.get(path) for table in tables) for path in paths}
    return {path: values for path, values in rows.items() if any(value != values[0] for value in values[1:])}


def _inputs(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ECHO}


def to_dict(workload: str, comparison: Comparison, results: Sequence[Result]) -> dict[str, Any]:
    """Plain data of `compare --json`, schema pagewalk.compare/1."""
    return {
        "schema": "pagewalk.compare/1",
        "workload": workload,
        "baseline": comparison.names[0],
        "hardware": list(comparison.names),
        "inputs_that_differ": {path: list(values) for path, values in comparison.differ.items()},
        "metrics": [
            {
                "name": m.name,
                "unit": m.unit,
                "better": m.better,
                "values": list(m.values),
                "relative": list(m.relative),
                "call": list(m.calls),
            }
            for m in comparison.metrics
        ],
        "results": [result.to_dict() for result in results],
    }
