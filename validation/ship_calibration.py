"""Copy what `pagewalk calibrate --recipe` wrote to a folder into the shipped configs: values, sources and overheads.

    python validation/ship_calibration.py out/calibration

The shipped files are edited line by line, so that their comments and order stay.
"""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
OVERHEADS = ROOT / "sim/validation/data/overheads.yaml"


def main(folder: Path) -> None:
    for fitted in sorted(folder.glob("*.yaml")):
        if fitted.name != OVERHEADS.name:
            ship(yaml.safe_load(fitted.read_text(encoding="utf-8")))
    ship_overheads(yaml.safe_load((folder / OVERHEADS.name).read_text(encoding="utf-8"))["overheads"])


def ship(fitted: dict[str, Any]) -> None:
    """Write the values and sources of one config over the shipped one that it inherits."""
    name, sources = fitted.pop("base"), fitted.pop("sources")
    path = next(
        p for p in (ROOT / f"hwconfigs/{name}.yaml", ROOT / f"workloads/kernels/{name}.yaml") if p.exists()
    )
    text = path.read_text(encoding="utf-8")
    for key, value in fitted.items():
        for inner, number in value.items() if isinstance(value, dict) else [("", value)]:
            text = with_value(text, key, inner, number)
    for key, source in sources.items():
        text = with_source(text, key, source)
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {', '.join(sources)}")


def with_value(text: str, key: str, inner: str, value: float) -> str:
    """The file's text with `key` (or `inner` in section `key`) set."""
    lines = text.split("\n")
    if not inner:
        return _set(lines, rf"^{key}:", f"{key}: {value}", lines.index("sources:"))
    if f"{key}:" not in lines:
        at = lines.index("sources:")
        lines[at:at] = [f"{key}:"]
    start = lines.index(f"{key}:") + 1
    end = next((n for n in range(start, len(lines)) if not lines[n].startswith("  ")), len(lines))
    section = _set(lines[start:end], rf"^  {inner}:", f"  {inner}: {value}", end - start)
    return "\n".join([*lines[:start], section, *lines[end:]])


def with_source(text: str, key: str, source: Any) -> str:
    """The file's text with the source of `key` set."""
    flow = yaml.safe_dump(source, sort_keys=False, default_flow_style=True, width=10_000).strip()
    shown = f'"{source}"' if isinstance(source, str) else flow
    lines = text.rstrip("\n").split("\n")
    return _set(lines, rf"^  {re.escape(key)}:", f"  {key}: {shown}", len(lines)) + "\n"


def ship_overheads(entries: list[dict[str, Any]]) -> None:
    """Overheads of fitted groups replace theirs; the others stay, and so do those that were measured."""
    header, known, measured = [], {}, set()
    for line in OVERHEADS.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        if line.startswith("  - "):
            entry = yaml.safe_load(line)[0]
            known[_owner(entry)] = line
            measured |= {_owner(entry)} if entry.get("kind") == "measured" else set()
        else:
            header.append(line)
    for entry in (e for e in entries if _owner(e) not in measured):
        flow = yaml.safe_dump(entry, sort_keys=False, default_flow_style=True, width=10_000).strip()
        known[_owner(entry)] = f"  - {flow}"
    OVERHEADS.write_text(
        "\n".join([*header, *(known[owner] for owner in sorted(known))]) + "\n", encoding="utf-8"
    )


def _owner(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["framework"], entry["hw"], entry["kv"]


def _set(lines: list[str], pattern: str, line: str, otherwise: int) -> str:
    """The lines with the first that matches replaced, or with the line inserted at `otherwise`."""
    at = next((n for n, found in enumerate(lines) if re.match(pattern, found)), None)
    before, after = (otherwise, otherwise) if at is None else (at, at + 1)
    return "\n".join([*lines[:before], line, *lines[after:]])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
