"""`pagewalk validate attention`: simulated attention kernels beside measured ones."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sim.cli.params import FiniteRange, json_option

if TYPE_CHECKING:
    from sim.validation.attention import Validation

WORST_SHOWN = 15
SKIPPED_SHOWN = 5
STAND_INS_SHOWN = 3
LONGEST_LINE = 160
SHOWN_DIMENSIONS = ("gpu_phase", "gpu_profile", "size", "time", "source")


@click.command(epilog="Example: pagewalk validate attention truth/measured.csv --out parity --anchor auto")
@click.argument("truth", metavar="TRUTH.csv", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write predictions, summary and plots here; finished rows are kept, a second run goes on.",
)
@json_option
@click.option(
    "--max-error",
    type=FiniteRange(min=0),
    metavar="X",
    help="End with 1 if the mean absolute relative error exceeds X (a fraction).",
)
@click.option(
    "--anchor",
    type=click.Choice(["auto", "none"]),
    default="none",
    show_default=True,
    help="auto: one row of each GPU, kernel and KV type fixes the framework's overhead, and is left out of the errors.",
)
@click.option(
    "--fidelity",
    type=click.Choice(["full", "sampled", "bound"]),
    default="sampled",
    show_default=True,
    help="As in run.",
)
@click.option(
    "--overheads",
    metavar="FILE.yaml",
    type=click.Path(path_type=Path),
    help="Overheads that `pagewalk calibrate` wrote, and the config that they belong to, in place of shipped ones.",
)
@click.option("--jobs", type=click.IntRange(1, 1024), help="Processes.  [default: one per core]")
def attention(
    truth: Path,
    out: Path | None,
    as_json: bool,
    max_error: float | None,
    anchor: str,
    fidelity: str,
    overheads: Path | None,
    jobs: int | None,
) -> None:
    """Predict every row of TRUTH.csv that names an attention kernel, and compare.

    GPU and kernel names are looked up in shipped tables; rows that cannot be mapped, or that cannot be true,
    are listed with the reason. Exits with 1 when --max-error is exceeded or a simulation failed.
    """
    from sim.cli.attention_case import time_case
    from sim.cli.sweep import cores
    from sim.error_summary import summary
    from sim.out_folder import check_out
    from sim.validation.attention import Options, validate_attention
    from sim.validation.names import shipped_names, with_calibration

    job = f"validate attention {truth.name}"
    if out is not None:
        check_out(out, job)
    names = shipped_names() if overheads is None else with_calibration(shipped_names(), overheads)
    folder = out / "cases" if out is not None else None
    options = Options(fidelity, anchor, jobs or cores(), folder)
    result = validate_attention(truth, names, time_case, options)
    if not result.predictions:
        _refuse(result, truth, out, job)
    text = summary_text(result, out is not None)
    if out is not None:
        _write(out, job, lambda: _write_all(result, text, out))
    if as_json:
        import json

        from sim.validation.output import as_json as to_json

        click.echo(json.dumps(to_json(result), allow_nan=False))
    else:
        click.echo(text)
    overall = summary(p.error for p in result.predictions)
    if result.whole:
        first = next(iter(result.whole.values()))
        click.echo(f"{len(result.whole)} rows ran whole, since their sampled run failed: {first}", err=True)
    if result.defects:
        click.echo(f"{result.defects} rows could not be simulated, see the skipped rows", err=True)
    if max_error is not None and (overall["n"] == 0 or overall["mape"] > max_error):
        click.echo(f"mean absolute error {overall['mape']:.2%} exceeds {max_error:.2%}", err=True)
        raise SystemExit(1)
    if result.defects:
        raise SystemExit(1)


def _refuse(result: "Validation", truth: Path, out: Path | None, job: str) -> NoReturn:
    """The list of reasons is worth most where no row could be used."""
    from sim.errors import InputError
    from sim.validation.skipped import counts_text

    if out is not None:
        _write(out, job, lambda: _write_skipped(result, out))
    first = f"{result.skipped[0].row.id}: {result.skipped[0].reason}"
    raise InputError(
        f"{truth}: no row can be predicted ({counts_text(result.skipped)}); first reason: {first}"
    )


def summary_text(result: "Validation", listed: bool) -> str:
    """The summary on the terminal and in summary.txt. `listed`: skipped.csv is beside it."""
    from sim.error_summary import summary
    from sim.validation.errors import groups, short_rows, worst

    lines = [*_skipped_lines(result, listed), *_stand_in_lines(result)]
    lines += [
        f"anchors: {len(result.anchors)} rows, each fixes the overhead of its GPU, kernel and KV type",
        "",
    ]
    lines.append(f"{'group':<64} {'n':>6} {'mean':>9} {'median':>9} {'bias':>9} {'largest':>9}")
    by = groups(result.predictions)
    for dimension in SHOWN_DIMENSIONS:
        for value, error in by.get(dimension, {}).items():
            lines.append(_error_line(value, error))
        lines.append("")
    lines.append(_error_line("overall", summary(p.error for p in result.predictions)))
    short = short_rows(result.predictions)
    lines.append(f"rows below 20 us within max(10 %, 1 us): {short['within_limit']:.1%} of {short['n']}")
    lines += _baseline_lines(result)
    lines += _trend_lines(result)
    lines += ["", "worst rows"]
    for p in worst(result.predictions, WORST_SHOWN):
        shape = f"{p.case.shape.batch} x {p.case.shape.context} {p.case.row.q_heads}/{p.case.row.kv_heads}"
        values = f"{p.truth:>10.5g} {p.predicted:>10.5g} {p.case.row.unit:<8} {p.error:>8.1%}"
        lines.append(f"{p.case.row.id:<32} {p.case.names.kernel.profile:<20} {shape:<24} {values}")
    return "\n".join(lines)


def _skipped_lines(result: "Validation", listed: bool) -> list[str]:
    """Reasons with their counts, and where the rows are: the first ones here if no file lists them."""
    from sim.validation.skipped import counts_text

    done = f"{len(result.rows)} rows: {len(result.predictions)} predicted, {len(result.skipped)} skipped"
    if not result.skipped:
        return [done]
    counted = f"{done} ({counts_text(result.skipped)})"
    if listed:
        return [counted, "skipped.csv lists the skipped rows with their reasons"]
    first = [f"  {s.row.id}: {s.reason}"[:LONGEST_LINE] for s in result.skipped[:SKIPPED_SHOWN]]
    more = ["  ... (--out or --json for all of them)"] if len(result.skipped) > SKIPPED_SHOWN else []
    return [counted, *first, *more]


def _stand_in_lines(result: "Validation") -> list[str]:
    """Kernels that no rule knows, which were predicted as another of their class."""
    from sim.error_summary import summary

    rows = [p for p in result.predictions if p.case.names.stands_in]
    if not rows:
        return []
    named = sorted({f"{p.case.row.kernel} ({p.case.names.kernel.profile})" for p in rows})
    shown = ", ".join(named[:STAND_INS_SHOWN]) + (", ..." if len(named) > STAND_INS_SHOWN else "")
    error = f"mean error {summary(p.error for p in rows)['mape']:.1%}"
    count = f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}"
    return [f"{count} of kernels that no rule knows, predicted as another of their class ({error}): {shown}"]


def _error_line(name: str, error: dict[str, Any]) -> str:
    shares = " ".join(f"{error[key]:>9.2%}" for key in ("mape", "median_ape", "bias", "max_ape"))
    return f"{name[:64]:<64} {error['n']:>6} {shares}"


def _baseline_lines(result: "Validation") -> list[str]:
    lines = ["", f"{'baseline, and the model on the same rows':<64} {'n':>6} {'baseline':>9} {'model':>9}"]
    for name, baseline in result.baselines.items():
        if baseline.mape is None or baseline.model_mape is None:
            lines.append(f"{name:<64} {baseline.n:>6}  too few rows")
            continue
        lines.append(f"{name:<64} {baseline.n:>6} {baseline.mape:>9.2%} {baseline.model_mape:>9.2%}")
        for gpu, (n, mape, model) in baseline.by_gpu.items():
            lines.append(f"{'  ' + gpu:<64} {n:>6} {mape:>9.2%} {model:>9.2%}")
    return lines


def _trend_lines(result: "Validation") -> list[str]:
    from sim.validation.trends import trends

    if not result.changes:
        return []
    heads = f"{'pairs':>6} {'measured':>9} {'predicted':>9} {'mean off':>9} {'same way':>9}"
    lines = ["", f"{'what one change does: rows that differ in nothing else':<64} {heads}"]
    for kind, by_pair in trends(result.changes).items():
        for pair, t in by_pair.items():
            name = kind if pair == "all" else f"  {pair}"
            same = "" if t.same_way is None else f"{t.same_way:.0%}"
            lines.append(
                f"{name[:64]:<64} {t.n:>6} {t.measured:>8.3f}x {t.predicted:>8.3f}x {t.mape:>9.2%} {same:>9}"
            )
    return lines


def _write_all(result: "Validation", text: str, out: Path) -> None:
    from sim.cli.validation_plots import draw, draw_changes
    from sim.validation.output import write_changes, write_rows

    (out / "summary.txt").write_text(text + "\n", encoding="utf-8")
    write_rows(result, out / "predictions.csv")
    _write_skipped(result, out)
    draw(result.predictions, out)
    write_changes(result.changes, out / "trends.csv")
    if result.changes:
        draw_changes(result.changes, out)


def _write_skipped(result: "Validation", out: Path) -> None:
    from sim.validation.skipped import as_csv

    (out / "skipped.csv").write_text(as_csv(result.skipped), encoding="utf-8")


def _write(out: Path, job: str, write: Callable[[], None]) -> None:
    from sim.errors import InputError
    from sim.out_folder import mark_out

    try:
        mark_out(out, job)
        write()
    except OSError as error:
        raise InputError(f"{out}: --out: cannot be written: {error.strerror}") from None
