"""Run the unfinished points of a sweep on this machine, in worker processes.

Always in workers, also with one job: Ctrl-C then ends compiled code at once, and a point that exhausts
memory takes its worker with it and not the sweep.
"""

import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from sim.sweep.execute import Simulate
from sim.sweep.points import Point
from sim.sweep.progress import Progress
from sim.sweep.store import Store
from sim.sweep.worker import run_and_store, start

TICK_S = 0.25
"""How often progress is looked at while nothing finishes."""

Running = dict[Future[bool], Point]


def run_local(
    points: Sequence[Point], store: Store, simulate: Simulate, jobs: int, progress: Progress
) -> None:
    """Run `points` in `jobs` processes; each is in the store, as result or failure, when this returns.

    When a worker dies, every point that was in flight is run again alone: the one that dies again is the
    culprit and fails. Raises KeyboardInterrupt after the workers are gone.
    """
    pending = deque(points)
    while pending:
        for suspect in _run_wave(pending, store, simulate, jobs, progress):
            if _run_wave(deque([suspect]), store, simulate, 1, progress):
                message = "the worker process ended without an answer (killed, or out of memory)"
                store.put_failure(suspect.hash, {"kind": "killed", "message": message})
                progress.advance(ok=False)


def _run_wave(
    pending: deque[Point], store: Store, simulate: Simulate, jobs: int, progress: Progress
) -> list[Point]:
    """Consume `pending` until it is empty or a worker dies; returns the points that were in flight then."""
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=start)
    running: Running = {}
    try:
        while pending or running:
            _refill(pool, pending, running, jobs, store.folder, simulate)
            _collect(running, progress)
    except BrokenProcessPool:
        return _lost(running, store, progress)
    except KeyboardInterrupt:
        _stop(pool)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return []


def _lost(running: Running, store: Store, progress: Progress) -> list[Point]:
    """In-flight points without a stored result; those that were stored before the worker died are done."""
    lost = [point for point in running.values() if not store.is_finished(point.hash)]
    for _ in range(len(running) - len(lost)):
        progress.advance(ok=True)
    return lost


def _refill(
    pool: ProcessPoolExecutor,
    pending: deque[Point],
    running: Running,
    jobs: int,
    folder: Path,
    simulate: Simulate,
) -> None:
    while pending and len(running) < jobs:
        point = pending[0]
        running[pool.submit(run_and_store, simulate, folder, point.hash, point.job)] = point
        pending.popleft()


def _collect(running: Running, progress: Progress) -> None:
    done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
    for future in done:
        ok = future.result()
        del running[future]
        progress.advance(ok=ok)
    progress.tick()


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers now: what they compute is lost, what they stored is whole."""
    for child in multiprocessing.active_children():
        child.kill()
    pool.shutdown(wait=False, cancel_futures=True)
