"""The sweep folder: one file per finished point, written whole or not at all.

sweep.resolved.yaml       what is run: axes, versions, the list of points with their hashes
points/<hash>.json        the Result of a finished point
points/<hash>.failed.json why a point failed; the next start tries it again
results.csv               one row per point (module `table`)
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sim.errors import InputError
from sim.sweep.points import Plan, Point

MANIFEST = "sweep.resolved.yaml"
TABLE = "results.csv"
SCHEMA = "pagewalk.sweep/1"
TEMPORARY = ".tmp-"


def write_whole(path: Path, text: str) -> None:
    """Write by rename, so that a reader or a killed writer never leaves half a file under this name. Raises OSError,
    which names the file, also when it is the disk that is full."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Store:
    """Results of one sweep folder by point hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points = folder / "points"

    def create(self) -> None:
        """Make the folders. Raises InputError if something else is in the way."""
        try:
            self.points.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be a sweep folder: {error.strerror}") from error

    def result_path(self, digest: str) -> Path:
        return self.points / f"{digest}.json"

    def failure_path(self, digest: str) -> Path:
        return self.points / f"{digest}.failed.json"

    def is_finished(self, digest: str) -> bool:
        """A file without a result in it (a disk that was full, an editor) does not count: the point runs again."""
        return self.result(digest) is not None

    def put(self, digest: str, result: dict[str, Any]) -> None:
        write_whole(self.result_path(digest), json.dumps(result, allow_nan=False, indent=1) + "\n")
        self.failure_path(digest).unlink(missing_ok=True)

    def put_failure(self, digest: str, failure: dict[str, Any]) -> None:
        write_whole(self.failure_path(digest), json.dumps(failure, indent=1) + "\n")

    def result(self, digest: str) -> dict[str, Any] | None:
        return self._read(self.result_path(digest))

    def results(self) -> Iterator[dict[str, Any]]:
        """All results, in order of their digests."""
        for path in sorted(self.points.glob("*.json")):
            result = self._read(path)
            if result is not None and not path.name.endswith(".failed.json"):
                yield result

    def failure(self, digest: str) -> dict[str, Any] | None:
        return self._read(self.failure_path(digest))

    def _read(self, path: Path) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return None
        return data if isinstance(data, dict) and data else None

    def forget(self, digests: Sequence[str]) -> None:
        """Drop results and failures of these points (`--restart`), and what a killed writer left behind."""
        for digest in digests:
            self.result_path(digest).unlink(missing_ok=True)
            self.failure_path(digest).unlink(missing_ok=True)

    def sweep_up(self) -> None:
        """Remove temporary files of writers that were killed."""
        for folder in (self.folder, self.points):
            for left in folder.glob(f"{TEMPORARY}*"):
                left.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one sweep at a time writes a folder; the lock ends with the process, however it ends."""
        with (self.folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{self.folder}: another sweep is writing this folder") from None
            yield


def manifest(
    kind: str, name: str, plan: Plan, points: Sequence[Point], facts: dict[str, Any]
) -> dict[str, Any]:
    """Plain data of sweep.resolved.yaml. `facts`: command, config hash, versions."""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "name": name,
        **facts,
        "fidelity": plan.fidelity,
        "seed": plan.seed,
        "hardware": list(plan.hardware),
        "workload": list(plan.workload),
        "axes": {path: list(values) for path, values in plan.axes.items()},
        "points": [
            {"index": p.index, "hash": p.hash, "hardware": p.hardware, "workload": p.workload, "axes": p.axes}
            for p in points
        ],
    }


def write_manifest(folder: Path, data: dict[str, Any]) -> None:
    import yaml

    write_whole(folder / MANIFEST, yaml.safe_dump(data, sort_keys=False, width=110))
