"""A calibration as config files and as one JSON object."""

import os
from pathlib import Path
from typing import Any

from sim.calibration.run import Calibration
from sim.calibration.targets import Target
from sim.calibration.written import as_yaml, machine_config, overheads_file
from sim.config.catalog import looks_like_path
from sim.sweep.store import write_whole
from sim.validation.skipped import as_list

SCHEMA = "pagewalk.calibration/1"


def config_text(result: Calibration, target: Target, folder: Path) -> str:
    """The config that inherits the target's and overrides what was fitted, for a file in `folder`."""
    if target.profile is None:
        fitted = machine_config(result.values, result.parameters, result.reference)
    else:
        sources = {p.path: f"calibrated: {result.reference}" for p in result.parameters}
        fitted = result.values | {"sources": sources}
    return as_yaml({"base": _from(folder, target.base)} | fitted)


def overheads_text(result: Calibration, target: Target, out: Path) -> str:
    """The overheads, and the config at `out` that they belong to."""
    return overheads_file(result.overheads, {target.shipped: out.name}, result.reference)


def overheads_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.overheads.yaml")


def write(result: Calibration, target: Target, out: Path) -> None:
    """Write both files whole or not at all. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, config_text(result, target, out.parent))
    write_whole(overheads_path(out), overheads_text(result, target, out))


def as_json(result: Calibration, target: Target) -> dict[str, Any]:
    """The object of `--json`: fractions for errors, us for overheads."""
    return {
        "schema": SCHEMA,
        "target": target.name,
        "source": result.reference,
        "parameters": {
            p.path: {
                "start": result.start[p.path],
                "value": result.values[p.path],
                "range": [p.low, p.high],
            }
            for p in result.parameters
        },
        "overheads_us": {" / ".join(group): value for group, value in result.overheads.items()},
        "before": result.before,
        "fitted": result.fitted,
        "held_back": result.held_back,
        "groups": result.by_group,
        "skipped": as_list(result.skipped),
    }


def _from(folder: Path, name: str) -> str:
    """A base as a file in `folder` names it: shipped ones by name, others by their way from there."""
    if not looks_like_path(name):
        return name
    way = os.path.relpath(os.path.abspath(name), os.path.abspath(folder))
    return way if looks_like_path(way) else f"./{way}"
