"""What runs inside a worker process: one point, stored by the worker itself as soon as it is finished."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from pathlib import Path

from sim.sweep.execute import Simulate, execute
from sim.sweep.points import Job
from sim.sweep.store import Store


def start() -> None:
    """Ctrl-C is the parent's to handle; and a worker must not outlive a parent that was killed.

    Without the watch, a worker of a killed sweep would wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def run_and_store(simulate: Simulate, folder: Path, digest: str, job: Job) -> bool:
    """True when the point succeeded. The file is there before the parent hears of it."""
    result, failure = execute(simulate, job)
    store = Store(folder)
    if result is not None:
        store.put(digest, result)
    elif failure is not None:
        store.put_failure(digest, failure)
    return result is not None
