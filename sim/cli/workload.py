"""`pagewalk workload list|show|check`: what is run on a machine."""

from pathlib import Path

import click

from sim.cli.columns import columns, number_text
from sim.cli.params import WORKLOAD, json_option, print_json, set_option

SCHEMA = "pagewalk.workload/1"


@click.group()
def workload() -> None:
    """List, show and check workloads."""


@workload.command(name="list", epilog="Example: pagewalk workload list")
@json_option
def list_workloads(as_json: bool) -> None:
    """The workloads, models, kernel profiles and runtimes that ship."""
    from sim.config.catalog import shipped
    from sim.config.load import load_any_workload
    from sim.config.micro import Micro

    found = [(name, load_any_workload(name).spec) for name in shipped("workload")]
    models, kernels, runtimes = shipped("model"), shipped("kernel profile"), shipped("runtime")
    if as_json:
        items = [{"name": name, "description": spec.description} for name, spec in found]
        print_json(
            {
                "schema": "pagewalk.workload_list/1",
                "workloads": items,
                "models": models,
                "kernels": kernels,
                "runtimes": runtimes,
            }
        )
        return
    rows = [
        (name, spec.kind, spec.benchmark, "-", spec.description)
        if isinstance(spec, Micro)
        else (name, spec.kind, spec.phase, f"{spec.batch}", spec.description)
        for name, spec in found
    ]
    click.echo(columns(rows, ("name", "kind", "phase", "batch", "description")))
    click.echo(f"\nmodels: {', '.join(models)}\nkernel profiles: {', '.join(kernels)}")
    click.echo(f"runtimes: {', '.join(runtimes)}")


@workload.command(epilog="Example: pagewalk workload show decode_64x8k --set workload.batch=8")
@click.argument("name", type=WORKLOAD, metavar="NAME")
@set_option
@json_option
def show(name: str, sets: tuple[str, ...], as_json: bool) -> None:
    """One workload with its defaults, what it inherits, and the shape of its model."""
    from sim.config.load import load_any_workload, model_of
    from sim.config.merge import leaves
    from sim.config.micro import Micro
    from sim.config.overrides import workload_overrides
    from sim.config.problems import path_text

    resolved = load_any_workload(name, workload_overrides(sets))
    spec = resolved.spec
    dump = spec.model_dump(mode="json")
    model = None if isinstance(spec, Micro) else model_of(spec).model_dump(mode="json")
    if as_json:
        print_json({"schema": SCHEMA, "file": resolved.path, "config": dump, "model": model})
        return
    if isinstance(dump.get("model"), dict):
        dump["model"] = "given here"
    rows = [
        (key, number_text(value), resolved.origin.get(key, "default"))
        for key, value in ((path_text(path), value) for path, value in leaves(dump))
    ]
    rows += [(f"model.{key}", number_text(value), dump["model"]) for key, value in (model or {}).items()]
    click.echo(columns(rows, ("key", "value", "set at")))


@workload.command(epilog="Example: pagewalk workload check my_workload.yaml")
@click.argument("file", type=WORKLOAD, metavar="FILE")
@click.option(
    "--kind",
    type=click.Choice(["workload", "model", "kernel", "runtime"]),
    default="workload",
    show_default=True,
    help="What the file is: a workload, or what one names.",
)
@json_option
def check(file: str, kind: str, as_json: bool) -> None:
    """Report every problem of a workload, or of a model, a kernel profile or a runtime."""
    from sim.config.load import load_any_workload, load_part

    resolved = load_any_workload(file) if kind == "workload" else load_part(kind, file)
    name = getattr(resolved.spec, "name", "") or Path(resolved.path).stem
    if as_json:
        print_json({"schema": "pagewalk.workload_check/1", "file": resolved.path, "name": name})
    else:
        click.echo(f"{name}: no errors")
