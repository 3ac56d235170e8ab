"""What calibrations write: fitted values as a config overrides them, overheads as a validation reads them."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sim.calibration.fit import Group
from sim.calibration.parameters import Parameter


def provenance(truth: Path) -> str:
    """Who fitted, and the file that was fitted to. Raises OSError."""
    return f"pagewalk calibrate, {truth.name}, sha256 {hashlib.sha256(truth.read_bytes()).hexdigest()[:8]}"


def machine_config(
    values: Mapping[str, float], parameters: Iterable[Parameter], reference: str
) -> dict[str, Any]:
    """Sections and sources that override a machine's; `parameters` are those of the values."""
    data: dict[str, Any] = {}
    for path, value in values.items():
        section, _, key = path.partition(".")
        data.setdefault(section, {})[key] = value
    sources = {p.path: {"kind": "calibrated", "ref": reference, "range": [p.low, p.high]} for p in parameters}
    return data | {"sources": sources}


def overheads_file(overheads: Mapping[Group, float], use: dict[str, str], reference: str) -> str:
    """What `pagewalk validate attention --overheads` reads: the overheads, and in `use` the configs that they belong
    to in place of the shipped ones that those inherit."""
    entries = [
        {
            "framework": framework,
            "hw": hw,
            "kv": kv,
            "overhead_us": round(overhead, 2),
            "kind": "calibrated",
            "ref": reference,
        }
        for (framework, hw, kv), overhead in sorted(overheads.items())
    ]
    return as_yaml({"overheads": entries, "use": use})


def as_yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=1000)
