"""Progress of many runs on standard error: a live bar on a terminal, else one plain line every ten seconds."""

import os
import sys
import time
from typing import Any, Protocol, TextIO

PLAIN_EVERY_S = 10.0


class Progress(Protocol):
    def advance(self, *, ok: bool) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


class PlainProgress:
    """`sweep: 12/24 points, 0 failed, 31 s, about 31 s left`, at most every ten seconds and at the end. `kept` of the
    points were there before the start."""

    def __init__(self, total: int, stream: TextIO | None = None, what: str = "sweep", kept: int = 0) -> None:
        self.total = total
        self.what = what
        self.kept = self.done = kept
        self.failed = 0
        self.stream = stream or sys.stderr
        self.started = self.printed = time.monotonic()

    def advance(self, *, ok: bool) -> None:
        self.done += 1
        self.failed += not ok

    def tick(self) -> None:
        if time.monotonic() - self.printed >= PLAIN_EVERY_S:
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        self.printed = time.monotonic()
        spent = self.printed - self.started
        ran = self.done - self.kept
        left = f", about {spent / ran * (self.total - self.done):.0f} s left" if ran else ""
        ending = "" if self.done == self.total else left
        text = f"{self.what}: {self.done}/{self.total} points, {self.failed} failed, {spent:.0f} s{ending}"
        print(text, file=self.stream, flush=True)


class RichProgress:
    """A live bar; only for terminals."""

    def __init__(self, total: int, what: str = "sweep", kept: int = 0) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        self.failed = 0
        self.bar: Any = Bar(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task(what, total=total, completed=kept, failed=0)
        self.bar.start()

    def advance(self, *, ok: bool) -> None:
        self.failed += not ok
        self.bar.update(self.task, advance=1, failed=self.failed)

    def tick(self) -> None:
        """The bar redraws itself."""

    def close(self) -> None:
        self.bar.stop()


def progress_for(total: int, what: str = "sweep", kept: int = 0) -> Progress:
    """Of `total` points, of which `kept` are there already."""
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return RichProgress(total, what, kept) if live else PlainProgress(total, what=what, kept=kept)
