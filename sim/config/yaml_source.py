"""YAML files as plain data with the place of every key, without the traps of YAML 1.1.

PyYAML reads `off` as False, `12:30` as 750 (base 60) and `017` as 15, keeps the last of two equal keys and
expands aliases without limit. Here each of these is a problem with a place; the file is read to its end, so
that all problems are reported at once.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sim.config.problems import KeyPath, Place, Problem, path_text, refuse, shown
from sim.errors import InputError

MAX_FILE_BYTES = 4 * 2**20
MAX_DEPTH = 32
ZIP = b"PK\x03\x04"
"""How a zip archive begins, which an .npz file is."""
MAX_NODES = 200_000

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where PyYAML has that: fifteen times as fast."""
_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_RADIX = {"0x": "hexadecimal", "0b": "binary"}


@dataclass
class Document:
    """One file: plain data, the place of each key path, what is wrong so far and where not to look again."""

    file: str
    data: dict[str, Any]
    path: Path = Path()
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    trapped: set[KeyPath] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.path.parent


def read_document(path: Path, file: str, expected: str) -> Document:
    """Read a YAML mapping. `file` is the name to show, `expected` says what the file should hold.

    Raises InputError for what cannot be read at all; lesser problems are collected in the Document.
    """
    text = _decode(_read(path, file), file)
    node = _compose(text, file)
    if node is None:
        raise refuse(file, f"the file is empty; expected {expected}")
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{file}:{node.start_mark.line + 1}:1: found {_kind(node)}; expected {expected}")
    builder = _Builder(file)
    data = builder.build(node, (), 0)
    return Document(file, data, path, builder.places, builder.problems, builder.trapped)


def read_value(text: str, place: Place, path: KeyPath) -> tuple[Any, list[Problem]]:
    """A value of the command line, by the same rules as in a file; every place is that of the option."""
    try:
        node = _compose(text, str(place))
    except InputError as error:
        return None, [Problem(place, path_text(path), f"found {shown(text)}, which is {_reason(error)}")]
    if node is None:
        return None, [Problem(place, path_text(path), "no value; write null to clear a key")]
    builder = _Builder(str(place), place)
    return builder.build(node, path, 0), builder.problems


def _reason(error: InputError) -> str:
    return "not valid YAML: " + str(error).rpartition("not valid YAML: ")[2]


def _read(path: Path, file: str) -> bytes:
    try:
        if path.is_dir():
            raise refuse(file, "is a directory; expected a YAML file")
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise refuse(file, "no such file") from None
    except (OSError, ValueError) as error:
        raise refuse(file, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if b"\0" in content[:4096] or b"\0" in content:
        trace = (
            "; a stored trace is for `pagewalk run` alone"
            if content[:4] == ZIP and path.suffix == ".npz"
            else ""
        )
        raise refuse(file, f"is a binary file; expected YAML text{trace}")
    if len(content) > MAX_FILE_BYTES:
        raise refuse(file, f"is larger than {MAX_FILE_BYTES // 2**20} MiB; expected a configuration in YAML")
    return content


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}:{line}:1: is not UTF-8 text; expected YAML text in UTF-8") from None


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        _check_depth(text, file)
        return yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise InputError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise refuse(file, f"not valid YAML: {str(error).splitlines()[0]}") from None


def _check_depth(text: str, file: str) -> None:
    # The composer is recursive; the event parser is not, so the depth is known before anything recurses.
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise InputError(f"{file}:{line}:1: nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else f"text {shown(node.value)}"


class _Builder:
    """Turns YAML nodes into plain data, noting places and problems on the way."""

    def __init__(self, file: str, place: Place | None = None) -> None:
        self.file = file
        self.fixed_place = place
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self.trapped: set[KeyPath] = set()
        self.nodes = 0

    def place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return self.fixed_place or Place(self.file, mark.line + 1, mark.column + 1)

    def report(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.trapped.add(path)
        self.problems.append(Problem(self.place(node), path_text(path), text))

    def build(self, node: yaml.Node, path: KeyPath, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            # An alias may stand for a large part of the file, or for itself.
            raise InputError(
                f"{self.place(node)}: aliases expand to more than {MAX_NODES} values or {MAX_DEPTH} levels"
            )
        self.places.setdefault(path, self.place(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != _TAG + "seq":
                self.report(node, path, f"tag {shown(node.tag)} is not supported")
            return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        raise InputError(f"{self.place(node)}: cannot be read as YAML data")

    def mapping(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        if node.tag != _TAG + "map":
            self.report(node, path, f"tag {shown(node.tag)} is not supported")
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                self.report(key_node, path, "a key must be text")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key_node.tag == _TAG + "merge":
                self.report(key_node, here, "merge keys are not supported; inherit from a file with base:")
                continue
            if key in data:
                first = self.places[here]
                self.report(key_node, here, f"the key appears twice; first in line {first.line or 1}")
                continue
            self.places[here] = self.place(key_node)
            data[key] = self.build(value_node, here, depth + 1)
        return data

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        tag = node.tag.removeprefix(_TAG)
        if tag in ("str", "timestamp"):
            return text
        if tag == "null":
            return None
        if tag == "bool":
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            meaning = "true" if text.lower() in ("yes", "on") else "false"
            self.report(
                node,
                path,
                f"found {text}, which YAML 1.1 reads as {meaning}; write true or false, or quote it as text",
            )
        elif tag in ("int", "float"):
            return self.number(node, path, text, tag)
        else:
            self.report(node, path, f"tag {shown(node.tag)} is not supported")
        return None

    def number(self, node: yaml.ScalarNode, path: KeyPath, text: str, tag: str) -> int | float | None:
        plain = text.replace("_", "").lower()
        if ":" in text:
            self.report(
                node,
                path,
                f"found {text}, which YAML 1.1 reads in base 60; write a decimal number, or quote it as text",
            )
        elif tag == "int" and not _DECIMAL.fullmatch(text):
            base = _RADIX.get(plain.lstrip("+-")[:2], "octal")
            self.report(node, path, f"found {text}, which YAML 1.1 reads as {base}; write a decimal number")
        elif plain.lstrip("+-") in (".inf", ".nan"):
            return (
                math.nan if plain.endswith("nan") else math.copysign(math.inf, -1 if plain[0] == "-" else 1)
            )
        else:
            try:
                return int(plain) if tag == "int" else float(plain)
            except ValueError:
                self.report(node, path, f"found {shown(text)}; expected a number")
        return None
