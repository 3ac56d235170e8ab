"""What a sweep folder says about its making: command, versions, hashes. Nothing here enters results.csv."""

import hashlib
import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sim.sweep.points import Point, canonical, code_digest, config_inputs

LIBRARIES = ("numpy", "numba", "simpy", "matplotlib")


def version() -> str:
    return installed_version("pagewalk")


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
