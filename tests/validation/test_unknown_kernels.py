"""A kernel that no rule knows is predicted as another of its class, and every result says so."""

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import sim.cli.attention_case
from sim.config.load import load_profile
from sim.validation.attention import map_rows
from sim.validation.names import Recognised, recognise, shipped_names
from tests.validation import stub_predictor
from tests.validation.rows import ROW
from tests.validation.test_names_of_measurements import found
from tests.validation.test_runs_of_validation import Capture, validate
from tests.validation.truth_files import write_truth

MINE = "our paged attention kernel v7"  # vLLM's own, by its name
NEW = "Blitz decode"


@pytest.mark.parametrize(
    ("gpu", "phase", "kv_dtype", "profile"),
    [
        ("A100", "decode", "fp16", "flashinfer"),
        ("H20", "decode", "fp8", "flashinfer_fp8"),
        ("H20", "decode", "int8", "int4_decode"),  # a rule of its own: whoever wrote it
        ("H100", "prefill", "bf16", "fa3_prefill"),
        ("B200", "prefill", "bf16", "fa4_prefill"),
        ("RTX 5090", "prefill", "bf16", "fa2_prefill"),
    ],
)
def test_another_kernel_of_the_class_stands_in(gpu: str, phase: str, kv_dtype: str, profile: str) -> None:
    meaning = found(gpu=gpu, kernel=NEW, phase=phase, kv_dtype=kv_dtype)
    assert meaning.kernel.profile == profile
    assert meaning.stands_in == (kv_dtype != "int8")


@pytest.mark.parametrize("name", ["FlashInfer", "Triton", "FA3", MINE, "SDPA"])
def test_nothing_stands_in_for_a_known_kernel(name: str) -> None:
    assert not found(kernel=name).stands_in


@pytest.mark.parametrize(
    "name",
    [
        "cuBLAS GEMM",
        "reshape_and_cache",
        "fused RoPE + append",
        "SageAttention 2",
        "lightning linear attention",
    ],
)
def test_what_is_no_attention_of_the_stated_kind_is_still_left_out(name: str) -> None:
    assert "by its name it is no" in str(recognise(replace(ROW, kernel=name), shipped_names()))


def test_a_stand_in_runs_what_it_is_given() -> None:
    for rule in shipped_names().stand_ins:
        if rule.profile:
            profile = load_profile(rule.profile)
            assert set(rule.phase) <= set(profile.phase)
            for kv, phase in product(rule.kv, rule.phase):
                dtype = {"16bit": "bf16", "fp8": "fp8_e4m3"}[kv]
                assert dtype in profile.formats, (rule.profile, phase)


def test_no_fit_learns_from_a_stand_in() -> None:
    rows = [replace(ROW, id="a", kernel=NEW), replace(ROW, id="b", kernel="FlashInfer")]
    names = shipped_names()
    assert [c.row.id for c in map_rows(rows, names)[0]] == ["a", "b"]
    cases, skipped = map_rows(rows, names.without_stand_ins)
    assert [c.row.id for c in cases] == ["b"]
    assert "no kernel profile by this name" in skipped[0].reason
    assert isinstance(recognise(rows[1], names), Recognised)


def test_every_output_names_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sim.cli.attention_case, "time_case", stub_predictor.time_case)
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "log"))
    truth, out = write_truth(tmp_path / "t.csv", {"kernel": NEW}, {"kernel": "FlashInfer"}), tmp_path / "out"
    data, _ = validate(capsys, truth, "--out", str(out))
    assert data["stand_ins"] == ["r001"]
    with (out / "predictions.csv").open() as file:
        assert [row["stand_in"] for row in csv.DictReader(file)] == ["1", "0"]
    summary = (out / "summary.txt").read_text()
    line = next(line for line in summary.splitlines() if "that no rule knows" in line)
    assert line.startswith("1 row of")
    assert line.endswith(f": {NEW} (flashinfer)")
    stood_in = next(p for p in data["predictions"] if p["id"] == "r001")
    assert f"(mean error {abs(stood_in['predicted'] / stood_in['truth'] - 1):.1%})" in line
