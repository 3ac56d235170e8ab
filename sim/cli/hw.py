"""`pagewalk hw list|show|check`: hardware configs, and where each of their numbers comes from."""

from typing import TYPE_CHECKING, Any

import click

from sim.cli.columns import columns, number_text
from sim.cli.params import HARDWARE, json_option, print_json, set_option

if TYPE_CHECKING:
    from sim.config.hardware import Hardware
    from sim.config.load import Resolved

SCHEMA = "pagewalk.hw/1"
UNITS = (
    "Units are in the keys: GB/s = 10^9 B/s; KiB, MiB, GiB are binary; a bare number is a count or fraction."
)


@click.group()
def hw() -> None:
    """List, show and check hardware configs."""


@hw.command(name="list", epilog="Example: pagewalk hw list")
@json_option
def list_hardware(as_json: bool) -> None:
    """The machines that ship."""
    from sim.config.catalog import shipped
    from sim.config.load import load_hardware

    found = [(name, load_hardware(name).spec) for name in shipped("hardware")]
    if as_json:
        items = [{"name": name, "description": spec.description} for name, spec in found]
        print_json({"schema": "pagewalk.hw_list/1", "hardware": items})
        return
    rows = [
        (name, f"{spec.sm.count}", f"{spec.sm.sram_kib}", spec.hbm.standard, spec.description)
        for name, spec in found
    ]
    click.echo(columns(rows, ("name", "SMs", "SRAM KiB", "memory", "description")))


@hw.command(epilog="Example: pagewalk hw show h100_sxm --set sm.sram_kib=512")
@click.argument("name", type=HARDWARE, metavar="NAME")
@set_option
@json_option
def show(name: str, sets: tuple[str, ...], as_json: bool) -> None:
    """One machine with everything it inherits, and the source of every number."""
    from sim.config.load import load_hardware
    from sim.config.overrides import machine_overrides

    resolved = load_hardware(name, machine_overrides(sets))
    rows = provenance_rows(resolved)
    if as_json:
        spec = resolved.spec.model_dump(mode="json")
        print_json({"schema": SCHEMA, "file": resolved.path, "config": spec, "values": rows})
        return
    click.echo(f"{resolved.spec.name}: {resolved.spec.description}".rstrip(": "))
    click.echo(f"{UNITS}\n")
    table = [(row["key"], number_text(row["value"]), row["set_at"] or "", _source_text(row)) for row in rows]
    click.echo(columns(table, ("key", "value", "set at", "source")))


@hw.command(epilog="Example: pagewalk hw check my_chip.yaml")
@click.argument("file", type=HARDWARE, metavar="FILE")
@click.option(
    "--require-sources", is_flag=True, help="End with 1 if a number that a file sets has no source."
)
@json_option
def check(file: str, require_sources: bool, as_json: bool) -> None:
    """Report every problem of a config, also where its memory system cannot be built, and its numbers without a
    source."""
    from sim.config.load import load_hardware
    from sim.config.placed import places_named
    from sim.config.provenance import numbers, unsourced
    from sim.memory.params import build as build_device

    resolved = load_hardware(file)
    with places_named(hw=resolved):
        build_device(resolved.spec)
    missing = unsourced(resolved.spec, resolved.raw)
    count = len(numbers(resolved.spec))
    if as_json:
        print_json(
            {
                "schema": "pagewalk.hw_check/1",
                "file": resolved.path,
                "name": resolved.spec.name,
                "numbers": count,
                "without_source": missing,
            }
        )
    else:
        click.echo(f"{resolved.spec.name}: no errors; {count} numbers, {len(missing)} set without a source")
        for key in missing:
            click.echo(f"  {resolved.origin.get(key, file)}: {key}: no source; add sources: {{{key}: ...}}")
    if missing and require_sources:
        raise SystemExit(1)


def provenance_rows(resolved: "Resolved[Hardware]") -> list[dict[str, Any]]:
    """Every value of a machine by key path: what it is, who vouches for it, which line set it.

    `source` is null for what has none; `set_at` is null for what is left at the schema's default.
    """
    from sim.config.merge import leaves
    from sim.config.problems import path_text

    dump = resolved.spec.model_dump(mode="json", exclude={"sources", "name", "description"})
    rows = []
    for path, value in leaves(dump):
        key = path_text(path)
        source = resolved.spec.sources.get(key)
        rows.append(
            {
                "key": key,
                "value": value,
                "source": source.model_dump(mode="json") if source else None,
                "set_at": resolved.origin.get(key),
            }
        )
    return rows


def _source_text(row: dict[str, Any]) -> str:
    source = row["source"]
    if source is None:
        return "default of the schema" if row["set_at"] is None else "none given"
    low_high = (
        f" [{number_text(source['range'][0])}..{number_text(source['range'][1])}]" if source["range"] else ""
    )
    return f"{source['kind']}{low_high}: {source['ref']}"
