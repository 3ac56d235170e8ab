"""Where `pagewalk calibrate` may write: refused before minutes are spent on a fit."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sim.calibration.output import overheads_path
from sim.calibration.recipe import Recipe
from sim.config.catalog import YAML_SUFFIXES, find
from sim.config.merge import read_layers
from sim.errors import InputError
from sim.out_folder import check_writable, refuse_another


def check_file(out: Path, hardware: Sequence[str], profile: str | None) -> None:
    """Raises InputError unless `out` can become a config that none of the given ones is, or inherits."""
    if out.suffix not in YAML_SUFFIXES:
        raise InputError(f"--out: found {out}; allowed: a path that ends in .yaml or .yml")
    if out.is_dir():
        raise InputError(f"--out: {out} is a folder; allowed: the path of a YAML file")
    written = {os.path.realpath(path): path for path in (overheads_path(out), out)}
    for path in _given(hardware, profile):
        replaced = written.get(os.path.realpath(path))
        if replaced is not None:
            text = "would replace what --hw or --profile is, or inherits; allowed: another path"
            raise InputError(f"--out: {replaced} {text}")
    check_writable(out, out.parent)


def _given(hardware: Sequence[str], profile: str | None) -> Iterable[Path]:
    """Files of these configs and of all their bases."""
    for name in hardware:
        yield from (layer.path for layer in read_layers("hardware", find("hardware", name)))
    if profile is not None:
        yield from (layer.path for layer in read_layers("kernel profile", find("kernel profile", profile)))


def check_folder(out: Path, recipe: Recipe, job: str) -> None:
    """Configs of another fit would be taken for some of this one by who copies them."""
    if out.is_file():
        raise InputError(f"--out: {out} is a file; allowed: a folder for the configs of --recipe")
    refuse_another(out, job)
    ours = {*recipe.machines, *recipe.profiles, "overheads"}
    others = sorted(path.name for path in out.glob("*.yaml") if path.stem not in ours)
    if others:
        raise InputError(
            f"--out: {out} holds {others[0]} of another fit; allowed: an empty folder, or one of the same recipe"
        )
    check_writable(out)
