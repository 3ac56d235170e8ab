"""`pagewalk schema KIND`: JSON Schema of a kind of config file, for editors."""

import click

from sim.cli.params import print_json

KINDS = ("hardware", "workload", "sweep", "model", "kernel", "runtime")


@click.command(epilog="Example: pagewalk schema hardware > hardware.schema.json")
@click.argument("kind", type=click.Choice(KINDS))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind of config file; editors complete and check keys with it."""
    from sim.config.schema_export import json_schema

    print_json(json_schema("kernel profile" if kind == "kernel" else kind))
