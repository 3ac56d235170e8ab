"""`pagewalk calibrate` on times made with the evaluator that it fits: known parameters come back."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from sim.calibration.output import overheads_path
from sim.calibration.parameters import (
    MACHINE,
    machine_start,
    profile_parameters,
    profile_start,
    with_machine,
)
from sim.calibration.rows import evaluated, hold_back, spread
from sim.cli.attention_case import step_of
from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.validation.attention import map_rows
from sim.validation.cases import Machines, Mapped, Skipped, map_row
from sim.validation.names import shipped_names
from sim.validation.truth import read_truth
from tests.validation.truth_files import write_truth

OVERHEAD_US = 6.0
KNOWN = {"hbm.busy_fraction": 0.15}
SHAPES = [(b, c) for b in (1, 4, 16, 32) for c in (512, 1024, 2048, 4096, 6144, 8192)]


def cases_of(path: Path) -> list[Mapped]:
    cases, skipped = map_rows(read_truth(path), shipped_names())
    assert [s for s in skipped if "impossible" not in s.reason] == []
    return cases


H100_FA3 = ("H100-SXM5-80GB", "vLLM FlashAttention-3")
L40S_FA2 = ("L40S", "vLLM FlashAttention")


CHIP = """
base: l40s
hbm: {busy_fraction: 0.0}
l2: {effective_fraction: 0.9}
sm: {max_inflight_kib: 16}
launch: {cta_ns: 200}
"""
KERNEL = """
base: fa3
prologue_clk: 2900
epilogue_clk: 550
tile_issue_clk: 150
combine_split_clk: 110
run_clk: 4
"""


@pytest.fixture
def chip(tmp_path: Path) -> str:
    """A machine whose values are the test's, whatever is shipped."""
    (tmp_path / "chip.yaml").write_text(CHIP)
    return str(tmp_path / "chip.yaml")


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    (tmp_path / "kernel.yaml").write_text(KERNEL)
    return str(tmp_path / "kernel.yaml")


def synthetic(path: Path, who: tuple[str, str], hw: Hardware, profile: KernelProfile) -> Path:
    """Times that the tile-grain model gives on this machine with this profile, and 6 us of a framework."""
    rows = [{"batch": b, "context": c, "value": 1e6, "gpu": who[0], "kernel": who[1]} for b, c in SHAPES]
    ordered = sorted(rows, key=lambda r: int(r["batch"]) * int(r["context"]))
    times = []
    for case in map_all(write_truth(path, *ordered)):
        row = evaluated(case, hw, profile, step_of)
        assert not isinstance(row, Skipped)
        times.append(row.time_us(hw, profile) + OVERHEAD_US)
    return write_truth(path, *({**r, "value": f"{t:.9g}"} for r, t in zip(ordered, times, strict=True)))


def map_all(path: Path) -> list[Mapped]:
    machines = Machines()
    found = [map_row(row, shipped_names(), machines) for row in read_truth(path)]
    return [case for case in found if isinstance(case, Mapped)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert exit_code_of(pagewalk, ("calibrate", *arguments)) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


@pytest.mark.slow
def test_known_machine_parameters_come_back(
    tmp_path: Path, chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hw = with_machine(load_hardware(chip).spec, KNOWN)
    truth = synthetic(tmp_path / "t.csv", L40S_FA2, hw, load_profile("fa2"))
    out = tmp_path / "mine.yaml"
    text, _ = run(
        capsys,
        str(truth),
        "--hw",
        chip,
        "--out",
        str(out),
        "--fidelity",
        "tile",
        "--json",
    )
    found = json.loads(text)
    assert found["schema"] == "pagewalk.calibration/1"
    assert found["parameters"]["hbm.busy_fraction"]["value"] == pytest.approx(0.15, abs=0.02)
    assert found["fitted"]["mape"] < 0.02
    assert found["held_back"]["mape"] < 0.02
    assert found["before"]["mape"] > 2 * found["fitted"]["mape"]
    assert found["fitted"]["n"] + found["held_back"]["n"] == len(SHAPES)
    for p in MACHINE:
        assert p.low <= found["parameters"][p.path]["value"] <= p.high

    config = load_hardware(str(out)).spec
    assert config.hbm.busy_fraction == found["parameters"]["hbm.busy_fraction"]["value"]
    source = config.sources["hbm.busy_fraction"]
    assert source.kind == "calibrated"
    assert source.range == (0.0, 0.25)
    assert source.ref.startswith(
        f"pagewalk calibrate, t.csv, sha256 {hashlib.sha256(truth.read_bytes()).hexdigest()[:8]}, "
    )
    sibling = yaml.safe_load(overheads_path(out).read_text())
    assert sibling["use"] == {"l40s": "mine.yaml"}
    table = sibling["overheads"]
    assert [(o["framework"], o["hw"], o["kv"]) for o in table] == [("vllm", "l40s", "16bit")]
    # A CTA start that all CTAs pay at once is no different from an overhead: times tell their sum alone.
    total = table[0]["overhead_us"] + config.launch.cta_ns / 1e3
    assert total == pytest.approx(OVERHEAD_US + 0.2, abs=0.5)


def test_every_row_is_fitted_held_back_or_listed_with_the_reason(
    tmp_path: Path, chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = synthetic(tmp_path / "t.csv", L40S_FA2, load_hardware(chip).spec, load_profile("fa2"))
    ours = {"gpu": L40S_FA2[0], "kernel": L40S_FA2[1]}
    with truth.open(newline="") as file:
        own = list(csv.DictReader(file))
    others = (
        {"id": "x1", "gpu": "T4"},
        {"id": "x2", "gpu": "H100-SXM5-80GB"},
        ours | {"id": "x3", "phase": "prefill", "q_len": 512, "causal": "true", "value": 1e4},
        ours | {"id": "x4", "context": 65536, "value": 1e-3},
    )
    write_truth(truth, *own, *others)
    arguments = ("--hw", chip, "--out", str(tmp_path / "o.yaml"), "--fidelity", "tile", "--evaluations", "1")
    text, _ = run(capsys, str(truth), *arguments, "--rows", "13", "--json")
    found = json.loads(text)
    kinds = Counter(s["reason"].partition(": ")[0] for s in found["skipped"])
    # 16 rows to fit, of which 13 are taken, and 8 to judge.
    assert kinds == {"not covered": 3, "impossible": 1, "over --rows": 3}
    assert found["fitted"]["n"] + found["held_back"]["n"] + len(found["skipped"]) == len(own) + len(others)
    text, _ = run(capsys, str(truth), *arguments)
    assert "rows left out: not covered 3, impossible 1 (--json lists them)" in text


def test_times_of_known_profile_parameters_come_back(
    tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    true = load_profile(kernel).model_copy(update={"tile_issue_clk": 1200.0, "combine_split_clk": 400.0})
    truth = synthetic(tmp_path / "t.csv", H100_FA3, load_hardware("h100_sxm").spec, true)
    out = tmp_path / "sub" / "mine.yaml"
    arguments = (str(truth), "--hw", "h100_sxm", "--profile", kernel, "--out", str(out), "--fidelity", "tile")
    text, _ = run(capsys, *arguments, "--json")
    found = json.loads(text)
    # Issue slots of a tile and of its runs add up, so that times tell their sum alone.
    assert found["before"]["mape"] > 2 * found["fitted"]["mape"]
    assert found["fitted"]["mape"] < 0.02
    assert found["held_back"]["mape"] < 0.03
    profile = load_profile(str(out))
    assert profile.tile_tokens == load_profile("fa3").tile_tokens
    assert profile.sources["tile_issue_clk"].startswith("calibrated: pagewalk calibrate, t.csv, sha256 ")
    for p in profile_parameters(profile):
        assert p.low <= getattr(profile, p.path) <= p.high


@pytest.mark.parametrize(("profile", "fitted"), [("fa2", True), ("xqa", True), ("xqa_nosplit_fp8", False)])
def test_the_entry_of_a_reduction_is_fitted_where_there_is_one(profile: str, fitted: bool) -> None:
    assert ("combine_clk" in [p.path for p in profile_parameters(load_profile(profile))]) == fitted


def test_every_third_row_by_id_is_held_back(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "t.csv", *({"id": name} for name in ("c", "a", "e", "b", "d", "f")))
    kept, held = hold_back(cases_of(truth))
    assert [case.row.id for case in held] == ["c", "f"]
    assert [case.row.id for case in kept] == ["a", "b", "d", "e"]


def test_rows_are_spread_over_the_times_of_each_group(tmp_path: Path) -> None:
    values = [50, 10, 40, 20, 30]
    rows = [{"value": v, "context": 64 * v} for v in values]
    others = [{"value": v, "context": 64 * v, "kernel": "vLLM FlashAttention"} for v in (60, 70)]
    taken = spread(cases_of(write_truth(tmp_path / "t.csv", *rows, *others)), 3)
    assert [case.time_us for case in taken] == [10, 30, 50, 60, 70]


def test_starts_are_the_config_within_the_bounds() -> None:
    hw = load_hardware("h100_sxm", ("launch.cta_ns=5", "sm.max_inflight_kib=500")).spec
    start = dict(zip((p.path for p in MACHINE), machine_start(hw), strict=True))
    assert start["launch.cta_ns"] == 20
    assert start["sm.max_inflight_kib"] == 128
    profile = load_profile("fa3").model_copy(update={"run_clk": None})
    names = [p.path for p in profile_parameters(profile)]
    assert dict(zip(names, profile_start(profile, hw), strict=True))["run_clk"] == hw.gather.issue_clk


def test_a_kernel_without_tile_grain_is_skipped_with_the_reason(tmp_path: Path) -> None:
    case = cases_of(write_truth(tmp_path / "t.csv", {}))[0]
    found = evaluated(case, load_hardware("h100_sxm").spec, load_profile("standard"), step_of)
    assert isinstance(found, Skipped)
    assert "no tile-grain model of standard" in found.reason


BAD = {
    "no such machine": (("--hw", "h101"), "no such hardware; shipped: "),
    "no such profile": (("--hw", "h100_sxm", "--profile", "fa4"), "no such kernel profile; shipped: "),
    "two machines": (
        ("--hw", "h100_sxm", "--hw", "l40s"),
        "--hw: found 2 machines; allowed: one, unless --profile",
    ),
    "too few rows": (("--hw", "h100_sxm"), "found 2 usable rows of h100_sxm to fit"),
    "no row of this machine": (("--hw", "l40s"), "found 0 usable rows of l40s to fit"),
    "no row of this profile": (
        ("--hw", "h100_sxm", "--profile", "xqa"),
        "found 0 usable rows of xqa on h100_sxm",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fitted_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_truth(
        tmp_path / "t.csv", {}, {"context": 4096, "value": 40}, {"context": 8192, "value": 50}
    )
    arguments, message = BAD[name]
    out, err = run(capsys, str(truth), *arguments, "--out", str(tmp_path / "o.yaml"), code=2)
    assert out == ""
    assert message in err
    assert list(tmp_path.iterdir()) == [truth]


def test_bad_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = tmp_path / "t.csv"
    _, err = run(capsys, str(truth), "--hw", "h100_sxm", "--out", str(tmp_path / "o.yaml"), code=2)
    assert f"{truth}: cannot be read" in err
    write_truth(truth, {"value": "fast"})
    _, err = run(capsys, str(truth), "--hw", "h100_sxm", "--out", str(tmp_path / "o.yaml"), code=2)
    assert f"{truth}:2: value: found 'fast'; allowed: a number" in err
    _, err = run(capsys, str(truth), "--hw", "h100_sxm", "--out", str(tmp_path / "o.txt"), code=2)
    assert "allowed: a path that ends in .yaml or .yml" in err
    run(capsys, str(truth), "--hw", "h100_sxm", code=2)


def refused_out(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> str:
    """The message; the file of measurements is not even opened."""
    return run(capsys, "no.csv", *arguments, "--out", str(out), code=2)[1]


@pytest.mark.parametrize("out", ["chip.yaml", "child.yaml", "link.yaml", "sub/../chip.yaml"])
def test_the_given_machine_and_its_bases_are_never_overwritten(
    out: str, tmp_path: Path, chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "child.yaml").write_text("base: ./chip.yaml\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "chip.yaml")
    (tmp_path / "sub").mkdir()
    err = refused_out(capsys, tmp_path / out, "--hw", str(tmp_path / "child.yaml"))
    assert f"--out: {tmp_path / out} would replace what --hw or --profile is, or inherits" in err
    assert Path(chip).read_text() == CHIP


def test_the_given_profile_is_never_overwritten_not_even_by_the_overheads(
    tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = ("--hw", "h100_sxm", "--profile")
    assert "would replace" in refused_out(capsys, Path(kernel), *profile, kernel)
    mine = tmp_path / "mine.overheads.yaml"
    mine.write_text(KERNEL)
    err = refused_out(capsys, tmp_path / "mine.yaml", *profile, str(mine))
    assert f"--out: {mine} would replace" in err


def test_a_place_that_cannot_be_written_is_refused_before_the_fit(
    tmp_path: Path, chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    err = refused_out(capsys, tmp_path / "file" / "o.yaml", "--hw", chip)
    assert f"--out {tmp_path / 'file' / 'o.yaml'}: cannot be written: Not a directory" in err


def test_the_help_names_every_machine_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    said = {
        "hbm.busy_fraction": "bus time that is not for data",
        "l2.effective_fraction": "usable share",
        "l2.bandwidth_gb_s": "bandwidth of L2",
        "sm.max_inflight_kib": "bytes in flight per SM",
        "launch.cta_ns": "CTA start",
    }
    text = " ".join(run(capsys, "--help")[0].split())
    assert list(said) == [p.path for p in MACHINE]
    assert [words for words in said.values() if words not in text] == []
