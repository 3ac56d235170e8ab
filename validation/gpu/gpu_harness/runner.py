"""Run one section as a process, hand on its rows as they come, end it at its time limit."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from gpu_harness.rows import MalformedRow, parse_line


@dataclass(frozen=True)
class Outcome:
    """How a section ended: `reason` is empty when it ran to its end."""

    rows: int
    reason: str


def run_section(
    command: list[str],
    limit_s: float,
    log: Path,
    on_row: Callable[[dict[str, object]], None],
    cwd: Path | None = None,
) -> Outcome:
    """Run `command`; every JSON line of its output goes to `on_row`, all other output to `log`.

    A process that outlives `limit_s` is killed (its GPU work ends with it); the rows it printed before count.
    """
    with log.open("w", encoding="utf-8") as log_file:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log_file, text=True, cwd=cwd, start_new_session=True
        )
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            end_group(process)

        timer = threading.Timer(limit_s, give_up)
        timer.start()
        try:
            rows, reason = read_rows(process, log_file, on_row)
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                end_group(process)
                process.wait()
    if timed_out.is_set():
        reason = f"ended at its limit of {limit_s:.0f} s after {rows} rows"
    elif code != 0:
        reason = f"exit code {code} after {rows} rows: {last_line(log)}"
    return Outcome(rows, reason)


def read_rows(
    process: "subprocess.Popen[str]", log_file: TextIO, on_row: Callable[[dict[str, object]], None]
) -> tuple[int, str]:
    """Rows handed on until the output ends, and what was wrong with the last line that was none."""
    rows, reason = 0, ""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            if not line.lstrip().startswith("{"):
                log_file.write(line)
                continue
            try:
                on_row(parse_line(line))
                rows += 1
            except MalformedRow as error:
                reason = f"malformed row: {error}"
    return rows, reason


def end_group(process: "subprocess.Popen[str]") -> None:
    """Kill the process and the compilers that it started: they hold its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def last_line(log: Path) -> str:
    """The last line of a log that says something, cut to 200 characters."""
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    return lines[-1][:200] if lines else "no message"
