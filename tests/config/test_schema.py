"""What the schemas allow: bounds, types, rules between fields, and how a violation reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sim.config.hardware import LEAST_NOC_NS, Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_workload
from sim.config.micro import Micro
from sim.config.schema_tree import schema_tree
from sim.config.workload import Model, Workload
from sim.errors import InputError
from sim.memory.params import MIN_WINDOW_PS

Check = Callable[[str], list[str]]
MODEL = {"layers": 2, "q_heads": 8, "kv_heads": 2, "head_dim": 128, "hidden": 64, "ffn": 64, "vocab": 9}


def lines_of(error: InputError) -> list[str]:
    return list(error.problems)


@pytest.fixture
def hardware_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> list[str]:
        (tmp_path / "c.yaml").write_text("base: h100_sxm\n" + text)
        with pytest.raises(InputError) as caught:
            load_hardware("c.yaml")
        return lines_of(caught.value)

    return check


@pytest.fixture
def workload_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> list[str]:
        (tmp_path / "c.yaml").write_text("base: decode_64x8k\n" + text)
        with pytest.raises(InputError) as caught:
            load_workload("c.yaml")
        return lines_of(caught.value)

    return check


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sm: {count: 0}", "sm.count: found 0; allowed: a whole number from 1 to 4096"),
        ("sm: {count: 5000}", "sm.count: found 5000; allowed: a whole number from 1 to 4096"),
        ("sm: {count: 1.5}", "sm.count: found 1.5; allowed: a whole number from 1 to 4096"),
        ("sm: {count: true}", "sm.count: found true; allowed: a whole number from 1 to 4096"),
        ("sm: {count: 1e400}", "sm.count: found Infinity; allowed: a whole number from 1 to 4096"),
        ("sm: {clock_ghz: .inf}", "sm.clock_ghz: found Infinity; allowed: a number above 0, at most 10"),
        ("sm: {clock_ghz: nan}", "sm.clock_ghz: found NaN; allowed: a number above 0, at most 10"),
        ("sm: {clock_ghz: -1.7}", "sm.clock_ghz: found -1.7; allowed: a number above 0, at most 10"),
        (
            "hbm: {capacity_gib: 1e30}",
            "hbm.capacity_gib: found 1e+30; allowed: a number above 0, at most 65536",
        ),
        ("noc: {latency_ns: -1}", "noc.latency_ns: found -1; allowed: a number from 2.5 to 1000000"),
        ("hbm: {hash: 1}", "hbm.hash: found 1; allowed: true or false"),
        ('hbm: {hash: "true"}', 'hbm.hash: found "true"; allowed: true or false'),
        ("hbm: {grain: trains}", 'hbm.grain: found "trains"; allowed: one of train, exact'),
        ("l2: {line_bytes: 100}", "l2.line_bytes: found 100; allowed: one of 64, 128, 256"),
        ("sm: 3", "sm: found 3; allowed: a mapping with the keys count, clock_ghz, "),
        (
            "name: 7",
            "name: found 7; allowed: text of at most 80 characters, not empty; quote it if text is meant",
        ),
        ('name: ""', 'name: found ""; allowed: text of at most 80 characters, not empty'),
        ("unpack: {native: [fp5]}", 'unpack.native[0]: found "fp5"; allowed: one of fp8_e4m3, fp8_e5m2, '),
        (
            "sm: {tensor_flop_per_clk: {fp5: 1}}",
            "sm.tensor_flop_per_clk.fp5: unknown key; allowed: fp16, bf16, fp8",
        ),
        (
            "sm: {tensor_flop_per_clk: {fp16: null}}",
            "sm.tensor_flop_per_clk: found bf16, fp8, int8; allowed: fp16 among them, for all that has no rate",
        ),
        ("tiers: {a.b: {kind: ssd}}", "tiers.a.b: unknown key; allowed: a name of letters, digits, _ and -"),
        (
            "tiers: {x: {kind: tape}}",
            "tiers.x.bandwidth_gb_s: missing; needed: a number from 0.001 to 1000000",
        ),
        ("l2: {private: true}", "l2.private: found true; allowed: only with an llc section behind the L2s"),
        (
            "l2: {partitions: 7}",
            "l2.partitions: found 80 slices in 7 partitions; allowed: the same number in each",
        ),
        (
            "sm: {gpc_sms: [100, 40]}",
            "sm.gpc_sms: found 140 SMs in 2 GPCs of a device with 132 SMs; allowed: at most sm.count in sm.gpc_sms",
        ),
        (
            "sm: {max_inflight_kib: 0.1}",
            "sm.max_inflight_kib: found 0.1 KiB; allowed: at least one line of L2, 0.125 KiB",
        ),
    ],
)
def test_an_impossible_hardware_value_is_refused(hardware_problems: Check, text: str, message: str) -> None:
    assert hardware_problems(text)[0].partition(": ")[2].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch: 0", "batch: found 0; allowed: a whole number from 1 to 65536"),
        ("context: 0", "context: found 0; allowed: a whole number from 1 to 16777216 or a list"),
        ("context: 8k", 'context: found "8k"; allowed: a whole number'),
        ("context: []", "context: found []; allowed: "),
        ("context: [1, -1]", "context[1]: found -1; allowed: a whole number from 1 to 16777216"),
        ("context: [5, 6]", "context: found 2 contexts for a batch of 64; allowed: one per sequence"),
        ("context: {uniform: [9, 2]}", "context.uniform: found [9, 2]; allowed: [lowest, highest]"),
        ("context: {uniform: [1, 2, 3]}", "context.uniform: found [1, 2, 3]; allowed: [a whole number"),
        ("context: {trace: x}", "context.at_s: missing; needed: a number from 0 to 1000000000"),
        ("context: {uniform: [1, 2], at_s: 1}", "context.at_s: does not go with its neighbours; allowed: "),
        ("kv_format: fp4", 'kv_format: found "fp4"; allowed: one of fp16, bf16, fp8_e4m3, '),
        (
            "kv_format: {hot: int3, cold: int4, hot_tokens: 1}",
            'kv_format.hot: found "int3"; allowed: one of fp16',
        ),
        ("mapping: {stages: 0}", "mapping.stages: found 0; allowed: a whole number from 1 to 64"),
        ("mapping: {tile: 8}", "mapping.tile: unknown key; allowed: tile_tokens, stages, "),
        ("kind: serving", 'kind: found "serving"; allowed: one of kernel, step, micro'),
        ("model: llama3_70", "model: llama3_70: no such model; shipped: "),
        ("kernel: fa9", "kernel: fa9: no such kernel profile; shipped: "),
        (
            "q_len: 8193",
            "q_len: found q_len 8193 in a context of 8192; allowed: at most the shortest context",
        ),
        (
            "shared_prefix: 9000",
            "shared_prefix: found shared_prefix 9000 in a context of 8192; allowed: at most",
        ),
        (
            "tensor_parallel: 3",
            "tensor_parallel: found 3 for 64 query and 8 KV heads; allowed: a divisor of both",
        ),
        (
            "causal: false\nmodel: {base: llama3_8b, attention: window, window: 512}",
            "causal: found false with a sliding window; allowed: true",
        ),
        (
            "model: {base: llama3_70b, window: 16}",
            "model.window: found window with attention gqa; allowed: only with attention window (null takes",
        ),
        ("page_tokens: 0", "page_tokens: found 0; allowed: a whole number from 1 to 65536"),
    ],
)
def test_an_impossible_workload_value_is_refused(workload_problems: Check, text: str, message: str) -> None:
    assert workload_problems(text)[0].partition(": ")[2].startswith(message)


def test_all_problems_are_reported_at_once_and_in_file_order(hardware_problems: Check) -> None:
    found = hardware_problems("sm:\n  count: 0\n  sram_kb: 3\nhbm: {stacks: -1}\nname: off\n")
    assert [line.split(": ")[0] for line in found] == ["c.yaml:3:3", "c.yaml:4:3", "c.yaml:5:7", "c.yaml:6:7"]


def test_at_most_twenty_problems_are_shown(hardware_problems: Check) -> None:
    found = hardware_problems("".join(f"key{i}: 1\n" for i in range(33)))
    assert len(found) == 21
    assert found[-1] == "... and 13 more problems"


def test_a_long_value_is_cut_to_80_characters(hardware_problems: Check) -> None:
    (line,) = hardware_problems("name: " + "x" * 500)
    assert (
        line
        == 'c.yaml:2:1: name: found "' + "x" * 76 + "...; allowed: text of at most 80 characters, not empty"
    )


def test_control_characters_of_a_value_do_not_reach_the_terminal(hardware_problems: Check) -> None:
    (line,) = hardware_problems('hbm: {refresh: "\\e[31mred"}')
    assert "\x1b" not in line


def test_a_huge_whole_number_is_named_by_its_length(hardware_problems: Check) -> None:
    (line,) = hardware_problems("sm: {count: 1" + "0" * 999 + "}")
    assert "sm.count: found a number of about" in line


def test_yaml_numbers_written_as_text_are_numbers() -> None:
    spec = load_hardware("h100_sxm", ["hbm.peak_gb_s=3.2e3", "sm.count=1.0e2", "l2.line_bytes=128.0"]).spec
    assert (spec.hbm.peak_gb_s, spec.sm.count, spec.l2.line_bytes) == (3200.0, 100, 128)
    assert isinstance(spec.sm.count, int)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"q_heads": 7}, "q_heads"),
        ({"attention": "window"}, "window"),
        ({"attention": "mla"}, "value_dim"),
        ({"attention": "ssm"}, "state_dim"),
        ({"attention": "mla", "value_dim": 256}, "head_dim"),
        ({"window": 16}, "window"),
        (
            {"latent": {"key_dim": 64, "value_dim": 64}},
            "latent with attention gqa; allowed: only with attention mla",
        ),
        ({"state_dim": 16}, "state_dim with attention gqa; allowed: only with attention ssm or hybrid"),
        ({"attention": "ssm", "state_dim": 16, "attention_every": 2}, "only with attention hybrid"),
    ],
)
def test_a_model_keeps_the_rules_between_its_fields(change: dict[str, Any], key: str) -> None:
    Model.model_validate(MODEL)
    with pytest.raises(ValidationError, match=key):
        Model.model_validate(MODEL | change)


def test_null_takes_an_inherited_key_away_with_the_kind_that_used_it() -> None:
    sets = ("workload.model.attention=gqa", "workload.model.window=null")
    model = load_workload("decode_window", sets).spec.model
    assert isinstance(model, Model)
    assert (model.attention, model.window) == ("gqa", None)


def test_the_least_way_to_l2_is_what_the_memory_model_can_look_ahead() -> None:
    assert 2000 * LEAST_NOC_NS == MIN_WINDOW_PS


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(load_hardware("h100_sxm").spec.sm, "count", 3)  # noqa: B010


def count_limits(fragment: Any, path: str) -> list[str]:
    """Whole numbers of a schema that have no upper limit."""
    if isinstance(fragment, list):
        return [name for i, item in enumerate(fragment) for name in count_limits(item, f"{path}[{i}]")]
    if not isinstance(fragment, dict):
        return []
    missing = [path] if fragment.get("type") == "integer" and not {"maximum", "enum"} & set(fragment) else []
    return missing + [name for key, item in fragment.items() for name in count_limits(item, f"{path}.{key}")]


@pytest.mark.parametrize("model", [Hardware, Workload, Micro, Model, KernelProfile])
def test_every_count_has_an_upper_limit(model: Any) -> None:
    assert count_limits(schema_tree(model).root, model.__name__) == []
