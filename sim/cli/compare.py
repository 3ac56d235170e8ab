"""`pagewalk compare`: machines side by side on one workload, relative to the first."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.params import HARDWARE, WORKLOAD, json_option, print_json, seed_option, set_option

if TYPE_CHECKING:
    from reports.comparison import Comparison, Metric
    from sim.result import Result
    from sim.sweep.points import Point


@click.command()
@click.argument("workload", type=WORKLOAD)
@click.option(
    "--hw", "hardware", multiple=True, required=True, type=HARDWARE, help="A machine; give several."
)
@set_option
@click.option(
    "--fidelity", type=click.Choice(["full", "sampled", "bound"]), default="full", show_default=True
)
@seed_option
@click.option("--jobs", type=click.IntRange(1, 1024), help="Processes.  [default: one per core]")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the results here, for `pagewalk report`.")
@json_option
def compare(
    workload: str,
    hardware: tuple[str, ...],
    sets: tuple[str, ...],
    fidelity: str,
    seed: int,
    jobs: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run WORKLOAD on several machines and print them side by side.

    Inputs that differ come first; then every metric, absolute and relative to the first machine, marked
    better or worse by its direction, or = where the difference is not larger than the sampling error.

    \b
    Examples:
      pagewalk compare decode_64x8k --hw h100_sxm --hw h200_sxm
      pagewalk compare decode_64x8k --hw h200_sxm --hw h200_assist --json
    """
    from reports.comparison import compare as side_by_side
    from reports.comparison import to_dict

    if len(hardware) < 2:
        raise click.UsageError("give at least two machines: --hw A --hw B.")
    twice = [name for place, name in enumerate(hardware) if name in hardware[:place]]
    if twice:
        raise click.UsageError(f"--hw: found {twice[0]} twice; allowed: each machine once.")
    names, results = _run(workload, hardware, sets, fidelity, seed, jobs, out)
    comparison = side_by_side(names, results)
    if as_json:
        print_json(to_dict(results[0].workload["name"], comparison, results))
        return
    click.echo(_text(results[0].workload["name"], comparison))
    if out is not None:
        click.echo(f"\nresults: {out / 'results.csv'}\nreport:  pagewalk report {out}")


def _run(
    workload: str,
    hardware: tuple[str, ...],
    sets: tuple[str, ...],
    fidelity: str,
    seed: int,
    jobs: int | None,
    out: Path | None,
) -> tuple[list[str], list["Result"]]:
    """Names and results in the order given. A machine that fails ends the comparison with its error."""
    from sim.cli.job import simulate
    from sim.cli.sweep import cores
    from sim.config.load import load_any_workload, load_hardware
    from sim.sweep.facts import engine, facts_of
    from sim.sweep.points import Plan, expand
    from sim.sweep.sweep import Request, run_sweep

    plan = Plan(hardware, (workload,), {}, fidelity, seed)
    points = expand(
        plan,
        lambda name, more: load_hardware(name, [*sets, *more]),
        lambda name, more: load_any_workload(name, [*sets, *more]),
        engine(),
    )
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewalk-")))
        facts = facts_of(sys.argv[1:], folder, points)
        request = Request(folder, jobs or min(cores(), len(points)))
        name = f"{points[0].workload} on {', '.join(point.hardware for point in points)}"
        run_sweep("compare", name, plan, points, facts, simulate, request)
        return [point.hardware for point in points], _results(folder, points)


def _results(folder: Path, points: Sequence["Point"]) -> list["Result"]:
    from sim.errors import InputError, SelfCheckError, StuckError
    from sim.result import Result
    from sim.sweep.store import Store

    store = Store(folder)
    kinds = {"bad input": InputError, "stuck": StuckError, "self-check": SelfCheckError}
    found = []
    for point in points:
        data = store.result(point.hash)
        if data is None:
            why = store.failure(point.hash) or {"kind": "internal", "message": "no result"}
            raise kinds.get(why["kind"], RuntimeError)(f"{point.hardware}: {why['message']}")
        found.append(Result.from_dict(data))
    return found


def _text(workload: str, comparison: "Comparison") -> str:
    from sim.cli.columns import columns, number_text

    head = f"{workload}: {' against '.join(comparison.names)} (relative to the first)"
    names = list(comparison.names)
    differ = [[path, *map(number_text, values)] for path, values in comparison.differ.items()]
    inputs = columns(differ, ["input that differs", *names]) if differ else "no input differs"
    body = columns([_row(metric) for metric in comparison.metrics], ["metric", "unit", *names])
    return f"{head}\n\n{inputs}\n\n{body}"


def _row(metric: "Metric") -> list[str]:
    from reports.comparison import times_text

    cells = [_number(metric.values[0])]
    for value, ratio, call in zip(metric.values[1:], metric.relative[1:], metric.calls[1:], strict=True):
        mark = call if call in ("better", "worse", "=") else ""
        cells.append(f"{_number(value)}  {times_text(ratio, call)} {mark}".rstrip())
    return [metric.name, metric.unit, *cells]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
