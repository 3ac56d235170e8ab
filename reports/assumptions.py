"""What the results rest on: every hardware number with its source, the workload, what is estimated."""

from html import escape
from typing import Any

from reports.config_keys import ECHO, leaves, yaml_text
from reports.study import Study
from reports.tables import table
from reports.units import counted

GUESSED = ("estimate", "proposal")
"""Kinds of sources that are not facts: highlighted."""

LONGEST_VALUE = 120


def source_of(path: str, sources: dict[str, Any]) -> dict[str, Any] | None:
    """The entry of this key, or of the nearest section above it."""
    while path:
        if path in sources:
            entry: dict[str, Any] = sources[path]
            return entry
        path = path.rpartition(".")[0]
    return None


def hardware_tables(study: Study) -> str:
    """One collapsible table per distinct hardware name, axes of the study marked as such."""
    seen: dict[str, dict[str, Any]] = {}
    for _, result in study.done:
        seen.setdefault(result.hardware["name"], result.hardware)
    varied = {axis.path.removeprefix("hw.") for axis in study.axes}
    return "\n".join(_hardware_table(name, hardware, varied) for name, hardware in seen.items())


def _hardware_table(name: str, hardware: dict[str, Any], varied: set[str]) -> str:
    sources = hardware.get("sources") or {}
    rows, guessed = [], 0
    for path, value in leaves("", {k: v for k, v in hardware.items() if k not in ECHO}):
        entry = source_of(path, sources)
        kind = "axis of this study" if path in varied else entry["kind"] if entry else "default"
        guessed += kind in GUESSED
        rows.append(
            [
                f"<code>{escape(path)}</code>",
                "varied" if path in varied else _value(value),
                f'<span class="tag {escape(kind) if entry else ""}">{escape(kind)}</span>',
                _range(entry),
                escape(entry["ref"]) if entry and path not in varied else "",
            ]
        )
    body = table(["key", "value", "kind", "range", "source"], rows, 5)
    title = f"{escape(name)}: {counted(len(rows), 'key')}, the values of {guessed} are estimates or proposals"
    return f"<details open><summary>{title}</summary>{body}</details>"


def workload_tables(study: Study) -> str:
    seen: dict[str, dict[str, Any]] = {}
    for _, result in study.done:
        seen.setdefault(result.workload["name"], result.workload)
    varied = {axis.path.removeprefix("workload.") for axis in study.axes if axis.path.startswith("workload.")}
    return "\n".join(_workload_table(name, workload, varied) for name, workload in seen.items())


def _workload_table(name: str, workload: dict[str, Any], varied: set[str]) -> str:
    rows = [
        [f"<code>{escape(path)}</code>", "varied" if path in varied else _value(value)]
        for path, value in leaves("", {k: v for k, v in workload.items() if k not in ECHO})
    ]
    about = escape(str(workload.get("description", "")))
    body = table(["key", "value"], rows, 2)
    return f"<details><summary>{escape(name)}</summary><p>{about}</p>{body}</details>"


def _value(value: Any) -> str:
    text = "not set" if value is None else yaml_text(value)
    return escape(text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ...")


def _range(entry: dict[str, Any] | None) -> str:
    bounds = entry.get("range") if entry else None
    return f"{bounds[0]:g} to {bounds[1]:g}" if bounds else ""
