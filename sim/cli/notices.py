"""What the simulator says while a user at a terminal waits for something else than a run: each notice once."""

import logging
import sys

import click


class _OnTerminal(logging.Handler):
    """Writes to standard error, each text once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._said and sys.stderr.isatty():
            self._said.add(text)
            click.echo(text, err=True)


def show_notices() -> None:
    """From now on, show what the packages log for users."""
    logger = logging.getLogger("sim")
    if not any(isinstance(handler, _OnTerminal) for handler in logger.handlers):
        logger.addHandler(_OnTerminal())
        logger.setLevel(logging.INFO)
