"""Schema of sweep files, and their loader: which machines, which workloads, which keys take which values."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sim.config.catalog import Found, shown_path
from sim.config.fields import Float, Int, Section, broken_rule
from sim.config.hardware import Hardware
from sim.config.load import Resolved, resolved_plain
from sim.config.merge import Tree, overlay
from sim.config.micro import Micro
from sim.config.overrides import NOT_SETTABLE, split_path
from sim.config.problems import Problem, path_text, shown
from sim.config.references import anchored, unknown_name
from sim.config.schema_tree import schema_tree
from sim.config.workload import Workload
from sim.config.yaml_source import read_document

KINDS: tuple[Literal["hardware", "workload"], ...] = ("hardware", "workload")
MAX_POINTS = 100_000
COMPARISON = re.compile(r"([a-z0-9_.]+)\s*(<=|>=)\s*(\S+)")
METRICS = (
    "time_ns",
    "bound_ns",
    "bounds_ns",
    "speed_of_light",
    "tokens",
    "bytes",
    "bandwidth_gb_s",
    "utilisation",
    "stalls",
    "counters",
    "kv",
    "energy_j",
    "area_mm2",
)
"""Keys of a result that objectives and constraints may name; a dot leads below (`area_mm2.total`)."""


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def as_objectives(value: Any) -> Any:
    """`[time_ns]` is short for `{time_ns: min}`."""
    names = as_list(value)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return dict.fromkeys(names, "min")
    return value


def as_constraints(value: Any) -> Any:
    """`["area_mm2.total <= 900"]` is short for `{area_mm2.total: {max: 900}}`."""
    texts = as_list(value)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return value
    matches = [COMPARISON.fullmatch(text.strip()) for text in texts]
    if None in matches:
        return value
    limits: dict[str, dict[str, str]] = {}
    for match in filter(None, matches):
        limits.setdefault(match[1], {})["max" if match[2] == "<=" else "min"] = match[3]
    return limits


Names = Annotated[
    list[Annotated[str, Field(min_length=1)]], BeforeValidator(as_list), Field(min_length=1, max_length=1000)
]


class Limit(Section):
    """Bounds of one metric of a result."""

    min: Float | None = Field(default=None, description="smallest value that is feasible")
    max: Float | None = Field(default=None, description="largest value that is feasible")

    @model_validator(mode="after")
    def says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise broken_rule("found neither; allowed: min, max or both", ())
        return self


class Sweep(Section):
    """Every combination of machines, workloads and axis values is one point."""

    name: str = Field(default="", description="names the sweep folder; none: the file's name")
    description: str = Field(default="", description="the question that the sweep answers")
    hardware: Names = Field(description="names or paths (relative to this file) of machines, one or a list")
    workload: Names = Field(description="names or paths (relative to this file) of workloads, one or a list")
    axes: dict[str, Annotated[list[Any], Field(min_length=1, max_length=10_000)]] = Field(
        default_factory=dict,
        description="key path (as for --set) to the values that it takes; the last varies fastest",
    )
    fidelity: Literal["full", "sampled", "bound"] = Field(default="full", description="how each point is run")
    objectives: Annotated[dict[str, Literal["min", "max"]], BeforeValidator(as_objectives)] = Field(
        default={"time_ns": "min"}, description="metrics of the result, each to minimise or maximise"
    )
    constraints: Annotated[dict[str, Limit], BeforeValidator(as_constraints)] = Field(
        default_factory=dict,
        description="metrics of the result with their limits; other points are infeasible",
    )
    baseline: dict[str, Any] = Field(
        default_factory=dict,
        description="hardware, workload and axis values of the point to compare with; none: the first",
    )
    seed: Int = Field(default=0, ge=0, le=2**63 - 1, description="seed of every random choice")

    @model_validator(mode="after")
    def names_appear_once(self) -> Self:
        for key, names in (("hardware", self.hardware), ("workload", self.workload)):
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise broken_rule(f"found {name} twice; each name once", (key, i))
        return self

    @model_validator(mode="after")
    def points_are_countable(self) -> Self:
        total = len(self.hardware) * len(self.workload)
        for values in self.axes.values():
            total *= len(values)
        if total > MAX_POINTS:
            raise broken_rule(f"found {total} points; allowed: at most {MAX_POINTS}", ("axes",))
        return self

    @model_validator(mode="after")
    def metrics_exist(self) -> Self:
        for key, names in (("objectives", self.objectives), ("constraints", self.constraints)):
            for name in names:
                if name.split(".")[0] not in METRICS:
                    text = f"found {shown(name)}; allowed: a key of a result: {', '.join(METRICS)}"
                    raise broken_rule(text, (key, name))
        return self

    @model_validator(mode="after")
    def baseline_is_a_point(self) -> Self:
        choices = {"hardware": self.hardware, "workload": self.workload, **self.axes}
        for key, value in self.baseline.items():
            if key not in choices:
                raise broken_rule(f"unknown key; allowed: {', '.join(choices)}", ("baseline", key))
            if value not in choices[key]:
                text = f"found {shown(value)}; allowed: one of {shown(list(choices[key]))}"
                raise broken_rule(text, ("baseline", key))
        return self


def load_sweep(path: str) -> Resolved[Sweep]:
    """A checked sweep. Names of machines and workloads are found, axis paths exist; values are checked with
    the points. Raises InputError with every problem."""
    found = Found(Path(path), shown_path(Path(path)))
    layer = read_document(found.path, found.shown, "a mapping with hardware, workload, axes, ...")
    tree = Tree(found.shown, {})
    overlay(tree, layer)
    for kind in KINDS:
        names = as_list(tree.data.get(kind))
        if isinstance(names, list):
            tree.data[kind] = [anchored(name, found.path.parent) for name in names]
            tree.problems += _unknown_names(tree, kind)
        baseline = tree.data.get("baseline")
        if isinstance(baseline, dict) and kind in baseline:
            baseline[kind] = anchored(baseline[kind], found.path.parent)
    axes = tree.data.get("axes")
    if isinstance(axes, dict):
        tree.problems += [problem for key in axes if (problem := _unknown_axis(tree, key))]
    return resolved_plain(Sweep, tree, found)


def _unknown_names(tree: Tree, kind: Literal["hardware", "workload"]) -> list[Problem]:
    problems = []
    for i, name in enumerate(tree.data[kind]):
        if isinstance(name, str) and name:
            problems += unknown_name(tree, (kind, i), kind, name)
    return problems


def _unknown_axis(tree: Tree, key: str) -> Problem | None:
    target, path = split_path(key)
    schema = schema_tree(Hardware if target == "hw" else Workload)
    here = ("axes", key)
    if not path or path[0] in NOT_SETTABLE:
        return Problem(tree.place_of(here), path_text(here), "cannot be an axis; write config files instead")
    if target == "workload" and schema_tree(Micro).at(path) is not None:
        return None
    for length in range(1, len(path) + 1):
        if schema.at(path[:length]) is None:
            return Problem(tree.place_of(here), path_text(here), schema.unknown(path[:length]))
    return None
