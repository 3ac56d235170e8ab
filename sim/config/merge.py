"""`base:` inheritance: mappings merge, lists and single values replace, null goes back to the default.

Each key keeps the place of the file that set it last, so that a problem seen only after merging can name it.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sim.config.catalog import YAML_SUFFIXES, Found, Kind, find, looks_like_path
from sim.config.problems import KeyPath, Place, Problem, shown
from sim.config.yaml_source import Document, read_document
from sim.errors import InputError

# A context is one value even when it is written as a mapping: {uniform: ...} replaces {trace: ...} whole.
WHOLE_VALUES = frozenset({("context",)})
EXPECTED: dict[Kind, str] = {
    "hardware": "a mapping with name, sm, noc, l2, hbm, ... (or base:)",
    "workload": "a mapping with kind, model, phase, batch, context, ... (or base:)",
    "model": "a mapping with layers, q_heads, kv_heads, head_dim, ...",
    "runtime": "a mapping with name, gemm_tiles, pointwise, all_reduce, ...",
    "kernel profile": "a mapping with name, phase, m_tile, tile_tokens, stages, ...",
    "measured values": "a mapping with quantities, chase, tlb, replay, inflight, gather, table",
}


@dataclass
class Tree:
    """Merged plain data with the place of every key path, and what is wrong so far."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    trapped: set[KeyPath] = field(default_factory=set)
    files: list[str] = field(default_factory=list)

    def rank(self, path: KeyPath) -> int:
        """How late `path` was set: files count from the deepest base, the command line comes after all."""
        file = self.place_of(path).file
        if path not in self.places:
            return -1
        return self.files.index(file) if file in self.files else len(self.files)

    def place_of(self, path: KeyPath) -> Place:
        """Where `path` was set; for what is missing, where its section is."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(self.file, 1, 1)


def read_layers(kind: Kind, found: Found) -> list[Document]:
    """The file and everything that it inherits from, the deepest base first; `base` keys are removed.

    Raises InputError for a base that does not exist, is no YAML file, or leads back to itself.
    """
    layers: list[Document] = []
    seen: list[str] = []
    place: Place | None = None
    while True:
        real = os.path.realpath(found.path)  # Path.resolve raises for a link to itself
        if real in seen:
            raise InputError(
                f"{place}: base: {found.shown} inherits from itself; remove one base: of the circle"
            )
        seen.append(real)
        layers.insert(0, _read(kind, found, place))
        place = layers[0].places.pop(("base",), Place(found.shown, 1, 1))
        if ("base",) in layers[0].trapped or "base" not in layers[0].data:
            return layers
        found = _base(kind, layers[0].data.pop("base"), found, place)


def _read(kind: Kind, found: Found, base_place: Place | None) -> Document:
    try:
        return read_document(found.path, found.shown, EXPECTED[kind])
    except InputError as error:
        if base_place is None:
            raise
        raise InputError(*(f"{base_place}: base: {problem}" for problem in error.problems)) from None


def _base(kind: Kind, name: Any, child: Found, place: Place) -> Found:
    if not isinstance(name, str) or not name.strip():
        allowed = f"the name of a shipped {kind} or the path of a YAML file"
        raise InputError(f"{place}: base: found {shown(name)}; allowed: {allowed}")
    if looks_like_path(name) and not name.endswith(YAML_SUFFIXES):
        text = "which is not a YAML file; allowed: a path that ends in .yaml or .yml"
        raise InputError(f"{place}: base: found {shown(name)}, {text}")
    try:
        return find(kind, name, child.path.parent)
    except InputError as error:
        raise InputError(*(f"{place}: base: {problem}" for problem in error.problems)) from None


def overlay(tree: Tree, layer: Document) -> None:
    """Lay one file over the tree."""
    tree.file = layer.file
    tree.files.append(layer.file)
    tree.problems += layer.problems
    tree.places[()] = layer.places.get((), Place(layer.file, 1, 1))
    tree.trapped |= layer.trapped
    merge_mapping(tree, tree.data, layer.data, (), layer.places)


def merge_mapping(
    tree: Tree, data: dict[str, Any], above: dict[str, Any], path: KeyPath, places: dict[KeyPath, Place]
) -> None:
    """Lay the mapping `above` over `data`, which is the tree's mapping at `path`."""
    for key, value in above.items():
        here = (*path, key)
        both = isinstance(value, dict) and isinstance(data.get(key), dict)
        if both and here not in WHOLE_VALUES:
            if here in places:
                tree.places[here] = places[here]
            merge_mapping(tree, data[key], value, here, places)
            continue
        inherited = key in data
        if inherited or here in tree.places:
            forget(tree, here)
        if value is None and inherited and here not in tree.trapped:
            del data[key]
            tree.places[here] = places.get(here, tree.place_of(path))
            continue
        data[key] = value
        inside = places if isinstance(value, dict | list) else (here,)  # a single value has one place
        for below in inside:
            if below[: len(here)] == here and below in places:
                tree.places[below] = places[below]


def forget(tree: Tree, path: KeyPath) -> None:
    """Drop the places of a value that is replaced."""
    for below in [known for known in tree.places if known[: len(path)] == path]:
        del tree.places[below]


def every_path(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The key paths of everything inside a value."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    for key, value in items:
        yield (*path, key)
        yield from every_path(value, (*path, key))


def leaves(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that is no mapping, with its key path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, data
