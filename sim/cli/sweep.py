"""`pagewalk sweep`: every point of a sweep file, on this machine or on a cluster; resumes by default."""

import json
import os
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.config.load import Resolved
    from sim.config.overrides import Override
    from sim.config.sweep import Sweep
    from sim.sweep.points import Plan, Point
    from sim.sweep.sweep import Outcome

MOST_FAILURES_SHOWN = 20
NAMED = ("hardware", "workload")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
@click.argument("sweep_file", metavar="SWEEP", type=click.Path(path_type=Path))
@click.option(
    "--jobs", type=click.IntRange(1, 1024), help="Processes on this machine.  [default: one per core]"
)
@click.option("--scheduler", metavar="ADDRESS", help="Run on the dask cluster whose scheduler is at ADDRESS.")
@click.option("--out", type=click.Path(path_type=Path), help="Sweep folder.  [default: out/NAME]")
@click.option("--restart", is_flag=True, help="Forget finished points and run all again.")
def sweep(sweep_file: Path, jobs: int | None, scheduler: str | None, out: Path | None, restart: bool) -> None:
    """Run every point of the sweep file SWEEP.

    Finished points are kept in the sweep folder: a sweep that was stopped goes on where it was, also after
    it was killed. Exits with 1 when some points failed; the others are there all the same.

    \b
    Examples:
      pagewalk sweep sweeps/sram_demo.yaml --jobs 2 --out out/demo
      pagewalk report out/demo
    """
    if jobs is not None and scheduler is not None:
        raise click.UsageError("--jobs and --scheduler exclude each other: processes here, or a cluster.")
    from sim.cli.job import simulate
    from sim.config.load import load_any_workload, load_hardware
    from sim.config.sweep import load_sweep
    from sim.sweep.facts import engine, facts_of
    from sim.sweep.points import expand
    from sim.sweep.sweep import Request, run_sweep

    loaded = load_sweep(str(sweep_file))
    plan = plan_of(loaded.spec)
    points = _expanded(
        loaded,
        partial(
            expand,
            plan,
            lambda name, sets: load_hardware(name, placed_settings(loaded, sets)),
            lambda name, sets: load_any_workload(name, placed_settings(loaded, sets)),
            engine(),
        ),
    )
    name = loaded.spec.name or sweep_file.stem
    folder = out or Path("out") / re.sub(r"[^\w.-]+", "_", name).lstrip(".")
    facts = facts_of(sys.argv[1:], folder, points)
    facts |= goals_of(loaded.spec)
    request = Request(folder, jobs or min(cores(), len(points)), scheduler, restart)
    try:
        outcome = run_sweep("sweep", name, plan, points, facts, simulate, request)
    except KeyboardInterrupt:
        click.echo(f"interrupted; finished points are kept in {folder}: the same command goes on", err=True)
        raise SystemExit(130) from None
    show(folder, outcome)


def _expanded(loaded: "Resolved[Sweep]", expand: "Callable[[], list[Point]]") -> "list[Point]":
    """The points. Raises InputError; what concerns the sweep file says where in it."""
    from sim.errors import InputError

    try:
        return expand()
    except InputError as error:
        keys = [problem.partition(":")[0].partition(",")[0] for problem in error.problems]
        places = [f"{loaded.origin[key]}: " if key in loaded.origin else "" for key in keys]
        raise InputError(
            *(place + text for place, text in zip(places, error.problems, strict=True))
        ) from None


def placed_settings(loaded: "Resolved[Sweep]", sets: "Sequence[str]") -> "list[Override]":
    """Values of axes, as PATH=VALUE, that say where in the sweep file they are."""
    from sim.config.overrides import parse_override
    from sim.config.problems import Place

    found = []
    for setting in sets:
        path = setting.partition("=")[0]
        values = [f"{path}={json.dumps(value)}" for value in loaded.spec.axes[path]]
        place = loaded.origin[f"axes.{path}[{values.index(setting)}]"]
        found.append(replace(parse_override(setting), where=Place(place)))
    return found


def plan_of(spec: Any) -> "Plan":
    from sim.sweep.points import Plan

    axes = {path: tuple(values) for path, values in spec.axes.items()}
    return Plan(tuple(spec.hardware), tuple(spec.workload), axes, spec.fidelity, spec.seed)


def goals_of(spec: Any) -> dict[str, Any]:
    """What the sweep is for, in the words of its file; the report reads it."""
    baseline = {key: Path(value).stem if key in NAMED else value for key, value in spec.baseline.items()}
    goals = {
        "description": spec.description,
        "objectives": spec.objectives,
        "constraints": {
            name: limit.model_dump(exclude_none=True) for name, limit in spec.constraints.items()
        },
        "baseline": baseline,
    }
    return {key: value for key, value in goals.items() if value}


def show(folder: Path, outcome: "Outcome") -> None:
    """Summary on standard output, failures on standard error. Exits with 1 if there are any."""
    failed = len(outcome.failures)
    counts = f"{outcome.ran - failed} run, {outcome.resumed} kept from before, {failed} failed"
    click.echo(f"{outcome.total} {'point' if outcome.total == 1 else 'points'}: {counts}")
    click.echo(f"table:  {folder / 'results.csv'}\nreport: pagewalk report {folder}")
    if outcome.failures:
        for point, why in outcome.failures[:MOST_FAILURES_SHOWN]:
            click.echo(f"failed: {point_text(point)}: {why}", err=True)
        if failed > MOST_FAILURES_SHOWN:
            click.echo(f"and {failed - MOST_FAILURES_SHOWN} more, see results.csv", err=True)
        raise SystemExit(1)


def point_text(point: "Point") -> str:
    values = ", ".join(f"{path}={value}" for path, value in point.axes.items())
    return f"point {point.index} ({point.hardware}, {point.workload}{', ' if values else ''}{values})"
