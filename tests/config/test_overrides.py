"""`--set PATH=VALUE`: one grammar, YAML values, and siblings that stay."""

import pytest

from sim.config.load import load_hardware, load_workload
from sim.config.overrides import parse_override, split_path
from sim.errors import InputError


def problems(*sets: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_hardware("h100_sxm", sets)
    return list(caught.value.problems)


def test_a_bare_path_means_hardware() -> None:
    assert split_path("sm.count") == ("hw", ("sm", "count"))
    assert split_path("hw.sm.count") == ("hw", ("sm", "count"))
    assert split_path("workload.batch") == ("workload", ("batch",))


def test_everything_after_the_first_equals_sign_is_the_value() -> None:
    assert parse_override("name=a=b").value == "a=b"


def test_setting_one_leaf_leaves_its_siblings() -> None:
    base = load_hardware("h100_sxm").spec
    spec = load_hardware("h100_sxm", ["sm.sram_kib=512", "hw.unpack.native=[int4]", "hbm.peak_gb_s=5e3"]).spec
    assert spec.sm == base.sm.model_copy(update={"sram_kib": 512})
    assert spec.unpack.native == ["int4"]
    assert spec.hbm == base.hbm.model_copy(update={"peak_gb_s": 5000.0})


def test_the_last_of_two_settings_wins() -> None:
    assert load_hardware("h100_sxm", ["sm.count=1", "sm.count=2"]).spec.sm.count == 2


def test_a_mapping_merges_and_a_new_tier_is_made() -> None:
    tier = "{kind: cxl, capacity_gib: 512, bandwidth_gb_s: 64, latency_ns: 300}"
    spec = load_hardware(
        "h100_sxm", [f"tiers.cxl0={tier}", "tiers.cxl0.latency_ns=400", "sm={count: 7}"]
    ).spec
    assert spec.tiers["cxl0"].latency_ns == 400
    assert (spec.sm.count, spec.sm.sram_kib) == (7, 228)


def test_the_origin_of_a_key_inside_a_mapping_is_the_setting() -> None:
    origin = load_hardware("h100_sxm", ["sm={count: 7}"]).origin
    assert origin["sm.count"] == "command line: --set sm={count: 7}"
    assert origin["sm.clock_ghz"].startswith("hwconfigs/h100_sxm.yaml:")


def test_each_loader_takes_its_own_settings() -> None:
    sets = ["sm.count=7", "workload.batch=3"]
    assert load_hardware("h100_sxm", sets).spec.sm.count == 7
    assert load_workload("decode_64x8k", sets).spec.batch == 3


def test_one_key_of_a_named_model_can_be_set() -> None:
    model = load_workload("decode_64x8k", ["workload.model.layers=2"]).spec.model
    assert not isinstance(model, str)
    assert (model.layers, model.q_heads) == (2, 64)


def test_a_setting_that_breaks_a_rule_of_the_model_is_blamed() -> None:
    with pytest.raises(InputError) as caught:
        load_workload("decode_64x8k", ["workload.model.kv_heads=3"])
    assert str(caught.value) == (
        "command line: --set workload.model.kv_heads=3: model.kv_heads: "
        "found 64 query heads for 3 KV heads; allowed: q_heads a multiple of kv_heads"
        " (model.q_heads is set at workloads/models/llama3_70b.yaml:2:1)"
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sm.sram_kb=1", "hw.sm.sram_kb: unknown key; allowed: "),
        ("sm.count.x=1", "hw.sm.count.x: unknown key"),
        ("sm.count=", "sm.count: no value; write null to clear a key"),
        ("sm.count=off", "sm.count: found off, which YAML 1.1 reads as false"),
        ("sm.count=1:30", "sm.count: found 1:30, which YAML 1.1 reads in base 60"),
        ("sm.count=[", 'sm.count: found "[", which is not valid YAML: '),
        (
            "sm.count=1,2",
            'sm.count: found "1,2"; allowed: a whole number from 1 to 4096; a list of values belongs in',
        ),
        (
            "sm.count=228 KiB",
            'sm.count: found "228 KiB"; allowed: a whole number from 1 to 4096; a plain number, its',
        ),
        ("base=h200_sxm", "hw.base: cannot be set here; write a file with base: instead"),
        ("sources.sm=1", "hw.sources.sm: cannot be set here; write a file with sources: instead"),
        (
            "tiers.x.latency_ns=5",
            "tiers.x.bandwidth_gb_s: missing; needed: a number from 0.001 to 1000000",
        ),
        ("sm.count", "expected PATH=VALUE, such as sm.sram_kib=512 or workload.batch=8"),
        ("=1", "expected PATH=VALUE"),
        ("hw=1", "expected PATH=VALUE"),
        ("sm..count=1", "expected PATH=VALUE"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_wrong(setting: str, message: str) -> None:
    assert problems(setting)[0].startswith(f"command line: --set {setting}: {message}")


def test_a_typo_is_answered_with_the_key_that_was_meant() -> None:
    assert problems("sm.sram_kb=1")[0].endswith("; did you mean sram_kib?")
    assert problems("hbm.sram_kib=1")[0].endswith("; did you mean sm.sram_kib?")
    assert problems("hbm.bandwidth_gb_s=1")[0].endswith("; did you mean peak_gb_s?")
    assert problems("hbm.latency_ns=1")[0].endswith("; did you mean noc.latency_ns?")
    assert problems("l2.capacity_mb=1")[0].endswith("; did you mean capacity_mib?")


def test_all_bad_settings_are_reported_at_once() -> None:
    assert len(problems("sm.cuont=1", "hbm.stakcs=1", "sm.count=0")) == 3
    assert len(problems("sm.cuont", "hbm.stacks=[")) == 2


@pytest.mark.parametrize("key", ["clock_ghz", "busy_clock_ghz", "step_clock_ghz"])
def test_of_several_clocks_the_slowest_is_blamed_for_a_slow_port(key: str) -> None:
    with pytest.raises(InputError) as caught:
        load_hardware("h100_sxm", [f"sm.{key}=1e-9"])
    assert str(caught.value).startswith(f"command line: --set sm.{key}=1e-9: sm.{key}: found 128 B per clock")
