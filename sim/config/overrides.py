"""`--set PATH=VALUE`: `hw.` or `workload.` first, a bare path means hw; values by YAML rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.config.merge import Tree, every_path, forget, merge_mapping
from sim.config.problems import KeyPath, Place, Problem, path_text, shown
from sim.config.schema_tree import SchemaTree
from sim.config.yaml_source import read_value
from sim.errors import InputError

TARGETS = ("hw", "workload")
NOT_SETTABLE = ("base", "sources")


@dataclass(frozen=True)
class Override:
    """One value that is laid over a config last; `where` says who asked for it."""

    target: str
    path: KeyPath
    value: Any
    where: Place

    @property
    def key(self) -> str:
        return f"{self.target}.{path_text(self.path)}"


def split_path(text: str) -> tuple[str, KeyPath]:
    """'workload.batch' -> ('workload', ('batch',)); a bare path belongs to hw."""
    parts = tuple(text.strip().split("."))
    if parts[0] in TARGETS:
        return parts[0], parts[1:]
    return "hw", parts


def parse_override(text: str) -> Override:
    """Raises InputError when the text has no `=`, no path or no YAML value."""
    where = Place(f"command line: --set {shown(text)[1:-1]}")
    path_part, equals, value_part = text.partition("=")
    target, path = split_path(path_part)
    if not equals or not path or not all(path):
        raise InputError(f"{where}: expected PATH=VALUE, such as sm.sram_kib=512 or workload.batch=8")
    value, problems = read_value(value_part, where, path)
    if problems:
        raise InputError(*map(str, problems))
    return Override(target, path, value, where)


def parse_overrides(sets: Sequence[str | Override]) -> list[Override]:
    """All of them, or one InputError with every problem."""
    done: list[Override] = []
    problems: list[str] = []
    for item in sets:
        try:
            done.append(item if isinstance(item, Override) else parse_override(item))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return done


def machine_overrides(sets: Sequence[str]) -> list[Override]:
    """Those of a command that has no workload. Raises InputError for others too."""
    return _only("hw", sets, "this command has no workload; allowed: keys of hw")


def workload_overrides(sets: Sequence[str]) -> list[Override]:
    """Those of a command that has no machine. Raises InputError for others too."""
    return _only("workload", sets, "this command has no machine; allowed: keys of workload")


def _only(target: str, sets: Sequence[str], reason: str) -> list[Override]:
    overrides = parse_overrides(sets)
    others = [f"--set {o.key}: {reason}" for o in overrides if o.target != target]
    if others:
        raise InputError(*others)
    return overrides


def unknown_path(override: Override, schema: SchemaTree) -> Problem | None:
    """What is wrong with the path itself."""
    if override.path[0] in NOT_SETTABLE:
        text = f"cannot be set here; write a file with {override.path[0]}: instead"
        return Problem(override.where, override.key, text)
    for length in range(1, len(override.path) + 1):
        if schema.at(override.path[:length]) is None:
            return Problem(override.where, override.key, schema.unknown(override.path[:length]))
    return None


def apply_override(tree: Tree, override: Override) -> bool:
    """Lay one value over the tree; siblings stay. False when the tree already had this very value."""
    data = tree.data
    *sections, last = map(str, override.path)
    for depth, key in enumerate(sections, 1):
        if not isinstance(data.get(key), dict):
            forget(tree, override.path[:depth])
            tree.places[override.path[:depth]] = override.where
            data[key] = {}
        data = data[key]
    if last in data and data[last] == override.value and type(data[last]) is type(override.value):
        return False
    places = dict.fromkeys([override.path, *every_path(override.value, override.path)], override.where)
    merge_mapping(tree, data, {last: override.value}, override.path[:-1], places)
    return True
