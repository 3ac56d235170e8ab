"""`pagewalk validate kvcache`: exact prefix-cache counts against a stored reference."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.cli.params import FiniteRange

if TYPE_CHECKING:
    from kernels_ref.kvcache_reference import Comparison


@click.command(epilog="Example: pagewalk validate kvcache reference_hits.json --traces traces/")
@click.argument("reference", metavar="REFERENCE.json", type=click.Path(path_type=Path))
@click.option(
    "--traces",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the traces that the reference names.",
)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for counts.csv, all rows compared."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option(
    "--max-error",
    type=FiniteRange(min=0),
    metavar="X",
    help="End with 1 only if the mean relative difference exceeds X (a fraction); without it, on any difference.",
)
def kvcache(reference: Path, traces: Path, out: Path | None, as_json: bool, max_error: float | None) -> None:
    """Replay every case of a reference and compare all integers with the counts seen here.

    Requests run one after the other, ids are blocks, a hit is a resident leading id. Ends with 1 if any
    integer differs, with 2 if a file is unusable.
    """
    from kernels_ref.kvcache_reference import compare_with_reference, not_compared
    from sim.out_folder import check_out

    job = f"validate kvcache {reference.name}"
    if out is not None:
        check_out(out, job)
    rows = list(compare_with_reference(reference, traces))
    if ignored := not_compared(reference):
        click.echo(f"not compared, no replay counts them: {', '.join(ignored)}", err=True)
    if out is not None:
        _write(rows, out, job)
    if as_json:
        _print_json(rows)
    else:
        _print_table(rows)
    error = sum(row.relative_error for row in rows) / max(len(rows), 1)
    if error > max_error if max_error is not None else not all(row.ok for row in rows):
        raise SystemExit(1)


def _write(rows: "list[Comparison]", out: Path, job: str) -> None:
    import csv

    from sim.errors import InputError
    from sim.out_folder import mark_out

    try:
        mark_out(out, job)
        with (out / "counts.csv").open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(("trace", "case", "field", "asked", "seen"))
            table.writerows((row.trace, row.case, row.field, row.asked, row.seen) for row in rows)
    except OSError as error:
        raise InputError(f"{out}: --out: cannot be written: {error.strerror}") from None


def _print_json(rows: "list[Comparison]") -> None:
    import json
    from dataclasses import asdict

    wrong = [asdict(row) for row in rows if not row.ok]
    result = {"kind": "kvcache", "rows": len(rows), "mismatches": wrong, "ok": not wrong}
    click.echo(json.dumps(result, indent=2, allow_nan=False))


def _print_table(rows: "list[Comparison]") -> None:
    width = max((len(f"{row.case} {row.field}") for row in rows), default=0)
    trace = ""
    for row in rows:
        if row.trace != trace:
            trace = row.trace
            click.echo(f"{trace}\n  {'count':<{width}}  {'asked':>10}  {'seen':>10}")
        what = f"{row.case} {row.field}"
        verdict = "" if row.ok else "  DIFFERS"
        click.echo(f"  {what:<{width}}  {row.asked:>10}  {row.seen:>10}{verdict}")
    wrong = sum(not row.ok for row in rows)
    click.echo(f"{len(rows) - wrong} of {len(rows)} integers equal, {wrong} differ")
