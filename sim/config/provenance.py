"""Which source stands behind which number.

A source entry names a number (`sm.clock_ghz`) or a section (`hbm`: every number below it without a closer
entry). An entry vouches for the values of its own file and of the files that this one inherits; a file that
overrides a number must bring its own source for it, since the old one speaks of the old number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from sim.config.hardware import Hardware, Source
from sim.config.merge import Tree, leaves
from sim.config.problems import KeyPath, Place, Problem, path_text, shown
from sim.config.schema_tree import SchemaTree, schema_tree
from sim.config.translate import translated
from sim.config.yaml_source import Document

NOT_NUMBERS = ("name", "description", "sources")


@dataclass
class Ledger:
    """The source of each leaf of the tree, as its YAML mapping, and where the entry stands."""

    entries: dict[KeyPath, dict[str, Any]] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def drop(self, path: KeyPath) -> None:
        """Forget what vouched for `path` or for anything below it."""
        for known in [known for known in self.entries if known[: len(path)] == path]:
            del self.entries[known]


def take_sources(layer: Document) -> tuple[dict[KeyPath, tuple[dict[str, Any], Place]], list[Problem]]:
    """Remove `sources` from a file's data; return the valid entries by key path, and the problems."""
    raw = layer.data.pop("sources", None)
    place = layer.places.get(("sources",), Place(layer.file, 1, 1))
    if raw is None:
        return {}, []
    if not isinstance(raw, dict):
        text = f"found {shown(raw)}; allowed: a mapping of key paths to (kind, ref, range)"
        return {}, [Problem(place, "sources", text)]
    entries: dict[KeyPath, tuple[dict[str, Any], Place]] = {}
    problems: list[Problem] = []
    for key, value in raw.items():
        here = layer.places[("sources", key)]
        wrong = [*_unknown_path(key, here), *_invalid_entry(layer, key, value)]
        problems += wrong
        if not wrong and not any(known[:2] == ("sources", key) for known in layer.trapped):
            entries[_path(key)] = (value, here)
    return entries, problems


def _path(key: str) -> KeyPath:
    return tuple(key.removeprefix("hw.").split("."))


def _unknown_path(key: str, place: Place) -> list[Problem]:
    tree: SchemaTree = schema_tree(Hardware)
    path = _path(key)
    for length in range(1, len(path) + 1):
        if tree.at(path[:length]) is None:
            return [Problem(place, f"sources.{key}", tree.unknown(path[:length]))]
    return []


def _invalid_entry(layer: Document, key: str, value: Any) -> list[Problem]:
    try:
        Source.model_validate(value)
    except ValidationError as error:
        path: KeyPath = ("sources", key)
        data: dict[str, Any] = value if isinstance(value, dict) else {}
        trapped = {known[2:] for known in layer.trapped if known[:2] == path}
        places = {known[2:]: place for known, place in layer.places.items() if known[:2] == path}
        entry = Tree(layer.file, data, places, trapped=trapped)
        return [
            Problem(problem.place, f"sources.{key}.{problem.key}".rstrip("."), problem.text)
            for problem in translated(error, entry, schema_tree(Source))
        ]
    return []


def vouch(
    ledger: Ledger,
    data: Mapping[str, Any],
    set_here: set[KeyPath],
    entries: dict[KeyPath, tuple[dict[str, Any], Place]],
) -> list[Problem]:
    """Enter one file's sources, after its values (`set_here`) were laid over the tree."""
    problems = []
    known = [leaf for leaf, _ in leaves(data)]
    for path in set_here:
        ledger.drop(path)
    for path, (source, place) in sorted(entries.items(), key=lambda item: len(item[0])):
        below = [leaf for leaf in known if leaf[: len(path)] == path]
        if below in ([], [path]):
            # A number of its own, perhaps one that is left at the schema's default.
            below = [path]
        elif "range" in source:
            text = "a range belongs to one number; found a source for a whole section"
            problems.append(Problem(place, f"sources.{path_text(path)}.range", text))
        for leaf in below:
            if leaf == path or leaf in set_here or leaf not in ledger.entries:
                ledger.entries[leaf] = source
                ledger.places[leaf] = place
    return problems


def numbers(spec: Hardware) -> dict[str, float]:
    """Every number of a resolved config by key path, defaults included."""
    dump = spec.model_dump(exclude=set(NOT_NUMBERS))
    return {
        path_text(path): value
        for path, value in leaves(dump)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def outside_range(spec: Hardware, ledger: Ledger) -> list[Problem]:
    """A value that its own source calls impossible."""
    values = numbers(spec)
    problems = []
    for key, source in spec.sources.items():
        if source.range is None or key not in values:
            continue
        low, high = source.range
        if not low <= values[key] <= high:
            place = ledger.places[tuple(key.split("."))]
            text = f"found {[low, high]}; allowed: a range around the value, which is {values[key]:g}"
            problems.append(Problem(place, f"sources.{key}.range", text))
    return problems


def unsourced(spec: Hardware, raw: Mapping[str, Any]) -> list[str]:
    """Numbers that some file sets and no source explains; those at the schema's default are not listed."""
    given = {path_text(path) for path, _ in leaves(raw)}
    return [key for key in numbers(spec) if key in given and key not in spec.sources]
