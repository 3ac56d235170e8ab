"""Arguments that several commands share: config names with completion, `--set`, `--json`."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from sim.config.catalog import Kind

Command = TypeVar("Command", bound=Callable[..., Any])


class ConfigName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A shipped name or a path; the loader reports what is wrong with it."""

    name = "name or path"

    def __init__(self, kind: "Kind") -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from sim.config.catalog import shipped

        names = [CompletionItem(name) for name in shipped(self.kind) if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


class FiniteRange(click.FloatRange):
    """A number within bounds. Bounds alone let nan through, which compares false with all of them, and inf, which no
    error exceeds: a check against either would always pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


HARDWARE = ConfigName("hardware")
WORKLOAD = ConfigName("workload")


def set_option(command: Command) -> Command:
    """`--set PATH=VALUE`, as often as needed; arrives as the tuple `sets`."""
    return click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="PATH=VALUE",
        help="Override one key: hw.PATH (or a bare PATH) of the machine, workload.PATH of the workload.",
    )(command)


def seed_option(command: Command) -> Command:
    """`--seed N`, as large as a sweep file takes it; arrives as `seed`."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        metavar="N",
        default=0,
        show_default=True,
        help="Seed of every random choice.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`; arrives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")(
        command
    )


def print_json(data: Any) -> None:
    """One JSON object on standard output; what does not apply is null, NaN is a defect."""
    import json

    click.echo(json.dumps(data, indent=2, allow_nan=False))
