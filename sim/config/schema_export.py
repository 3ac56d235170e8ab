"""What the schemas say, for editors (JSON Schema) and for readers (the table of keys in docs/configs.md)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.micro import Micro
from sim.config.problems import path_text
from sim.config.runtime import Runtime
from sim.config.schema_tree import SchemaTree, model_schema, schema_tree
from sim.config.sweep import Sweep
from sim.config.workload import Model, Workload

MODELS: dict[str, type[BaseModel]] = {
    "hardware": Hardware,
    "workload": Workload,
    "microbenchmark": Micro,
    "sweep": Sweep,
    "model": Model,
    "kernel profile": KernelProfile,
    "runtime": Runtime,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a kind of file, as it is written: `base:` may supply what the file leaves out."""
    schema = model_schema(MODELS[kind])
    schema = {
        "$schema": DIALECT,
        "title": f"pagewalk {kind}",
        **{k: v for k, v in schema.items() if k != "title"},
    }
    if kind == "sweep":
        return _with_short_forms(schema)
    base = {
        "type": "string",
        "description": "config that this file inherits from: a shipped name or a .yaml path",
    }
    schema["properties"] = {"base": base, **schema["properties"]}
    # The loader names a nameless file after itself.
    needed = [key for key in schema.pop("required", []) if key != "name"]
    schema["anyOf"] = [{"required": ["base"]}, {"required": needed}]
    if kind == "workload":
        _add_microbenchmarks(schema)
    for definition in schema.get("$defs", {}).values():
        # An inheriting file may give part of a section; `hw check` finds what is missing in the end.
        definition.pop("required", None)
    return schema


def _add_microbenchmarks(schema: dict[str, Any]) -> None:
    """One schema for both kinds of workload files, since an editor sees only that it is one."""
    micro = model_schema(Micro)
    kinds = [*schema["properties"]["kind"]["enum"], micro["properties"]["kind"]["const"]]
    schema["properties"] = micro["properties"] | schema["properties"]
    schema["properties"]["kind"] = schema["properties"]["kind"] | {"enum": kinds}
    schema["anyOf"].append(
        {"required": micro["required"], "properties": {"kind": micro["properties"]["kind"]}}
    )


def _with_short_forms(schema: dict[str, Any]) -> dict[str, Any]:
    """One name instead of a list, and a list of metrics to minimise, as the loader takes them."""
    properties = schema["properties"]
    text = {"type": "string"}
    short: dict[str, Any] = {
        "hardware": text,
        "workload": text,
        "objectives": {"type": "array", "items": text},
    }
    for key, form in short.items():
        properties[key] = {"description": properties[key]["description"], "anyOf": [properties[key], form]}
    return schema


def key_rows(kind: str) -> Iterator[tuple[str, str, str, str]]:
    """(key path, what is allowed, default, meaning) of every key of a kind of file."""
    tree = schema_tree(MODELS[kind])
    for path, fragment in tree.leaves():
        meaning = _meaning(tree, fragment) or _meaning(tree, tree.at(path[:-1]) or {})
        allowed = tree.describe(fragment)
        if path[-1] == "KEY":
            allowed += f"; KEY: {', '.join(tree.keys(path[:-1]))}"
        yield path_text(path), allowed, _default(tree, path, fragment), meaning


def keys_table(kind: str) -> str:
    """The rows as a Markdown table."""
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for row in key_rows(kind):
        cells = (f"`{row[0]}`", row[1], row[2], row[3])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(tree: SchemaTree, path: tuple[str | int, ...], fragment: dict[str, Any]) -> str:
    if "default" not in fragment:
        section = tree.at(path[:-1]) or {}
        needed = any(path[-1] in option.get("required", []) for option in tree.alternatives(section))
        return "required" if needed else ""
    value = fragment["default"]
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value}" if value != "" else '""'


def _meaning(tree: SchemaTree, fragment: dict[str, Any]) -> str:
    options = [fragment, *tree.alternatives(fragment)]
    return next((str(option["description"]) for option in options if "description" in option), "")


def with_current_tables(text: str) -> str:
    """A page with its tables of keys made anew, each between `<!-- keys: KIND -->` and `<!-- end -->`."""
    for kind in MODELS:
        start, end = f"<!-- keys: {kind} -->\n", "\n<!-- end -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = before + start + keys_table(kind) + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_current_tables(page.read_text()))
