"""pydantic's errors in the words of the project: where, which key, what was found, what is allowed."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sim.config.fields import RULE, tag_of_union
from sim.config.merge import Tree
from sim.config.problems import KeyPath, Problem, path_text, shown
from sim.config.schema_tree import SchemaTree


def translated(error: ValidationError, tree: Tree, schema: SchemaTree) -> Iterator[Problem]:
    """One Problem for each error that was not already reported while reading."""
    for detail in error.errors(include_url=False):
        path = data_path(detail["loc"], detail["type"])
        if any(path[:length] in tree.trapped for length in range(1, len(path) + 1)):
            continue
        others = ""
        if detail["type"] == RULE:
            taking_part = [(*path, *key) for key in detail["ctx"]["paths"]]
            path = max(reversed(taking_part), key=tree.rank)
            others = _set_elsewhere(taking_part, path, tree)
        yield Problem(tree.place_of(path), path_text(path), _text(detail, path, schema) + others)


def _set_elsewhere(taking_part: list[KeyPath], blamed: KeyPath, tree: Tree) -> str:
    """Where the other keys of a rule were set, if that is in another file: the reader has to look there too."""
    here = tree.place_of(blamed).file
    places = {
        path_text(path): tree.places[path] for path in taking_part if path in tree.places and path != blamed
    }
    away = [f"{key} is set at {place}" for key, place in places.items() if place.file != here]
    return f" ({', '.join(away)})" if away else ""


def data_path(location: tuple[int | str, ...], kind: str) -> KeyPath:
    """pydantic's location without its marks for union branches and for mapping keys."""
    kept = [part for part in location if not (isinstance(part, str) and tag_of_union(part))]
    if kind == "extra_forbidden" and location[-1] != (kept[-1] if kept else None):
        kept.append(location[-1])
    return tuple(kept)


def _text(detail: ErrorDetails, path: KeyPath, schema: SchemaTree) -> str:
    if detail["type"] == RULE:
        return str(detail["ctx"]["text"])
    if detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",):
        return schema.unknown(path)
    if detail["type"] == "missing":
        return _missing(path, schema)
    value = detail["input"]
    return f"found {shown(value)}; allowed: {schema.allowed(path)}{_hint(value, path, schema)}"


def _missing(path: KeyPath, schema: SchemaTree) -> str:
    fragment = schema.at(path) or {}
    meaning = fragment.get("description")
    return f"missing; needed: {schema.describe(fragment)}" + (f" ({meaning})" if meaning else "")


def _hint(value: Any, path: KeyPath, schema: SchemaTree) -> str:
    kinds = {option.get("type") for option in schema.alternatives(schema.at(path) or {})}
    if "string" in kinds and isinstance(value, int | float):
        return "; quote it if text is meant"
    if kinds & {"integer", "number"} and isinstance(value, str):
        if "," in value:
            return "; a list of values belongs in the axes of a sweep"
        if value[:1].isdigit() and any(letter.isalpha() for letter in value):
            return "; a plain number, its unit is in the key"
    return ""
