"""Whose folder an output folder is: no job writes over what another one left there; the same job goes on."""

import json
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile

from sim.errors import InputError

MARK = "job.json"
MANIFEST = "sweep.resolved.yaml"
"""Of a sweep or a comparison: it says whose the folder is, without a mark."""


def check_out(out: Path, job: str) -> None:
    """Before the work: raises InputError where another job's folder, or a place that takes none, is given as `--out`.

    `job`: the command and what it is about, such as "sweep sram_demo"; equal where the same job starts again.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: found a file; allowed: a folder, new or of the same job")
    refuse_another(out, job)
    check_writable(out)


def refuse_another(out: Path, job: str) -> None:
    """Raises InputError where the folder is known to be another job's. Nothing is written."""
    owner = owner_of(out)
    if owner is not None and owner != job and not job.startswith(f"{owner} "):
        raise InputError(
            f"--out {out}: is the folder of another job ({owner}); allowed: a new folder, or one of {job}"
        )


def mark_out(out: Path, job: str) -> None:
    """Make the folder, and say in it whose it is. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text(json.dumps({"job": job}) + "\n", encoding="utf-8")


def check_writable(out: Path, folder: Path | None = None) -> None:
    """Raises InputError, naming `out`, unless something can be written in `folder` (else in `out` itself), or where it
    would be made. It is tried: permissions alone say nothing of read-only file systems."""
    folder = folder or out
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None


def owner_of(out: Path) -> str | None:
    """The job whose folder this is, as far as it can be told; None for a new folder and for one of no job."""
    if (out / MARK).is_file():
        return str(_json(out / MARK).get("job", "unknown"))
    if (out / MANIFEST).is_file():
        return _job_of_manifest(out / MANIFEST)
    if (out / "result.json").is_file():
        return "run"
    # A job that was interrupted has no mark yet, but what it had finished.
    if step := _finished_step(out):
        return "calibrate" if "step" in step else "cases of a validation"
    if case := _finished_step(out / "cases"):
        return "validate dram" if "step" in case else "validate attention"
    return None


def _job_of_manifest(path: Path) -> str:
    """Only the head is read: the list of points may be long."""
    import yaml

    with path.open(encoding="utf-8", errors="replace") as lines:
        head = "".join(takewhile(lambda line: not line.startswith("command:"), lines))
    try:
        facts = yaml.safe_load(head)
        return f"{facts['kind']} {facts['name']}"
    except (yaml.YAMLError, KeyError, TypeError):
        return f"unknown, with a damaged {path.name}"


def _finished_step(folder: Path) -> dict[str, object]:
    """The first whole one; none: nothing."""
    whole = (_json(path) for path in sorted((folder / "points").glob("*.json")))
    return next(filter(None, whole), {})


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
