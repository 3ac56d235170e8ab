"""Whatever stands in a config, loading ends with a spec or with InputError: nothing else, and soon."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.config.hardware import Hardware
from sim.config.load import load_any_workload, load_hardware, load_workload
from sim.config.micro import Micro
from sim.config.problems import path_text
from sim.config.schema_tree import schema_tree
from sim.config.workload import Workload
from sim.errors import InputError

QUICK = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["off", "1:30", ".inf", "-.nan", "1e999", "0x1", "~", "h100_sxm", "<mapping>", "[key]"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


def paths_of(model: Any) -> list[str]:
    tree = schema_tree(model)
    full = [path for path, _ in tree.leaves() if not {"NAME", "KEY"} & set(path)]
    sections = {path[:length] for path in full for length in range(1, len(path) + 1)}
    return sorted(path_text(path) for path in sections)


@QUICK
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_or_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError):
        load_hardware(str(path))


@QUICK
@given(st.dictionaries(st.sampled_from([*paths_of(Hardware), "base", "sources", "x"]), VALUES, max_size=4))
def test_any_values_at_hardware_keys_are_refused_or_accepted(tmp_path: Path, values: dict[str, Any]) -> None:
    data: dict[str, Any] = {"base": "h100_sxm"}
    for path, value in values.items():
        *sections, last = path.split(".")
        inner = data
        for key in sections:
            inner[key] = inner[key] if isinstance(inner.get(key), dict) else {}
            inner = inner[key]
        inner[last] = value
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(data))
    check(lambda: load_hardware(str(file)))


@QUICK
@given(st.sampled_from(paths_of(Hardware)), st.text(max_size=20) | VALUES.map(json.dumps))
def test_any_setting_of_the_machine_is_refused_or_accepted(path: str, text: str) -> None:
    check(lambda: load_hardware("h100_sxm", [f"{path}={text}"]))


@QUICK
@given(st.sampled_from(paths_of(Workload)), st.text(max_size=20) | VALUES.map(json.dumps))
def test_any_setting_of_the_workload_is_refused_or_accepted(path: str, text: str) -> None:
    check(lambda: load_workload("decode_64x8k", [f"workload.{path}={text}"]))


@QUICK
@given(st.dictionaries(st.sampled_from([*paths_of(Micro), "model", "x"]), VALUES, max_size=4))
def test_any_values_at_keys_of_a_microbenchmark_are_refused_or_accepted(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps({"base": "micro_gather"} | values))
    check(lambda: load_any_workload(str(file)))


@QUICK
@given(st.text(max_size=30))
def test_any_text_as_a_setting_or_a_name_is_refused_or_accepted(text: str) -> None:
    check(lambda: load_hardware("h100_sxm", [text]))
    check(lambda: load_workload(text))


def check(load: Any) -> None:
    problems: tuple[str, ...] | None = None
    try:
        load()
    except InputError as error:
        problems = error.problems
    assert problems is None or 1 <= len(problems) <= 21
    assert all(problem.isprintable() for problem in problems or ())
