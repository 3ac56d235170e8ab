"""Where config files are found: shipped ones by name, others by path."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sim.config.problems import did_you_mean, printable, refuse, shown

Kind = Literal["hardware", "workload", "model", "kernel profile", "runtime", "measured values"]

_FOLDERS: dict[Kind, tuple[str, str]] = {
    "hardware": ("hwconfigs", ""),
    "workload": ("workloads", ""),
    "model": ("workloads", "models"),
    "kernel profile": ("workloads", "kernels"),
    "runtime": ("workloads", "runtimes"),
    "measured values": ("hwconfigs", "measured"),
}
MAX_NAME = 1000
MAX_LIST = 700
"""Characters of a list of names in a message."""
YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Found:
    """A config file: where it is, and how messages call it."""

    path: Path
    shown: str


def folder(kind: Kind) -> Path:
    package, below = _FOLDERS[kind]
    return Path(str(files(package))) / below


def shipped(kind: Kind) -> list[str]:
    """Names of the shipped configs, sorted."""
    place = folder(kind)
    return sorted(path.stem for path in place.glob("*.yaml")) if place.is_dir() else []


def looks_like_path(name: str) -> bool:
    return os.sep in name or "/" in name or name.endswith(YAML_SUFFIXES) or name in (".", "..")


def find(kind: Kind, name: str, relative_to: Path | None = None) -> Found:
    """The file of a config name or path (relative paths: to a folder, else to the current one).

    Raises InputError, with the known names, when there is none; a path is not opened here.
    """
    local = (relative_to / name) if relative_to is not None else Path(name)
    name_shown = shown(name)[1:-1]
    if not looks_like_path(name):
        path = folder(kind) / f"{name}.yaml"
        if path.is_file():
            return Found(path, shown_path(path))
        if not name or not os.path.exists(local):
            known = shipped(kind)
            raise refuse(
                name_shown or "(empty name)",
                f"no such {kind}; shipped: {_listed(kind, known)}; or give the path of a YAML file"
                f"{did_you_mean(name[:80], known)}",
            )
    return Found(local, shown_path(local) if len(name) <= MAX_NAME else name_shown)


def _listed(kind: Kind, names: list[str]) -> str:
    """Names in a message, as far as one line holds them."""
    whole = ", ".join(names) or "none"
    if len(whole) <= MAX_LIST:
        return whole
    some = whole[:MAX_LIST].rsplit(", ", 1)[0]
    return f"{some} and {len(names) - some.count(', ') - 1} more in {'/'.join(_FOLDERS[kind])}"


def shown_path(path: Path) -> str:
    """As short as stays clear: relative below the current folder, `hwconfigs/x.yaml` when shipped."""
    for kind in _FOLDERS:
        home = folder(kind)
        if path.parent == home:
            return str(Path(*home.relative_to(Path(str(files(_FOLDERS[kind][0]))).parent).parts, path.name))
    absolute = Path(os.path.abspath(path))
    if absolute.is_relative_to(Path.cwd()):
        return printable(str(absolute.relative_to(Path.cwd())))
    return printable(str(path if path.is_absolute() else os.path.normpath(path)))
