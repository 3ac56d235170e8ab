"""A calibration from file to fitted values: pick rows, evaluate, fit, judge on rows that were held back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np

from sim.calibration.fit import Float64, Group, fit, group_overheads
from sim.calibration.parameters import (
    Parameter,
    machine_start,
    named,
    profile_start,
    with_machine,
)
from sim.calibration.rows import (
    Evaluated,
    MakeStep,
    Reference,
    hold_back,
    spread,
    usable,
)
from sim.calibration.targets import Target
from sim.calibration.written import provenance
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_profile
from sim.error_summary import Summary, summary
from sim.errors import InputError
from sim.validation.attention import map_rows
from sim.validation.cases import Mapped, Skipped
from sim.validation.names import Names
from sim.validation.skipped import in_file_order, not_covered
from sim.validation.truth import read_truth

ROWS_PER_PARAMETER = 2


@dataclass(frozen=True)
class Options:
    """`most_rows` of each GPU, kernel and KV type take part; `reference` aligns the fast model at the start."""

    most_rows: int = 30
    evaluations: int = 6
    reference: Reference | None = None


@dataclass(frozen=True)
class Calibration:
    """What was fitted and how good it is; errors are of times, with the overheads of the fitted rows."""

    provenance: str
    parameters: tuple[Parameter, ...]
    start: dict[str, float]
    values: dict[str, float]
    overheads: dict[Group, float]
    before: Summary
    """Fitted rows at the starting values."""
    fitted: Summary
    held_back: Summary
    by_group: dict[str, dict[str, Summary]]
    """fitted and held_back by GPU, kernel and KV type."""
    skipped: tuple[Skipped, ...]

    @property
    def reference(self) -> str:
        """What a config says about where the values come from."""
        errors = f"MAPE {self.fitted['mape']:.1%} fitted {self.held_back['mape']:.1%} held back"
        return f"{self.provenance}, {self.fitted['n']} rows, {errors}"


def calibrate(
    truth: Path, target: Target, names: Names, make_step: MakeStep, options: Options
) -> Calibration:
    """Fit the target's parameters to the rows of its machines. Raises InputError for unusable files and for too
    few rows."""
    rows = read_truth(truth)
    cases, unmapped = map_rows(rows, names.without_stand_ins)
    ours = [case for case in cases if target.covers(case)]
    kept, held = (spread(part, options.most_rows) for part in hold_back(ours))
    skipped = _unusable(unmapped, target, names) + _unused(cases, ours, kept + held)
    _require(kept, target.parameters, truth, target.name)
    to_fit, dropped = _evaluated(kept, target, make_step, options)
    to_judge, dropped_held = _evaluated(held, target, make_step, options)
    _require([row.case for row in to_fit], target.parameters, truth, target.name)

    start = target_start(target, to_fit[0].task.hw)
    values = _fitted(target, to_fit, start, options.evaluations)
    at_start = named(target.parameters, start)
    overheads = _overheads(to_fit, predicted(target, to_fit, values))
    first = _overheads(to_fit, predicted(target, to_fit, at_start))
    fitted = errors_of(target, to_fit, values, overheads)
    held_back = errors_of(target, to_judge, values, overheads)
    return Calibration(
        provenance(truth),
        target.parameters,
        at_start,
        values,
        overheads,
        summary(errors_of(target, to_fit, at_start, first)),
        summary(fitted),
        summary(held_back),
        _by_group((("fitted", to_fit, fitted), ("held_back", to_judge, held_back))),
        in_file_order(skipped + dropped + dropped_held, rows),
    )


def _unusable(unmapped: Sequence[Skipped], target: Target, names: Names) -> list[Skipped]:
    """Why rows of these machines cannot be used; what is wrong with those of others does not matter."""
    return [s if target.names_gpu(s.row.gpu, names) else not_covered(s.row) for s in unmapped]


def _unused(cases: Sequence[Mapped], ours: Sequence[Mapped], chosen: Sequence[Mapped]) -> list[Skipped]:
    covered, taken = ({case.row.id for case in part} for part in (ours, chosen))
    surplus = [Skipped(c.row, "over --rows: enough of its group") for c in ours if c.row.id not in taken]
    return [not_covered(c.row) for c in cases if c.row.id not in covered] + surplus


def target_start(target: Target, hw: Hardware) -> list[float]:
    """Values of the target's parameters before the fit."""
    return machine_start(hw) if target.profile is None else profile_start(target.profile, hw)


def predicted(target: Target, rows: Sequence[Evaluated], values: dict[str, float]) -> Float64:
    """Simulated times in us, without overheads."""
    return np.array([_time_us(target, row, values) for row in rows])


def errors_of(
    target: Target, rows: Sequence[Evaluated], values: dict[str, float], overheads: dict[Group, float]
) -> list[float]:
    """Relative errors of times; a group without fitted rows takes the mean overhead."""
    usual = fmean(overheads.values())
    times = predicted(target, rows, values)
    return [
        (time + overheads.get(row.group, usual)) / row.case.time_us - 1
        for row, time in zip(rows, times, strict=True)
    ]


def _time_us(target: Target, row: Evaluated, values: dict[str, float]) -> float:
    profile = row.task.profiles[0]
    if target.profile is None:
        return row.time_us(with_machine(row.task.hw, values), profile)
    return row.time_us(row.task.hw, profile.model_copy(update=values))


def _fitted(
    target: Target, rows: Sequence[Evaluated], start: Sequence[float], evaluations: int
) -> dict[str, float]:
    paths = [p.path for p in target.parameters]

    def predict(trial: Float64) -> Float64:
        return predicted(target, rows, dict(zip(paths, trial.tolist(), strict=True)))

    measured = np.array([row.case.time_us for row in rows])
    groups = [row.group for row in rows]
    found = fit(target.parameters, start, measured, groups, predict, evaluations)
    return named(target.parameters, found.tolist())


def _overheads(rows: Sequence[Evaluated], times: Float64) -> dict[Group, float]:
    measured = np.array([row.case.time_us for row in rows])
    return group_overheads(measured, times, [row.group for row in rows])


def _evaluated(
    cases: Sequence[Mapped], target: Target, make_step: MakeStep, options: Options
) -> tuple[list[Evaluated], list[Skipped]]:
    loaded = cache(load_profile)

    def profile_of(case: Mapped) -> KernelProfile:
        return target.profile or loaded(case.names.kernel.profile)

    return usable(cases, target.machine_of, profile_of, make_step, options.reference)


def _require(cases: Sequence[Mapped], parameters: Sequence[Parameter], truth: Path, target: str) -> None:
    groups = Counter((c.names.runtime.framework, c.names.gpu.hw, c.names.kv.kv_class) for c in cases)
    need = ROWS_PER_PARAMETER * len(parameters) + len(groups)
    if len(cases) < need:
        found = f"found {len(cases)} usable rows of {target} to fit (every third one is held back)"
        raise InputError(f"{truth}: {found}; allowed: at least {need} for {len(parameters)} parameters")


def _by_group(
    parts: Iterable[tuple[str, Sequence[Evaluated], Sequence[float]]],
) -> dict[str, dict[str, Summary]]:
    members: dict[str, dict[str, list[float]]] = {}
    for part, rows, errors in parts:
        for row, error in zip(rows, errors, strict=True):
            truth = row.case.row
            label = f"{truth.gpu} / {truth.kernel} / {truth.kv_dtype}"
            members.setdefault(label, {"fitted": [], "held_back": []})[part].append(error)
    return {label: {part: summary(found) for part, found in both.items()} for label, both in members.items()}
