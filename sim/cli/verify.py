"""`pagewalk verify CASE.npz...`: the functional kernels against stored cases."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kernels_ref.cases import Check

SCHEMA = "pagewalk.verify/1"


@click.command(epilog="Example: pagewalk verify cases/*.npz --json")
@click.argument("cases", nargs=-1, required=True, metavar="CASE.npz...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option(
    "--precision",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Arithmetic of the paged kernel; allowed error 1e-10 or 1e-5 of 1+|x|.",
)
def verify(cases: tuple[Path, ...], as_json: bool, precision: str) -> None:
    """Run stored kernel cases and compare with their expected outputs.

    A line per case with its largest error, relative to 1+|expected|; codes and caches must match exactly,
    there the error counts the elements that differ. Ends with 1 if a case fails, with 2 if a file is
    unusable.
    """
    rows = _run_all(cases, precision)
    failed = sum(not row["ok"] for row in rows)
    if as_json:
        _print_json(rows, failed)
    else:
        _print_table(rows, failed)
    if failed:
        raise SystemExit(1)


def _run_all(cases: tuple[Path, ...], precision: str) -> list[dict[str, Any]]:
    """One row per case; every unusable file is collected before anything is printed."""
    from kernels_ref import errors as engine_errors
    from kernels_ref.case_ops import passed, run_case
    from kernels_ref.cases import load_case
    from sim.errors import InputError

    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for path in cases:
        try:
            case = load_case(path)
            checks = run_case(case, precision)
        except engine_errors.InputError as error:
            problems += error.problems
            continue
        ok = passed(checks, precision)
        notes = [check.note for check in checks if check.note]
        row = {"file": str(path), "name": case.name, "op": case.op, "ok": ok}
        rows.append(row | {"worst": _worst(checks, ok), "notes": notes})
    if problems:
        raise InputError(*problems)
    return rows


def _worst(checks: "list[Check]", ok: bool) -> "Check":
    """The check with the largest error; of a failed case a failed exact check first."""
    if not ok:
        broken = [check for check in checks if check.exact and check.error > 0]
        checks = broken or checks
    return max(checks, key=lambda check: check.error)


def _print_json(rows: list[dict[str, Any]], failed: int) -> None:
    import json
    import math

    found = [
        {
            "file": row["file"],
            "name": row["name"],
            "op": row["op"],
            "ok": row["ok"],
            "max_error": row["worst"].error if math.isfinite(row["worst"].error) else None,
        }
        for row in rows
    ]
    result = {"schema": SCHEMA, "cases": found, "passed": len(rows) - failed, "failed": failed}
    click.echo(json.dumps(result, indent=2, allow_nan=False))


def _print_table(rows: list[dict[str, Any]], failed: int) -> None:
    name_width = max(len(row["name"]) for row in rows)
    op_width = max(len(row["op"]) for row in rows)
    for row in rows:
        worst = row["worst"]
        verdict = "ok" if row["ok"] else "FAILED"
        parts = [
            f"{verdict:<6}",
            f"{row['name']:<{name_width}}",
            f"{row['op']:<{op_width}}",
            f"{worst.error:.2e}",
        ]
        parts += [] if row["ok"] else [f"in {worst.what}"]
        click.echo("  ".join(parts + row["notes"]))
    click.echo(f"{len(rows) - failed} passed, {failed} failed")
