"""The command `pagewalk`: what there is, and which exit code an ending means.

Commands are imported when they are invoked, so that `--help` needs click alone.
"""

import sys
from collections.abc import Sequence

import click

from sim.cli.endings import exit_code_of
from sim.cli.notices import show_notices
from sim.cli.registry import COMMANDS, LATER, VALIDATE, VALIDATE_LATER, LazyGroup

HELP = """Simulate accelerators running paged attention, and say what every SM-cycle waits for.

A name means a shipped config (see `pagewalk hw list` and `pagewalk workload list`); the path of a YAML
file works everywhere a name does. Units: GB = 10^9 bytes; KiB, MiB, GiB are binary.

\b
Examples:
  pagewalk hw list
  pagewalk run decode_64x8k --hw h100_sxm
  pagewalk run decode_64x8k --hw h100_sxm --set sm.sram_kib=512 --json
"""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    later=LATER,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(None, "--version", package_name="pagewalk", prog_name="pagewalk")
def pagewalk() -> None:
    """Root of all commands."""


@pagewalk.group(name="validate", cls=LazyGroup, lazy=VALIDATE, later=VALIDATE_LATER)
def validate() -> None:
    """Compare predictions with measured or simulated truth."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: runs one command and exits 0, 1, 2, 3, 70 or 130 (see sim.cli.endings)."""
    show_notices()
    sys.exit(exit_code_of(pagewalk, arguments))
