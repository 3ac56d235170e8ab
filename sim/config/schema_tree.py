"""Walks the JSON Schema of a model by key path: which keys exist, what a key allows, what a typo may mean.

Everything that is said about keys (messages, docs, `--set` checks) derives from the one list of fields.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from sim.config.problems import KeyPath, did_you_mean, path_text

Fragment = dict[str, Any]


# Bounds behind a before-validator come out of pydantic under its own names.
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def model_schema(model: type[BaseModel]) -> Fragment:
    """The JSON Schema of a model, every bound under its standard name."""
    schema: Fragment = _standard_bounds(model.model_json_schema())
    return schema


def _standard_bounds(part: Any) -> Any:
    if isinstance(part, list):
        return [_standard_bounds(item) for item in part]
    if not isinstance(part, dict):
        return part
    numeric = part.get("type") in ("number", "integer")
    return {_BOUNDS.get(key, key) if numeric else key: _standard_bounds(value) for key, value in part.items()}


UNITS = ("_gb_s", "_gbit_s", "_kib", "_mib", "_gib", "_ghz", "_per_clk", "_clk", "_ns", "_bytes", "_mm2")
"""Unit suffixes of keys: a key of a section that has the unit of an unknown one may be what is meant."""


class SchemaTree:
    """The schema of one kind of file, addressed by key paths."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.root: Fragment = model_schema(model)
        self.definitions: dict[str, Fragment] = self.root.get("$defs", {})

    def alternatives(self, fragment: Fragment) -> list[Fragment]:
        """The fragment with references followed and unions opened; null is left out."""
        if "$ref" in fragment:
            return self.alternatives(self.definitions[fragment["$ref"].rsplit("/", 1)[1]])
        options = fragment.get("anyOf") or fragment.get("oneOf")
        if options is None:
            return [] if fragment.get("type") == "null" else [fragment]
        return [leaf for option in options for leaf in self.alternatives(option)]

    def child(self, fragment: Fragment, key: str | int) -> Fragment | None:
        """The fragment of a key of a mapping or an item of a list, or None."""
        for option in self.alternatives(fragment):
            if isinstance(key, int):
                items = option.get("prefixItems") or ([option["items"]] if "items" in option else [])
                if items:
                    return dict(items[min(key, len(items) - 1)])
            elif key in option.get("properties", {}):
                return dict(option["properties"][key])
            elif key in self.named_keys(option) or self.open_key(option):
                return dict(self.values(option))
        return None

    def values(self, option: Fragment) -> Fragment:
        """What a mapping with free keys holds."""
        pattern = option.get("patternProperties")
        found: Fragment | bool = next(iter(pattern.values())) if pattern else option["additionalProperties"]
        return found if isinstance(found, dict) else {}

    def open_key(self, option: Fragment) -> bool:
        free = isinstance(option.get("additionalProperties"), dict) or "patternProperties" in option
        return free and not self.named_keys(option)

    def named_keys(self, option: Fragment) -> list[str]:
        """Keys of a mapping whose keys come from a closed list (formats)."""
        names = option.get("propertyNames", {})
        for leaf in self.alternatives(names):
            if "enum" in leaf:
                return list(leaf["enum"])
        return []

    def at(self, path: KeyPath) -> Fragment | None:
        fragment: Fragment | None = self.root
        for key in path:
            fragment = self.child(fragment, key) if fragment is not None else None
        return fragment

    def keys(self, path: KeyPath) -> list[str]:
        """The keys that the mapping at `path` may have, in the order of the schema."""
        fragment = self.at(path)
        options = self.alternatives(fragment) if fragment is not None else []
        return [
            key for option in options for key in (*option.get("properties", {}), *self.named_keys(option))
        ]

    def allowed(self, path: KeyPath) -> str:
        """What may stand at `path`, in words."""
        fragment = self.at(path)
        return self.describe(fragment) if fragment is not None else "nothing"

    def describe(self, fragment: Fragment) -> str:
        return " or ".join(dict.fromkeys(self._describe(option) for option in self.alternatives(fragment)))

    def _describe(self, option: Fragment) -> str:
        if "enum" in option:
            return "one of " + ", ".join(map(str, option["enum"]))
        if "const" in option:
            return str(option["const"])
        words = {"boolean": "true or false", "string": "text"}
        words |= {"integer": "a whole number" + _bounds(option), "number": "a number" + _bounds(option)}
        kind = str(option.get("type"))
        if kind == "array":
            return self._describe_list(option)
        if kind == "object":
            names = [*option.get("properties", {}), *self.named_keys(option)]
            return "a mapping with the keys " + ", ".join(names) if names else "a mapping by name"
        words["string"] += f" of at most {option['maxLength']} characters" if "maxLength" in option else ""
        words["string"] += ", not empty" if option.get("minLength") else ""
        return words.get(kind, "any value")

    def _describe_list(self, option: Fragment) -> str:
        if "prefixItems" in option:
            return "[" + ", ".join(self.describe(item) for item in option["prefixItems"]) + "]"
        least = "at least one of" if option.get("minItems") == 1 else "each"
        return f"a list, {least}: {self.describe(option.get('items', {}))}"

    def unknown(self, path: KeyPath) -> str:
        """The message for a key that does not exist: what does, and what was probably meant."""
        section, key = path[:-1], str(path[-1])
        keys = self.keys(section)
        if key in keys:
            return f"does not go with its neighbours; allowed: {self.allowed(section)}"
        if not keys and any(self.open_key(option) for option in self.alternatives(self.at(section) or {})):
            return "unknown key; allowed: a name of letters, digits, _ and -, at most 32 characters"
        allowed = f"; allowed: {', '.join(keys)}" if keys else ""
        return f"unknown key{allowed}{self._meant(section, key, keys)}"

    def _meant(self, section: KeyPath, key: str, keys: list[str]) -> str:
        near = did_you_mean(key, keys)
        if near:
            return near
        same_unit = [known for known in keys if key.endswith(UNITS) and known.endswith(_unit(key))]
        if len(same_unit) == 1:
            return f"; did you mean {same_unit[0]}?"
        known = [path for path, _ in self.leaves() if not {"NAME", "KEY"} & set(path)]
        elsewhere = [path for path in known if path[-1] == key and path[:-1] != section]
        if elsewhere:
            return f"; did you mean {path_text(elsewhere[0])}?"
        return did_you_mean(path_text((*section, key)), map(path_text, known))

    def leaves(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Fragment]]:
        """All key paths that hold a value; keys of free mappings appear as NAME, closed ones as KEY."""
        yield from self._below(path, self.root)

    def _below(self, path: KeyPath, section: Fragment) -> Iterator[tuple[KeyPath, Fragment]]:
        for option in self.alternatives(section):
            for key, value in option.get("properties", {}).items():
                yield from self._leaf_or_below((*path, key), value)
            if option.get("additionalProperties") or "patternProperties" in option:
                name = "KEY" if self.named_keys(option) else "NAME"
                yield from self._leaf_or_below((*path, name), self.values(option))

    def _leaf_or_below(self, path: KeyPath, value: Fragment) -> Iterator[tuple[KeyPath, Fragment]]:
        sections = [option for option in self.alternatives(value) if option.get("type") == "object"]
        if not sections or len(sections) < len(self.alternatives(value)):
            yield path, value
        for section in sections:
            yield from self._below(path, section)


def _unit(key: str) -> str:
    return next(unit for unit in UNITS if key.endswith(unit))


def _bounds(option: Fragment) -> str:
    low, high = option.get("minimum"), option.get("maximum")
    above, below = option.get("exclusiveMinimum"), option.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    words = [
        f"{word} {_number(bound)}"
        for word, bound in (("above", above), ("at least", low), ("at most", high), ("below", below))
        if bound is not None
    ]
    return " " + ", ".join(words) if words else ""


def _number(bound: float) -> str:
    """Whole ones in full: 2^63 - 1 to twelve digits is another number."""
    return f"{bound:d}" if isinstance(bound, int) else f"{bound:.12g}"


@cache
def schema_tree(model: type[BaseModel]) -> SchemaTree:
    return SchemaTree(model)
