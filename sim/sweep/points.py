"""From a sweep file to the list of its points, each named by a hash of everything that decides its result."""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sim.config.load import load_part
from sim.errors import InputError

MAX_POINTS = 100_000
"""A sweep with more points is refused: at one second each it would take more than a day."""


class ResolvedConfig(Protocol):
    """What the config loader returns, as far as sweeps need it."""

    @property
    def spec(self) -> Any: ...

    @property
    def origin(self) -> dict[str, str]: ...

    @property
    def path(self) -> str: ...


Loader = Callable[[str, Sequence[str]], ResolvedConfig]


@dataclass(frozen=True)
class Job:
    """What one worker needs to run one point: checked specs, digests of the files that they name, and the configs `hw`
    and `workload` that say where a key was set."""

    hardware: Any
    workload: Any
    files: dict[str, str]
    fidelity: str
    seed: int
    configs: Mapping[str, ResolvedConfig] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its place in the order, its hash, the axis values that made it, its job."""

    index: int
    hash: str
    hardware: str
    workload: str
    axes: dict[str, Any]
    job: Job


@dataclass(frozen=True)
class Plan:
    """A sweep before it is expanded: names, axes (key path to values, first axis slowest), fidelity, seed."""

    hardware: tuple[str, ...]
    workload: tuple[str, ...]
    axes: dict[str, tuple[Any, ...]]
    fidelity: str = "full"
    seed: int = 0


def expand(plan: Plan, load_hardware: Loader, load_workload: Loader, version: str) -> list[Point]:
    """Every combination of hardware, workload and axis values, in file order, the last axis fastest.

    All points are resolved before any runs, so that a bad value at the end of an axis is an InputError now,
    not after an hour; equal problems are reported once. `version` names the simulator that will run.
    """
    combinations = _combinations(plan)
    hardware_of, workload_of = cache(load_hardware), cache(load_workload)
    labels = short_names(plan.hardware) | short_names(plan.workload)
    problems: dict[str, None] = {}
    points: list[Point] = []
    for hardware, workload, axes in combinations:
        hw_sets, wl_sets = _overrides(axes)
        try:
            hw, wl = hardware_of(hardware, hw_sets), workload_of(workload, wl_sets)
        except InputError as error:
            problems.update(dict.fromkeys(error.problems))
            continue
        if plan.fidelity == "sampled" and getattr(wl.spec, "kind", "") == "micro":
            text = f"found sampled for {labels[workload]}, a microbenchmark, which is simulated whole"
            problems[f"fidelity: {text}; allowed: full, bound"] = None
            continue
        files, configs = named_files(wl.spec), {"hw": hw, "workload": wl}
        job = Job(hw.spec, wl.spec, files, plan.fidelity, plan.seed, configs)
        digest = point_hash(job, version)
        points.append(Point(len(points), digest, labels[hardware], labels[workload], axes, job))
    if problems:
        raise InputError(*problems)
    _refuse_twins(points)
    return points


def _combinations(plan: Plan) -> list[tuple[str, str, dict[str, Any]]]:
    total = len(plan.hardware) * len(plan.workload)
    for path, values in plan.axes.items():
        if not values:
            raise InputError(f"axes: {path}: no values; give at least one")
        total *= len(values)
    if total > MAX_POINTS:
        raise InputError(f"axes: {total} points; at most {MAX_POINTS} are allowed in one sweep")
    grid = itertools.product(plan.hardware, plan.workload, *plan.axes.values())
    return [(hw, wl, dict(zip(plan.axes, values, strict=True))) for hw, wl, *values in grid]


def _overrides(axes: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Axis values as `path=value` for the two loaders; values as JSON (it is YAML). A bare path means hw."""
    hw_sets: list[str] = []
    wl_sets: list[str] = []
    for path, value in axes.items():
        target = wl_sets if path.startswith("workload.") else hw_sets
        target.append(f"{path}={json.dumps(value)}")
    return tuple(hw_sets), tuple(wl_sets)


def short_names(given: Sequence[str]) -> dict[str, str]:
    """Names as given without folder and ending, as long as they stay distinct."""
    stems = {name: Path(name).name.removesuffix(".yaml") for name in given}
    return stems if len(set(stems.values())) == len(stems) else {name: name for name in given}


def point_hash(job: Job, version: str) -> str:
    """16 hex digits over the resolved inputs, the files they name, and the version of the simulator."""
    inputs = config_inputs(job) | {"version": version}
    return _digest(canonical(inputs).encode())


def config_inputs(job: Job) -> dict[str, Any]:
    """What the user decides of a job: both resolved configs, the files they name, fidelity, seed."""
    return {
        "hardware": job.hardware.model_dump(mode="json"),
        "workload": job.workload.model_dump(mode="json"),
        "files": job.files,
        "fidelity": job.fidelity,
        "seed": job.seed,
    }


def canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


PARTS = ("model", "kernel", "runtime")
"""Keys of a workload that may name YAML files."""


def named_files(workload: Any) -> dict[str, str]:
    """Digests of the user's own files that a workload names; the loader made them paths. Of a YAML file, of what it
    says with all that it inherits."""
    found = {}
    for part in PARTS:
        name = getattr(workload, part, None)
        if isinstance(name, str) and Path(name).is_file():
            found[name] = _digest(canonical(load_part(part, name).raw).encode())
    trace = getattr(getattr(workload, "context", None), "trace", None)
    if isinstance(trace, str) and Path(trace).is_file():
        found[trace] = _digest(Path(trace).read_bytes())
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _refuse_twins(points: Sequence[Point]) -> None:
    first: dict[str, Point] = {}
    for point in points:
        twin = first.setdefault(point.hash, point)
        if twin is not point:
            where = "axes" if point.axes else "hardware, workload"
            raise InputError(
                f"{where}: points {twin.index + 1} and {point.index + 1} resolve to the same inputs "
                f"({_spell(twin)} and {_spell(point)}); remove one of them"
            )


def _spell(point: Point) -> str:
    values = ", ".join(f"{path}={value}" for path, value in point.axes.items())
    return f"{point.hardware} x {point.workload}" + (f" with {values}" if values else "")
