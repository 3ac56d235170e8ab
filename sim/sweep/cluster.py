"""Run points on a dask cluster (`--scheduler ADDRESS`); the results come back here and are stored here."""

from collections.abc import Sequence

from sim.errors import InputError
from sim.sweep.execute import Simulate, execute
from sim.sweep.points import Point
from sim.sweep.progress import Progress
from sim.sweep.store import Store

CONNECT_TIMEOUT_S = 10


def run_cluster(
    points: Sequence[Point], store: Store, simulate: Simulate, address: str, progress: Progress
) -> None:
    """As `run_local`, on the workers of the scheduler at `address`, which need the same pagewalk installed.

    Raises InputError when dask is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise InputError(
            "--scheduler: needs the package 'distributed', which is not installed; "
            "pip install 'pagewalk[cluster]', or use --jobs for processes on this machine"
        ) from None
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"--scheduler: no dask scheduler answers at {address} ({error})") from None
    with client:
        futures = {
            client.submit(execute, simulate, p.job, key=f"pagewalk-{p.hash}", pure=False): p for p in points
        }
        for future in as_completed(futures):
            _keep(store, futures[future], future, progress)


def _keep(store: Store, point: Point, future: object, progress: Progress) -> None:
    try:
        result, failure = future.result()  # type: ignore[attr-defined]
    except Exception as error:
        result, failure = None, {"kind": "killed", "message": f"the cluster lost this point: {error}"}
    if result is not None:
        store.put(point.hash, result)
    else:
        store.put_failure(point.hash, failure)
    progress.advance(ok=result is not None)
    progress.tick()
