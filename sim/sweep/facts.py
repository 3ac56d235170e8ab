"""What a sweep folder says about its making: command, versions, hashes. Nothing here enters results.csv."""

import hashlib
import platform
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sim.sweep.points import Point, canonical, config_inputs

CODE_PACKAGES = ("sim", "kernels_ref", "workloads", "hwconfigs")
DATA_SUFFIXES = (".py", ".yaml", ".csv", ".gz", ".json", ".jsonl", ".npz")
NOT_PHYSICS = ("cli", "sweep", "validation")
"""Parts of `sim` that decide how points are run and shown, not what comes out."""
JOINT = ("cli", "job.py")
"""The one file of those where the engine and the simulator meet."""
LIBRARIES = ("numpy", "numba", "simpy", "matplotlib")


def version() -> str:
    return installed_version("pagewalk")


def engine() -> str:
    """Version and digest of the sources: a result of yesterday's simulator must not be taken for today's."""
    return f"{version()}+{code_digest()}"


def facts_of(arguments: Sequence[str], folder: Path, points: Sequence[Point]) -> dict[str, Any]:
    """`arguments`: the command line after `pagewalk`."""
    configs = canonical([config_inputs(point.job) for point in points])
    return {
        "command": shlex.join(["pagewalk", *arguments]),
        "folder": str(folder),
        "pagewalk_version": version(),
        "git_hash": git_hash(),
        "config_hash": hashlib.sha256(configs.encode()).hexdigest()[:16],
        "code_hash": code_digest(),
        "python": platform.python_version(),
        "libraries": {name: installed_version(name) for name in LIBRARIES},
    }


@cache
def code_digest() -> str:
    """Hash of the simulator's own sources and shipped data."""
    digest = hashlib.sha256()
    for package in CODE_PACKAGES:
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root).parts
            decides = inside[0] not in NOT_PHYSICS or inside == JOINT
            if decides and path.suffix in DATA_SUFFIXES and path.is_file():
                digest.update("/".join((package, *inside)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def git_hash() -> str | None:
    """Commit of the checkout that runs, marked when files differ from it; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
