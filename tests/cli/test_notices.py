"""Notices reach a terminal once, and nothing else."""

import logging
import sys

import pytest

from sim.cli.notices import show_notices


@pytest.mark.parametrize(("terminal", "shown"), [(True, 1), (False, 0)])
def test_a_notice_is_shown_once_and_on_a_terminal_only(
    terminal: bool, shown: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("sim")
    monkeypatch.setattr(logger, "handlers", [])
    show_notices()
    show_notices()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    for _ in range(2):
        logging.getLogger("sim.memory.one_module").info("compiling")
    out, err = capsys.readouterr()
    assert (out, err.count("compiling")) == ("", shown)
