"""The traps of YAML 1.1 are problems with a place, and reading never runs away."""

import math
import time
from pathlib import Path
from typing import Any

import pytest

from sim.config.problems import Place
from sim.config.yaml_source import MAX_FILE_BYTES, Document, read_document, read_value
from sim.errors import InputError


def read(folder: Path, text: str | bytes) -> Document:
    path = folder / "c.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_document(path, "c.yaml", "a mapping")


def refused(folder: Path, text: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    assert len(caught.value.problems) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("1_000", 1000),
        ("0", 0),
        ("1.5", 1.5),
        # PyYAML leaves these as text; the numeric fields of the schema parse them.
        ("1e9", "1e9"),
        ("2024-01-31", "2024-01-31"),
        ("'off'", "off"),
        ('"12:30"', "12:30"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_plain_values_keep_their_meaning(tmp_path: Path, text: str, value: Any) -> None:
    document = read(tmp_path, f"key: {text}\n")
    assert document.data == {"key": value}
    assert document.problems == []


def test_infinity_and_nan_reach_the_schema_which_refuses_them(tmp_path: Path) -> None:
    data = read(tmp_path, "a: .inf\nb: -.INF\nc: .nan\n").data
    assert data["a"] == math.inf
    assert data["b"] == -math.inf
    assert math.isnan(data["c"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("off", "found off, which YAML 1.1 reads as false; write true or false, or quote it as text"),
        ("Yes", "found Yes, which YAML 1.1 reads as true; write true or false, or quote it as text"),
        (
            "12:30",
            "found 12:30, which YAML 1.1 reads in base 60; write a decimal number, or quote it as text",
        ),
        (
            "1:30.5",
            "found 1:30.5, which YAML 1.1 reads in base 60; write a decimal number, or quote it as text",
        ),
        ("017", "found 017, which YAML 1.1 reads as octal; write a decimal number"),
        ("0x1F", "found 0x1F, which YAML 1.1 reads as hexadecimal; write a decimal number"),
        ("0b11", "found 0b11, which YAML 1.1 reads as binary; write a decimal number"),
        ("!!python/name:os.system", 'tag "tag:yaml.org,2002:python/name:os.system" is not supported'),
        ("!!float x", 'found "x"; expected a number'),
    ],
)
def test_a_trap_is_reported_where_it_stands(tmp_path: Path, text: str, message: str) -> None:
    problems = read(tmp_path, f"a: 1\nsm:\n  key: {text}\n").problems
    assert [str(problem) for problem in problems] == [f"c.yaml:3:8: sm.key: {message}"]


def test_a_key_that_appears_twice_is_reported_with_both_lines(tmp_path: Path) -> None:
    document = read(tmp_path, "sm:\n  count: 1\n  clock: 2\n  count: 3\n")
    assert [str(p) for p in document.problems] == [
        "c.yaml:4:3: sm.count: the key appears twice; first in line 2"
    ]
    assert document.data == {"sm": {"count": 1, "clock": 2}}


def test_merge_keys_and_keys_that_are_no_text_are_refused(tmp_path: Path) -> None:
    document = read(tmp_path, "x: &x {a: 1}\ny:\n  <<: *x\n? [1]\n: 2\n")
    assert [str(p) for p in document.problems] == [
        "c.yaml:3:3: y.<<: merge keys are not supported; inherit from a file with base:",
        "c.yaml:4:3: a key must be text",
    ]


def test_places_name_the_line_and_column_of_each_key(tmp_path: Path) -> None:
    places = read(tmp_path, "a:\n  b: [5,\n      6]\n").places
    assert places["a",] == Place("c.yaml", 1, 1)
    assert places["a", "b"] == Place("c.yaml", 2, 3)
    assert places["a", "b", 1] == Place("c.yaml", 3, 7)


def test_an_alias_is_expanded_but_not_without_end(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &a [1, 2]\nb: *a\n").data == {"a": [1, 2], "b": [1, 2]}
    assert "aliases expand" in refused(tmp_path, "a: &a [*a]\n")


def test_an_alias_bomb_ends_soon(tmp_path: Path) -> None:
    # Ten levels of ten aliases stand for 10^10 values.
    lines = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 10)]
    start = time.process_time()
    assert "aliases expand to more than 200000 values" in refused(tmp_path, "\n".join(lines))
    assert time.process_time() - start < 10


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_anything_recurses(tmp_path: Path, opening: str) -> None:
    assert "nested deeper than 32 levels" in refused(tmp_path, "a:\n  " + opening * 100_000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "c.yaml: the file is empty; expected a mapping"),
        (b"# only a comment\n", "c.yaml: the file is empty; expected a mapping"),
        (b"\x7fELF\x00\x01", "c.yaml: is a binary file; expected YAML text"),
        (b"a: 1\nname: caf\xe9\n", "c.yaml:2:1: is not UTF-8 text; expected YAML text in UTF-8"),
        (b"- 1\n", "c.yaml:1:1: found a list; expected a mapping"),
        (b"hello\n", 'c.yaml:1:1: found text "hello"; expected a mapping'),
        (b"a: *b\n", "c.yaml:1:4: not valid YAML: found undefined alias"),
        (b"a: 1\n---\nb: 2\n", "c.yaml:2:1: not valid YAML: but found another document"),
        (b"a: [1\nb: 2\n", "c.yaml:2:2: not valid YAML: did not find expected ',' or ']'"),
        (b"#" * (MAX_FILE_BYTES + 1), "c.yaml: is larger than 4 MiB; expected a configuration in YAML"),
    ],
)
def test_a_file_that_is_no_mapping_gets_one_message(tmp_path: Path, content: bytes, message: str) -> None:
    assert refused(tmp_path, content) == message


def test_a_directory_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "d: is a directory"), (tmp_path / "x.yaml", "d: no such file")):
        with pytest.raises(InputError, match=message):
            read_document(path, "d", "a mapping")


def test_a_value_of_the_command_line_follows_the_same_rules() -> None:
    place = Place("command line")
    assert read_value("[fp8_e4m3, int4]", place, ("x",)) == (["fp8_e4m3", "int4"], [])
    (problem,) = read_value("off", place, ("hash",))[1]
    assert str(problem).startswith("command line: hash: found off, which YAML 1.1 reads as false; ")
    assert "no value" in str(read_value("", place, ("x",))[1][0])
    assert "not valid YAML" in str(read_value("[", place, ("x",))[1][0])
