"""One sweep from plan to results.csv: expand, skip what is finished, run the rest, write the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.out_folder import refuse_another
from sim.sweep.execute import Simulate
from sim.sweep.points import Plan, Point
from sim.sweep.progress import Progress, progress_for
from sim.sweep.runner import run_local
from sim.sweep.store import Store, manifest, write_manifest
from sim.sweep.table import write_table


@dataclass(frozen=True)
class Outcome:
    """Counts of one start of a sweep; `failures` are (point, message)."""

    total: int
    resumed: int
    ran: int
    failures: tuple[tuple[Point, str], ...]


@dataclass(frozen=True)
class Request:
    """How to run: where to, in how many processes or on which cluster, and whether to forget old results."""

    folder: Path
    jobs: int = 1
    scheduler: str | None = None
    restart: bool = False


def run_sweep(
    kind: str,
    name: str,
    plan: Plan,
    points: Sequence[Point],
    facts: dict[str, Any],
    simulate: Simulate,
    request: Request,
) -> Outcome:
    """Run what is not finished yet and write results.csv. `kind`: sweep or compare.

    Raises InputError (folder in use, unusable or of another job, no scheduler), KeyboardInterrupt (finished points
    are kept).
    """
    refuse_another(request.folder, f"{kind} {name}")
    store = Store(request.folder)
    store.create()
    with store.locked():
        store.sweep_up()
        if request.restart:
            store.forget([p.hash for p in points])
        write_manifest(store.folder, manifest(kind, name, plan, points, facts))
        todo = [p for p in points if not store.is_finished(p.hash)]
        if todo:
            _run(todo, store, simulate, request, progress_for(len(points), kind, len(points) - len(todo)))
        write_table(store, points)
    return Outcome(len(points), len(points) - len(todo), len(todo), _failures(store, points))


def _run(
    todo: Sequence[Point], store: Store, simulate: Simulate, request: Request, progress: Progress
) -> None:
    try:
        if request.scheduler is not None:
            from sim.sweep.cluster import run_cluster

            run_cluster(todo, store, simulate, request.scheduler, progress)
        else:
            run_local(todo, store, simulate, request.jobs, progress)
    finally:
        progress.close()


def _failures(store: Store, points: Sequence[Point]) -> tuple[tuple[Point, str], ...]:
    failed = [(p, store.failure(p.hash)) for p in points if not store.is_finished(p.hash)]
    return tuple((p, str(why["message"])) for p, why in failed if why is not None)
