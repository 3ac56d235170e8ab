"""Simulate every distinct case once, in worker processes; finished ones are kept where a folder is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sim.sweep.execute import Simulate
from sim.sweep.facts import engine
from sim.sweep.points import Job, Point, named_files, point_hash
from sim.sweep.progress import progress_for
from sim.sweep.runner import run_local
from sim.sweep.store import Store
from sim.validation.cases import Mapped


@dataclass(frozen=True)
class Simulated:
    """Times of one case, without any framework's overhead; `error` says why there are none."""

    time_ns: float = 0.0
    bound_ns: float = 0.0
    error: str = ""
    defect: bool = False
    """The error is not the input's: stuck, a broken self-check, a crash."""
    fallback: str = ""
    """Why the sampled run was repeated at full fidelity, or nothing."""


def simulate_all(
    cases: Sequence[Mapped], simulate: Simulate, fidelity: str, jobs: int, folder: Path | None
) -> list[Simulated]:
    """One outcome per case, in their order; equal cases share one simulation.

    `simulate` returns something with `to_dict()` that has time_ns and bound_ns. Raises InputError for an unusable
    folder, KeyboardInterrupt when interrupted (what is finished stays in the folder).
    """
    if folder is None:
        with TemporaryDirectory(prefix="pagewalk-") as temporary:
            return _simulate_in(Path(temporary), cases, simulate, fidelity, jobs)
    return _simulate_in(folder, cases, simulate, fidelity, jobs)


def _simulate_in(
    folder: Path, cases: Sequence[Mapped], simulate: Simulate, fidelity: str, jobs: int
) -> list[Simulated]:
    version = engine()
    hashes: list[str] = []
    points: dict[str, Point] = {}
    for case in cases:
        job = Job(case.hw, case.workload, named_files(case.workload), fidelity, 0)
        digest = point_hash(job, version)
        hashes.append(digest)
        points.setdefault(digest, Point(len(points), digest, case.hw.name, case.workload.name, {}, job))
    store = Store(folder)
    store.create()
    with store.locked():
        store.sweep_up()
        _run([p for p in points.values() if _times(store, p.hash) is None], store, simulate, jobs)
        done = {digest: _outcome(store, digest) for digest in points}
    return [done[digest] for digest in hashes]


def _run(todo: list[Point], store: Store, simulate: Simulate, jobs: int) -> None:
    if not todo:
        return
    progress = progress_for(len(todo), "validate")
    try:
        run_local(_long_first(todo), store, simulate, min(jobs, len(todo)), progress)
    finally:
        progress.close()


def _long_first(points: list[Point]) -> list[Point]:
    """Most KV first, so that no long case is left over at the end."""

    def size(point: Point) -> int:
        workload = point.job.workload
        tokens = (
            sum(workload.context) if isinstance(workload.context, list) else workload.batch * workload.context
        )
        return int(tokens * workload.model.kv_heads * workload.model.head_dim)

    return sorted(points, key=size, reverse=True)


def _times(store: Store, digest: str) -> dict[str, Any] | None:
    """The stored result of a case, unless it is none with times: then the case runs again."""
    result = store.result(digest) or {}
    return (
        result if all(isinstance(result.get(key), int | float) for key in ("time_ns", "bound_ns")) else None
    )


def _outcome(store: Store, digest: str) -> Simulated:
    result = _times(store, digest)
    if result is not None:
        return Simulated(result["time_ns"], result["bound_ns"], fallback=result.get("fallback", ""))
    failure = store.failure(digest) or {"kind": "lost", "message": "no result was stored"}
    return Simulated(error=str(failure["message"]), defect=failure["kind"] != "bad input")
