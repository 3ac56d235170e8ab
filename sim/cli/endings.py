"""How a command may end, and the exit code that says so.

0 done; 1 finished, and a check failed; 2 bad usage or bad input; 3 the simulated machine is stuck;
70 a defect of pagewalk; 130 interrupted (as shells report SIGINT); 141 the reader of a pipe went away.
"""

import os
import platform
import sys
import traceback
from collections.abc import Sequence

import click

from sim.cli.registry import PipeClosed
from sim.errors import InputError, SelfCheckError, StuckError

DONE, CHECK_FAILED, BAD_INPUT, STUCK, INTERNAL, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 70, 130, 141


def exit_code_of(command: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command; say on standard error what went wrong; return the exit code."""
    try:
        outcome = command.main(
            list(arguments) if arguments is not None else None, "pagewalk", standalone_mode=False
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else DONE if error.code is None else CHECK_FAILED
    except Exception as error:
        return _after(error)
    # click hands an exit code (ctx.exit) back as the outcome; commands themselves return nothing.
    return outcome if isinstance(outcome, int) else DONE


def _after(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        # Files that cannot be opened and the like are bad input here; click's own code for them is 1.
        error.show()
        return BAD_INPUT
    if isinstance(error, PipeClosed | BrokenPipeError):
        return _close_pipe()
    if isinstance(error, StuckError):
        return _say(f"the simulated machine is stuck: {error}", STUCK)
    if _is_bad_input(error):
        return _say(str(error), BAD_INPUT)
    if isinstance(error, OSError) and error.filename:
        # A path of the user that cannot be read or written, a full disk: nothing that we could mend.
        return _say(f"{error.filename}: {error.strerror}", BAD_INPUT)
    return _defect(error)


def _is_bad_input(error: Exception) -> bool:
    from kernels_ref.errors import InputError as EngineInputError

    return isinstance(error, InputError | EngineInputError)


def _say(text: str, code: int) -> int:
    from sim.config.problems import printable

    for line in text.splitlines():
        click.echo(printable(line), err=True)
    return code


def _close_pipe() -> int:
    # The interpreter flushes standard output once more at its end and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _defect(error: Exception) -> int:
    from importlib.metadata import version

    what = "a self-check failed" if isinstance(error, SelfCheckError) else "internal error"
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(
        f"\n{what}: this is a defect of pagewalk, not of your input. Please report it as an issue of the "
        f"project, with the lines above and these:\n"
        f"  pagewalk {version('pagewalk')}, Python {platform.python_version()}, {platform.platform()}\n"
        f"  command: {' '.join(sys.argv)}",
        err=True,
    )
    return INTERNAL
