"""`pagewalk validate dram`: the DRAM model, exact or at train grain, beside the truth of DRAM simulators."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.params import FiniteRange

if TYPE_CHECKING:
    from sim.memory.dram.validate import Grain, Validation

PANELS = ("bw_GBps", "lat_avg_ns", "lat_p99_ns", "act_per_request")


@click.command(epilog="Example: pagewalk validate dram truth/runs.csv --out parity --max-error 0.01")
@click.argument("truth", metavar="TRUTH.csv", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write predictions and plots here; rows that an interrupted run had finished are not run again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option(
    "--max-error",
    type=FiniteRange(min=0),
    metavar="X",
    help="End with 1 if the mean absolute relative error of the bandwidth exceeds X (a fraction).",
)
@click.option(
    "--grain",
    type=click.Choice(["exact", "train"]),
    default="exact",
    show_default=True,
    help="The exact controller, or the channels of the device plane, which schedule trains of accesses.",
)
def dram(truth: Path, out: Path | None, as_json: bool, max_error: float | None, grain: "Grain") -> None:
    """Run every row of TRUTH.csv through the model and compare.

    The file has the columns of `runs.csv` or `probes.csv`; `configs.csv` beside it holds the timings. Streams
    are regenerated from their rows, the model is configured from the row's configuration, nothing is fitted.
    """
    from sim.memory.dram.validate import as_json as to_json
    from sim.memory.dram.validate import computed, counted_summary, validate_dram
    from sim.out_folder import check_out
    from sim.sweep.facts import engine
    from sim.sweep.finished import Finished

    job = f"validate dram {truth.name}"
    if out is not None:
        check_out(out, job)
    keep = computed if out is None else Finished(out / "cases", engine()).once
    result = validate_dram(truth, _progress, grain, keep)
    if out is not None:
        _write(result, out, job)
    if as_json:
        import json

        click.echo(json.dumps(to_json(result), allow_nan=False))
    else:
        _print(result)
    overall = counted_summary(p for p in result.predictions if p.metric == PANELS[0])
    if max_error is not None and (overall["n"] == 0 or overall["mape"] > max_error):
        click.echo(f"mean absolute error {overall['mape']:.4%} exceeds {max_error:.4%}", err=True)
        raise SystemExit(1)


def _progress(done: int, rows: int) -> None:
    if done % 50 == 0:
        click.echo(f"{done} of {rows} rows", err=True)


def _print(result: "Validation") -> None:
    from sim.memory.dram.validate import counted_summary, groups

    _print_rows(result)
    for name, reason in result.skipped:
        click.echo(f"{name:<10} skipped: {reason}")
    click.echo(f"\n{'group':<44} {'n':>6} {'mean':>9} {'bias':>9} {'largest':>9}")
    for dimension, values in groups(result).items():
        for value, error in values.items():
            _print_errors(f"{dimension} {value}", error)
    _print_errors(
        "overall (bw_GBps)", counted_summary(p for p in result.predictions if p.metric == PANELS[0])
    )
    for name, mape in result.baselines.items():
        click.echo(f"{'baseline ' + name:<44} {len(result.rows):>6} {mape:>9.3%}")


def _print_rows(result: "Validation") -> None:
    """A line a row: truth, prediction and error of the four figures of the plots; * where not counted."""
    cells = {(p.id, p.metric): p for p in result.predictions}
    click.echo(
        f"{'row':<8}" + "".join(f" | {metric + ' truth':>21} {'model':>9} {'error':>9}" for metric in PANELS)
    )
    for row in dict.fromkeys(p.id for p in result.predictions):
        line = f"{row:<8}"
        for metric in PANELS:
            p = cells.get((row, metric))
            if p is None:
                line += f" | {'':>41}"
            else:
                mark = " " if p.counted else "*"
                line += f" | {p.truth:>21.6g} {p.predicted:>9.6g} {_percent(p.error):>8}{mark}"
        click.echo(line)
    if any(not p.counted for p in result.predictions):
        click.echo("* the queue grows without limit in this row: the latency only reflects the run length")


def _print_errors(name: str, error: dict[str, Any]) -> None:
    errors = " ".join(f"{_percent(error[key]):>9}" for key in ("mape", "bias", "max_ape"))
    click.echo(f"{name:<44} {error['n']:>6} {errors}")


def _percent(error: float) -> str:
    """What rounds to zero has no sign."""
    return f"{round(error, 5) + 0.0:.3%}"


def _write(result: "Validation", out: Path, job: str) -> None:
    from sim.errors import InputError
    from sim.memory.dram.validate import write_predictions
    from sim.out_folder import mark_out

    try:
        mark_out(out, job)
        write_predictions(result, out / "predictions.csv")
        _draw(result, out)
    except OSError as error:
        raise InputError(f"{out}: --out: cannot be written: {error.strerror}") from None


def _draw(result: "Validation", out: Path) -> None:
    """parity.png and parity.svg: predicted against truth, one panel a metric."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    for place, metric in enumerate(PANELS, 1):
        axes = figure.add_subplot(2, 2, place)
        points = [p for p in result.predictions if p.metric == metric and p.counted]
        if not points:
            axes.set_axis_off()
            continue
        truth, predicted = [p.truth for p in points], [p.predicted for p in points]
        low, high = min(truth + predicted) * 0.9, max(truth + predicted) * 1.1
        axes.plot([low, high], [low, high], color="0.6", linewidth=1, label="equal")
        axes.plot(truth, predicted, ".", markersize=4, label=f"{len(points)} rows")
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel=f"truth, {points[0].unit}", ylabel=f"predicted, {points[0].unit}", title=metric)
        axes.legend(loc="upper left")
    figure.savefig(out / "parity.png", dpi=150, metadata={"Software": None})
    figure.savefig(out / "parity.svg", metadata={"Date": None})
