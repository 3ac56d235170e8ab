"""The list of commands, and the click group that imports one only when it is asked for."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

Lazy = Mapping[str, tuple[str, str]]

COMMANDS: Lazy = {
    "run": ("sim.cli.run:run", "Simulate one workload on one machine."),
    "sweep": ("sim.cli.sweep:sweep", "Run every point of a sweep file; resumes by default."),
    "compare": ("sim.cli.compare:compare", "Several machines side by side on one workload."),
    "report": ("sim.cli.report:report", "Turn a sweep folder into one HTML page and plots."),
    "trace": ("sim.cli.trace:trace", "Write the reference engine's trace of a workload."),
    "verify": ("sim.cli.verify:verify", "Run the functional kernels against stored cases."),
    "characterise": (
        "sim.cli.characterise:characterise",
        "Microbenchmarks of a machine beside measured values.",
    ),
    "kv": ("sim.cli.kv:kv", "Prefix-cache hit rate against capacity, for a request trace."),
    "calibrate": ("sim.cli.calibrate:calibrate", "Fit a machine or a kernel profile to measured times."),
    "hw": ("sim.cli.hw:hw", "List, show and check hardware configs."),
    "workload": ("sim.cli.workload:workload", "List, show and check workloads."),
    "schema": ("sim.cli.schema:schema", "JSON Schema of the config files, for editors."),
}
VALIDATE: Lazy = {
    "attention": ("sim.cli.validate_attention:attention", "Kernel times against measured ones."),
    "dram": ("sim.cli.validate_dram:dram", "Memory model against DRAM simulators."),
    "kvcache": ("sim.cli.validate_kvcache:kvcache", "Prefix-cache counts against exact references."),
}
LATER = ("explore", "sensitivity", "claims")
VALIDATE_LATER = ("serving",)


class PipeClosed(Exception):
    """The reader of standard output went away; click would end with 1, which means a failed check."""


class LazyGroup(click.Group):
    """A group whose commands are named as 'module:object' and imported on use.

    `later` are names of commands that do not exist yet: they are refused by name and not listed.
    """

    def __init__(self, *args: Any, lazy: Lazy, later: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy
        self.later = later

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise PipeClosed from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module_name, _, attribute = self.lazy[cmd_name][0].partition(":")
        try:
            command = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            return None
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name in self.later or (name in self.lazy and self.get_command(ctx, name) is None):
            path = f"{ctx.command_path} {name}"
            raise click.UsageError(f"'{path}' does not exist yet in this version of pagewalk.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, text) in self.lazy.items()]
        rows += [(name, command.get_short_help_str(100)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
