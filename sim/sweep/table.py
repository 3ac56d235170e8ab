"""results.csv: one tidy row per point, in point order, without anything that differs between two runs."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sim.causes import CAUSES
from sim.sweep.points import Point
from sim.sweep.store import TABLE, Store, write_whole

SCALARS = ("time_ns", "steps", "tokens", "bound_ns", "speed_of_light")
GROUPS = (
    "bounds_ns",
    "bytes",
    "bandwidth_gb_s",
    "utilisation",
    "stalls",
    "mapping",
    "counters",
    "kv",
    "energy_j",
    "area_mm2",
    "sampling",
    "what_if",
    "verify",
)
"""Result keys that become `group.key` columns. hardware, workload and wall_s stay in the point's file."""

FIRST: dict[str, tuple[str, ...]] = {
    "bounds_ns": ("hbm", "tensor", "l2", "sram", "noc", "tier"),
    "bytes": ("hbm_read", "hbm_write", "l2_read", "l2_hit", "sram_fill", "block_table", "scales"),
    "bandwidth_gb_s": ("hbm", "l2"),
    "utilisation": ("hbm", "tensor", "exp", "unpack", "noc"),
    "stalls": CAUSES,
}
"""Keys of a group that come first, in this order; the others follow by name."""


def flatten(prefix: str, data: Any) -> dict[str, Any]:
    """Nested mappings as dotted names; lists of values become JSON text, lists of records are left out."""
    if isinstance(data, (list, tuple)):
        return {} if any(isinstance(item, dict) for item in data) else {prefix: json.dumps(data)}
    if not isinstance(data, dict):
        return {prefix: data}
    return {
        name: leaf for key, value in data.items() for name, leaf in flatten(f"{prefix}.{key}", value).items()
    }


def row(point: Point, result: dict[str, Any] | None, failure: dict[str, Any] | None) -> dict[str, Any]:
    """One point as column name to value. `error` is the failure's message."""
    status = "ok" if result is not None else "failed" if failure is not None else "missing"
    cells: dict[str, Any] = {"point": point.index, "status": status}
    cells |= {"hardware": point.hardware, "workload": point.workload}
    cells |= {path: json.dumps(v) if isinstance(v, (dict, list)) else v for path, v in point.axes.items()}
    cells |= {"fidelity": point.job.fidelity, "seed": point.job.seed}
    if result is not None:
        cells |= {name: result[name] for name in SCALARS}
        for group in GROUPS:
            if result[group] is not None:
                cells |= flatten(group, result[group])
    cells["error"] = failure["message"] if status == "failed" and failure is not None else None
    return cells


def columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Union of the rows' columns: identity and axes, scalars, each group in its own order, error."""
    if not rows:
        return ["point", "status"]
    lead = [name for name in rows[0] if not _is_metric(name) and name != "error"]
    named = {name for cells in rows for name in cells}
    metrics = [name for name in SCALARS if name in named]
    for group in GROUPS:
        first = [f"{group}.{key}" for key in FIRST.get(group, ())]
        mine = {name for name in named if name.startswith(f"{group}.")}
        metrics += [name for name in first if name in mine] + sorted(mine - set(first))
    return [*lead, *metrics, "error"]


def _is_metric(name: str) -> bool:
    return name in SCALARS or name.split(".")[0] in GROUPS


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """CSV text; floats by repr (shortest that reads back equal), None and missing as empty cells."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns(rows), lineterminator="\n", restval="")
    writer.writeheader()
    for cells in rows:
        writer.writerow({name: "" if value is None else _cell(value) for name, value in cells.items()})
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def write_table(store: Store, points: Iterable[Point]) -> None:
    rows = [row(p, store.result(p.hash), store.failure(p.hash)) for p in points]
    write_whole(store.folder / TABLE, to_csv(rows))
