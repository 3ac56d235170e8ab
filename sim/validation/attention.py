"""A truth file of attention kernels from rows to errors: map, reject, simulate, anchor, judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.sweep.execute import Simulate
from sim.validation.around import around_us
from sim.validation.baselines import Baseline, affine, roofline
from sim.validation.cases import Machines, Mapped, Skipped, map_row
from sim.validation.errors import Prediction
from sim.validation.limits import reject_impossible, reject_unordered
from sim.validation.names import Names
from sim.validation.overheads import (
    Anchor,
    declare_anchors,
    group_of,
    same_measurement,
    shipped_overhead_us,
)
from sim.validation.run import Simulated, simulate_all
from sim.validation.skipped import in_file_order
from sim.validation.trends import Change, changes
from sim.validation.truth import TruthRow, read_truth

US = 1e3
"""Nanoseconds."""


@dataclass(frozen=True)
class Options:
    """How to predict: `anchor` auto or none; `folder` keeps finished cases."""

    fidelity: str
    anchor: str = "none"
    jobs: int = 1
    folder: Path | None = None


@dataclass(frozen=True)
class Validation:
    """Everything that became of a file's rows: each row is in exactly one of predictions, anchors and skipped."""

    rows: tuple[TruthRow, ...]
    predictions: tuple[Prediction, ...]
    anchors: tuple[Anchor, ...]
    skipped: tuple[Skipped, ...]
    baselines: dict[str, Baseline]
    changes: tuple[Change, ...]
    defects: int
    """Cases that failed for no fault of the input."""
    whole: dict[str, str]
    """Rows whose sampled run failed and was repeated at full fidelity, by id, and why."""


def validate_attention(path: Path, names: Names, simulate: Simulate, options: Options) -> Validation:
    """Predict every row that can be mapped. Raises InputError for unusable files."""
    rows = read_truth(path)
    cases, skipped = map_rows(rows, names)
    outcomes = simulate_all(cases, simulate, options.fidelity, options.jobs, options.folder)
    failed = [
        Skipped(c.row, f"simulation: {o.error}") for c, o in zip(cases, outcomes, strict=True) if o.error
    ]
    skipped += failed
    done = [(c, o) for c, o in zip(cases, outcomes, strict=True) if not o.error]
    predictions, anchors = predict(done, names, options.anchor)
    return Validation(
        tuple(rows),
        tuple(predictions),
        tuple(anchors),
        in_file_order(skipped, rows),
        {"roofline": roofline(predictions), "affine": affine(predictions)},
        tuple(changes(predictions)),
        sum(o.defect for o in outcomes),
        {c.row.id: o.fallback for c, o in done if o.fallback},
    )


def map_rows(rows: Sequence[TruthRow], names: Names) -> tuple[list[Mapped], list[Skipped]]:
    """The rows that can be predicted and may be true, and the others with the reason."""
    machines = Machines(names.use)
    mapped = [map_row(row, names, machines) for row in rows]
    cases = [m for m in mapped if isinstance(m, Mapped)]
    skipped = [m for m in mapped if isinstance(m, Skipped)]
    cases, impossible = reject_impossible(cases)
    cases, unordered = reject_unordered(cases)
    return cases, skipped + impossible + unordered


def predict(
    done: Sequence[tuple[Mapped, Simulated]], names: Names, anchor: str
) -> tuple[list[Prediction], list[Anchor]]:
    """Simulated times plus overheads, and the anchors that fixed them (none unless `anchor` is auto)."""
    simulated, arch_of = {case.row.id: outcome for case, outcome in done}, names.arch_of
    anchors: list[Anchor] = []
    fixed: dict[tuple[str, str, str], float] = {}
    for chosen in declare_anchors([case for case, _ in done]) if anchor == "auto" else []:
        fixed[group_of(chosen)] = max(0.0, chosen.time_us - _call_us(chosen, simulated[chosen.row.id]))
        siblings = [case for case, _ in done if same_measurement(case, chosen)]
        anchors += [Anchor(case, fixed[group_of(chosen)]) for case in siblings]
    left_out = {a.case.row.id for a in anchors}
    predictions = []
    for case, outcome in done:
        if case.row.id not in left_out:
            overhead = fixed.get(group_of(case))
            if overhead is None:
                overhead = shipped_overhead_us(case, names.overheads, arch_of)
            predictions.append(_prediction(case, outcome, overhead))
    return predictions, anchors


def _call_us(case: Mapped, outcome: Simulated) -> float:
    """Simulated time of what the framework measured: the attention kernel and those around it."""
    return outcome.time_ns / US + around_us(case, case.hw)


def _prediction(case: Mapped, outcome: Simulated, overhead_us: float) -> Prediction:
    time_us = _call_us(case, outcome)
    value = case.measure.of_us(time_us + overhead_us)
    return Prediction(case, value, time_us, overhead_us, outcome.bound_ns / US)
