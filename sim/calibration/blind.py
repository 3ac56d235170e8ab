"""Errors of rows that no fit saw, as a user meets them.

A kernel was never measured on the machine at hand, or one row of it fixes the overhead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sim.calibration.fit import Group, cautious_overheads
from sim.calibration.joint import (
    State,
    Tell,
    fit_machine,
    fit_profile,
    overheads_of,
)
from sim.calibration.parameters import expected
from sim.calibration.recipe import Recipe
from sim.calibration.rows import Evaluated
from sim.error_summary import summary
from sim.sweep.finished import Finished
from sim.validation.names import Overhead
from sim.validation.overheads import declare_anchors, group_of, same_measurement, shipped_overhead_us

LEAST_ROWS = 14


@dataclass(frozen=True)
class RowError:
    """simulated_us: without the overhead."""

    row: Evaluated
    simulated_us: float
    overhead_us: float

    @property
    def error(self) -> float:
        return (self.simulated_us + self.overhead_us) / self.row.case.time_us - 1


def judged(
    rows: Sequence[Evaluated], state: State, overheads: Mapping[Group, float], arch_of: Mapping[str, str]
) -> list[RowError]:
    """Errors with the overhead of the nearest group."""
    known, times = _known(overheads), state.times_us(rows).tolist()
    return [
        RowError(row, time, shipped_overhead_us(row.case, known, arch_of))
        for row, time in zip(rows, times, strict=True)
    ]


def anchored(errors: Sequence[RowError]) -> list[RowError]:
    """One row of each GPU, kernel and KV type fixes the overhead of the others, whatever was fitted; it is left out."""
    anchors = {group_of(case): case for case in declare_anchors([e.row.case for e in errors])}
    at = {e.row.case.row.id: e for e in errors}
    out = []
    for e in errors:
        anchor = anchors.get(group_of(e.row.case))
        if anchor is None or same_measurement(anchor, e.row.case):
            continue
        missing = anchor.time_us - at[anchor.row.id].simulated_us
        out.append(RowError(e.row, e.simulated_us, max(0.0, missing)))
    return out


def left_out(
    rows: Sequence[Evaluated],
    fitted: Sequence[Evaluated],
    recipe: Recipe,
    state: State,
    arch_of: Mapping[str, str],
    tell: Tell,
    finished: Finished,
) -> list[RowError]:
    """Errors of each machine and profile in turn, both fitted again from usual values without the rows of the pair.

    The overhead is that of the nearest group, a cautious one: no row of the pair is in it.
    A profile with a near relative, which the recipe names, is expected to be like it: it takes the relative's values
    where it is known on no other machine, and stays near them where the others' rows do not tell. Other machines and
    profiles stay as they are.
    """
    out: list[RowError] = []
    for machine in recipe.machines:
        for profile in recipe.profiles:
            ours = [r for r in rows if r.machine == machine and r.profile == profile]
            rest = [r for r in fitted if r.machine != machine or r.profile != profile]
            if len(ours) < LEAST_ROWS or not _is_known(profile, rest, recipe):
                continue
            step = f"without {profile} on {machine}"
            refit = partial(_refitted, rest, recipe, state, machine, profile)
            times = finished.once(step, partial(_times, ours, rest, refit, arch_of))
            found = [RowError(row, *times[row.case.row.id]) for row in ours]
            tell(f"{step}: {summary(e.error for e in found)['mape']:.1%}")
            out += found
    return out


def _is_known(profile: str, rest: Sequence[Evaluated], recipe: Recipe) -> bool:
    return profile in recipe.relatives or any(row.profile == profile for row in rest)


def _times(
    ours: Sequence[Evaluated],
    rest: Sequence[Evaluated],
    refit: Callable[[], State],
    arch_of: Mapping[str, str],
) -> dict[str, list[float]]:
    """Simulated time and overhead in us of each of `ours`, by its id, after a fit that has not seen them."""
    blind = refit()
    found = judged(ours, blind, overheads_of(rest, blind, cautious_overheads), arch_of)
    return {e.row.case.row.id: [e.simulated_us, e.overhead_us] for e in found}


def _refitted(rest: Sequence[Evaluated], recipe: Recipe, state: State, machine: str, profile: str) -> State:
    state = state.with_machine(machine, {p.path: p.usual for p in recipe.machine_parameters(machine)})
    own = recipe.profile_parameters(state.profiles[profile])
    if profile in recipe.relatives:
        own = expected(own, state.profiles[recipe.relatives[profile]])
    state = state.with_profile(profile, {p.path: p.usual for p in own})
    return fit_profile(rest, recipe, fit_machine(rest, recipe, state, machine), profile, own)


def _known(overheads: Mapping[Group, float]) -> list[Overhead]:
    ref = "this calibration"
    return [
        Overhead.model_validate({"framework": framework, "hw": hw, "kv": kv, "overhead_us": us, "ref": ref})
        for (framework, hw, kv), us in overheads.items()
    ]
