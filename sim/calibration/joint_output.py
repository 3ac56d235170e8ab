"""A joint calibration as config files, a table of rows and a summary."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.calibration.blind import RowError
from sim.calibration.fit import Group
from sim.calibration.joint import State
from sim.calibration.parameters import MACHINE, PROFILE
from sim.calibration.written import as_yaml, machine_config, overheads_file
from sim.error_summary import Summary, summary
from sim.sweep.store import write_whole
from sim.validation.cases import Skipped
from sim.validation.skipped import as_csv, as_list, counts_text

COLUMNS = ("id", "hw", "profile", "kv", "part", "measured_us", "simulated_us", "overhead_us", "error")
SCHEMA = "pagewalk.joint_calibration/1"
SHORT_US, LONG_US = 20.0, 100.0


@dataclass(frozen=True)
class Joint:
    """What was fitted and the errors of each part: fitted, held_back, anchored, left_out."""

    reference: str
    state: State
    overheads: dict[Group, float]
    parts: dict[str, list[RowError]]
    skipped: tuple[Skipped, ...]
    """All other rows of the file."""


def write_joint(result: Joint, folder: Path) -> None:
    """The configs, what `validate attention --overheads` reads, two tables of rows and a summary. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    use = {}
    for name, values in result.state.fitted.items():
        write_whole(folder / f"{name}.yaml", _config(result, name, values))
        use[name] = f"{name}.yaml"
    write_whole(folder / "overheads.yaml", overheads_file(result.overheads, use, result.reference))
    write_whole(folder / "rows.csv", _rows(result.parts))
    write_whole(folder / "skipped.csv", as_csv(result.skipped))
    write_whole(folder / "summary.txt", summary_text(result) + "\n")


def as_json(result: Joint) -> dict[str, Any]:
    """The object of `--json`: the tables of summary.txt, what was fitted, and overheads in us."""
    return {
        "schema": SCHEMA,
        "source": result.reference,
        "values": result.state.fitted,
        "overheads_us": {" / ".join(group): value for group, value in result.overheads.items()},
        "errors": {part: _tables(errors) for part, errors in result.parts.items()},
        "skipped": as_list(result.skipped),
    }


def _tables(errors: Sequence[RowError]) -> dict[str, Any]:
    tables = {title.replace(" ", "_"): _by(errors, key) for title, key in TABLES.items()}
    return {"all": summary(e.error for e in errors)} | tables


def summary_text(result: Joint) -> str:
    """Errors of each part by machine, by machine and profile and by time, and why rows were left out."""
    lines = [f"{'mean error (bias), rows':<44}" + "".join(f"{part:>24}" for part in result.parts)]
    for title, key in TABLES.items():
        lines += ["", title]
        tables = {part: _by(errors, key) for part, errors in result.parts.items()}
        for label in sorted({label for table in tables.values() for label in table}):
            lines.append(_line(label, [table.get(label) for table in tables.values()]))
    lines += ["", _line("all", [summary(e.error for e in errors) for errors in result.parts.values()])]
    if result.skipped:
        lines += ["", f"rows left out: {counts_text(result.skipped)} (skipped.csv lists them)"]
    return "\n".join(lines)


def _config(result: Joint, name: str, values: Mapping[str, float]) -> str:
    if name in result.state.machines:
        parameters = [p for p in MACHINE if p.path in values]
        fitted = machine_config(values, parameters, result.reference)
    else:
        sources = {
            p.path: f"calibrated: {result.reference} (range {p.low:g} to {p.high:g})"
            for p in PROFILE
            if p.path in values
        }
        fitted = {**values, "sources": sources}
    return as_yaml({"base": name} | fitted)


def _rows(parts: Mapping[str, Sequence[RowError]]) -> str:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    for part, errors in parts.items():
        for e in errors:
            case = e.row.case
            names = (case.row.id, e.row.machine, e.row.profile, case.names.kv.kv_class, part)
            numbers = (case.time_us, e.simulated_us, e.overhead_us, e.error)
            out.writerow([*names, *(f"{value:.6g}" for value in numbers)])
    return text.getvalue()


def _machine(e: RowError) -> str:
    return e.row.machine


def _pair(e: RowError) -> str:
    return f"{e.row.machine} / {e.row.profile}"


def _time(e: RowError) -> str:
    time = e.row.case.time_us
    return "below 20 us" if time < SHORT_US else "20 to 100 us" if time < LONG_US else "from 100 us"


TABLES = {"machine": _machine, "machine and profile": _pair, "time": _time}


def _by(errors: Iterable[RowError], key: Callable[[RowError], str]) -> dict[str, Summary]:
    members: dict[str, list[float]] = defaultdict(list)
    for e in errors:
        members[key(e)].append(e.error)
    return {label: summary(found) for label, found in members.items()}


def _line(label: str, cells: Iterable[Summary | None]) -> str:
    texts = [f"{c['n']:>6} {c['mape']:>7.1%} ({c['bias']:+.1%})" if c else "" for c in cells]
    return f"{label[:44]:<44}" + "".join(f"{text:>24}" for text in texts)
