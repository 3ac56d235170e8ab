"""Machines and kernel profiles fitted in turn: a profile is shared by machines, a machine by profiles."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sim.calibration.fit import Float64, Group, fit, group_overheads
from sim.calibration.parameters import (
    Parameter,
    machine_start,
    named,
    profile_start,
    with_machine,
)
from sim.calibration.recipe import Recipe
from sim.calibration.rows import Evaluated, spread
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.sweep.finished import Finished
from sim.validation.cases import Mapped
from sim.validation.overheads import group_of

FREEDOM = 2
"""Rows beyond the number of parameters, at least."""
Tell = Callable[[str], None]
FindOverheads = Callable[[Float64, Float64, Sequence[Group]], dict[Group, float]]


@dataclass(frozen=True)
class State:
    """Machines and profiles by shipped name, and what was fitted of each, by key path."""

    machines: dict[str, Hardware]
    profiles: dict[str, KernelProfile]
    fitted: dict[str, dict[str, float]]
    known: dict[Group, float] | None = None
    """Overheads in us that are not fitted."""

    def times_us(self, rows: Sequence[Evaluated]) -> Float64:
        """Simulated times without overheads."""
        return np.array([r.time_us(self.machines[r.machine], self.profiles[r.profile]) for r in rows])

    def with_machine(self, name: str, values: dict[str, float]) -> "State":
        machines = self.machines | {name: with_machine(self.machines[name], values)}
        return replace(self, machines=machines, fitted=self.fitted | {name: values})

    def with_profile(self, name: str, values: dict[str, float]) -> "State":
        profiles = self.profiles | {name: self.profiles[name].model_copy(update=values)}
        return replace(self, profiles=profiles, fitted=self.fitted | {name: values})


def first_state(rows: Sequence[Evaluated], known: dict[Group, float] | None = None) -> State:
    """The shipped values."""
    machines = {row.machine: row.task.hw for row in rows}
    return State(machines, {row.profile: row.task.profiles[0] for row in rows}, {}, known)


def to_fit(rows: Sequence[Evaluated], recipe: Recipe) -> list[Evaluated]:
    """At most `recipe.rows` of each GPU, kernel, profile, KV type and head dimension, spread over measured times."""

    def shape_too(case: Mapped) -> Hashable:
        return group_of(case), case.names.kernel.profile, case.shape.head_dim

    by_id = {row.case.row.id: row for row in rows}
    short = [row.case for row in rows if row.case.time_us <= recipe.most_us]
    return [by_id[case.row.id] for case in spread(short, recipe.rows, shape_too)]


def fit_in_turn(
    rows: Sequence[Evaluated], recipe: Recipe, state: State, tell: Tell, finished: Finished
) -> State:
    """All rounds of the recipe over `rows`, less what is `finished`."""
    for number in range(1, recipe.rounds + 1):
        for name in [*recipe.machines, *recipe.profiles]:
            step, is_machine = f"round {number}, {name}", name in recipe.machines
            values = finished.once(step, partial(_values, rows, recipe, state, name))
            if values:
                state = state.with_machine(name, values) if is_machine else state.with_profile(name, values)
            tell(f"{step}: {values}")
    return state


def _values(rows: Sequence[Evaluated], recipe: Recipe, state: State, name: str) -> dict[str, float]:
    """Those of a machine or a profile once it is fitted; none where its rows are too few."""
    fit_one = fit_machine if name in recipe.machines else fit_profile
    return fit_one(rows, recipe, state, name).fitted.get(name, {})


def fit_machine(rows: Sequence[Evaluated], recipe: Recipe, state: State, name: str) -> State:
    """The machine's parameters on its rows; unchanged where it has too few."""
    ours = [row for row in rows if row.machine == name]
    if not ours:
        return state
    parameters = recipe.machine_parameters(name)
    start = machine_start(state.machines[name], parameters)
    trial = partial(state.with_machine, name)
    return _fitted(ours, [], parameters, start, trial, recipe, state) or state


def fit_profile(
    rows: Sequence[Evaluated],
    recipe: Recipe,
    state: State,
    name: str,
    parameters: tuple[Parameter, ...] | None = None,
) -> State:
    """The profile's parameters (those of the recipe) on its rows on all machines, beside the rows of other profiles
    that share an overhead with them; unchanged where it has too few."""
    ours = [row for row in rows if row.profile == name]
    if not ours:
        return state
    groups = {row.group for row in ours}
    beside = [row for row in rows if row.profile != name and row.group in groups]
    profile = state.profiles[name]
    parameters = recipe.profile_parameters(profile) if parameters is None else parameters
    start = profile_start(profile, state.machines[ours[0].machine], parameters)
    trial = partial(state.with_profile, name)
    return _fitted(ours, beside, parameters, start, trial, recipe, state) or state


def overheads_of(
    rows: Sequence[Evaluated], state: State, best: FindOverheads = group_overheads
) -> dict[Group, float]:
    """Known or best overhead of each framework, machine and KV class, in us."""
    if state.known is not None:
        return {row.group: state.known[row.group] for row in rows}
    return best(_measured(rows), state.times_us(rows), [row.group for row in rows])


def _fitted(
    rows: Sequence[Evaluated],
    beside: Sequence[Evaluated],
    parameters: tuple[Parameter, ...],
    start: Sequence[float],
    trial: Callable[[dict[str, float]], State],
    recipe: Recipe,
    state: State,
) -> State | None:
    """The state with the best values, or None where the rows are too few to tell them. beside: rows that no parameter
    moves, but the overheads that they share with the others."""
    if not parameters or len(rows) < len(parameters) + FREEDOM:
        return None
    paths = [p.path for p in parameters]
    fixed = state.times_us(beside)

    def predict(values: Float64) -> Float64:
        moved = trial(dict(zip(paths, values.tolist(), strict=True))).times_us(rows)
        return np.concatenate([moved, fixed])

    both = [*rows, *beside]
    groups = [row.group for row in both]
    found = fit(parameters, start, _measured(both), groups, predict, recipe.evaluations, state.known)
    return trial(named(parameters, found.tolist()))


def _measured(rows: Sequence[Evaluated]) -> Float64:
    return np.array([row.case.time_us for row in rows])
