"""`pagewalk characterise`: microbenchmarks of a machine beside what was measured on silicon."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.params import HARDWARE, json_option, print_json, seed_option, set_option

if TYPE_CHECKING:
    from sim.characterise.characterise import Row
    from sim.config.hardware import Hardware

SCHEMA = "pagewalk.characterisation/1"
JOB = "characterise"
"""Whose folder --out is: any machine's microbenchmarks take the place of earlier ones."""
NAMES = ("chase", "stream", "inflight", "gather", "table")
COLUMNS = ("section", "quantity", "x", "x_unit", "simulated", "unit", "measured", "difference", "source")


@click.command()
@click.option("--hw", "hardware", required=True, type=HARDWARE, help="The machine.")
@click.option(
    "--section",
    "sections",
    multiple=True,
    type=click.Choice(NAMES),
    help="Run this one only; give several.  [default: all]",
)
@set_option
@seed_option
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for characterisation.csv, .json, .png and .svg.",
)
@json_option
def characterise(
    hardware: str,
    sections: tuple[str, ...],
    sets: tuple[str, ...],
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a simulated machine as silicon is measured, and print both.

    Pointer chase over footprint, streams (replayed, cold, written), bandwidth against bytes in flight, gather of runs,
    block-table chase. Measured values come from hwconfigs/measured; a machine without any is only simulated.

    \b
    Examples:
      pagewalk characterise --hw a100_sxm_80gb
      pagewalk characterise --hw h100_sxm --section chase --set l2.replacement=lru
      pagewalk characterise --hw my_chip.yaml --out out/my_chip --json
    """
    from sim.config.load import load_hardware
    from sim.config.overrides import machine_overrides
    from sim.out_folder import check_out

    overrides = machine_overrides(sets)
    if out is not None:
        check_out(out, JOB)
    document = _document(load_hardware(hardware, overrides).spec, sections or NAMES, seed)
    if out is not None:
        _write(out, document)
    if as_json:
        print_json(document)
        return
    click.echo(_text(document))
    if out is not None:
        click.echo(
            f"\nwritten: {', '.join(f'{out}/characterisation.{end}' for end in ('csv', 'json', 'png', 'svg'))}"
        )


def _document(hw: "Hardware", sections: tuple[str, ...], seed: int) -> dict[str, Any]:
    import time
    from importlib.metadata import version

    from sim.characterise.characterise import characterise as run
    from sim.config.load import load_measured

    started = time.perf_counter()
    result = run(hw, load_measured(hw.name), sections, seed)
    return {
        "schema": SCHEMA,
        "pagewalk_version": version("pagewalk"),
        "seed": seed,
        "hardware": hw.model_dump(mode="json"),
        "sections": [name for name in NAMES if name in sections],
        "rows": [_plain(row) for row in result.rows],
        "curves": result.curves,
        "wall_s": time.perf_counter() - started,
    }


def _plain(row: "Row") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row) | {"measured": [asdict(value) for value in row.measured]}


def _write(out: Path, document: dict[str, Any]) -> None:
    import csv
    import json

    from reports.canvas import save
    from reports.characterisation import figure
    from sim.errors import InputError
    from sim.out_folder import mark_out

    try:
        mark_out(out, JOB)
        (out / "characterisation.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        with (out / "characterisation.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(_lines(document))
        save(out, "characterisation", figure(document))
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None


def _lines(document: dict[str, Any]) -> list[list[Any]]:
    """A line for each measured value; one with empty cells for a quantity without."""
    lines: list[list[Any]] = []
    for row in document["rows"]:
        head = [row[name] for name in COLUMNS[:6]]
        for value in row["measured"] or [{"measured": "", "difference": "", "source": ""}]:
            lines.append([*head, value["measured"], value["difference"], value["source"]])
    return lines


def _text(document: dict[str, Any]) -> str:
    from sim.cli.columns import columns

    clock = document["hardware"]["sm"]["clock_ghz"]
    rows = []
    for section, name, x, x_unit, simulated, unit, measured, difference, source in _lines(document):
        cycles = f"{simulated * clock:.0f}" if unit == "ns" else ""
        beside = ["-", ""] if measured == "" else [_number(measured), f"{difference:+.1%}"]
        at = f"{_number(x)} {x_unit}"
        rows.append([section, name, at, _number(simulated), unit, cycles, *beside, source])
    title = ["section", "quantity", "at", "simulated", "unit", "cycles", "measured", "difference", "source"]
    name, seconds = document["hardware"]["name"], document["wall_s"]
    return f"{name} at {clock:g} GHz, {seconds:.0f} s\n\n{columns(rows, title)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
