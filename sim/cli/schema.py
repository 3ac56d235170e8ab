"""`pagewalk schema hardware|workload|sweep`: JSON Schema, for editors."""

import click

from sim.cli.params import print_json


@click.command(epilog="Example: pagewalk schema hardware > hardware.schema.json")
@click.argument("kind", type=click.Choice(["hardware", "workload", "sweep"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind of config file; editors complete and check keys with it."""
    from sim.config.schema_export import json_schema

    print_json(json_schema(kind))
