"""`pagewalk calibrate --recipe`: machines and profiles fitted in turn, and errors of rows that no fit saw."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

from sim.calibration import joint
from sim.calibration.blind import RowError, anchored
from sim.calibration.joint import State, fit_profile
from sim.calibration.parameters import PROFILE, expected, named, profile_parameters, with_machine
from sim.calibration.recipe import Recipe, read_recipe
from sim.calibration.rows import Evaluated, aligned, evaluated, usable
from sim.cli.attention_case import step_of
from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.validation.attention import map_rows
from sim.validation.cases import Machines, Mapped, map_row
from sim.validation.names import shipped_names, with_calibration
from sim.validation.truth import read_truth
from tests.validation.truth_files import write_truth

CHIPS = {"L40S": "l40s", "RTX-PRO-6000-Server": "rtx_pro_6000_server"}
SHAPES = [(b, c) for b in (1, 8, 32) for c in (512, 1024, 2048, 3072, 4096)]
BUSY = {"hbm.busy_fraction": 0.2}
OVERHEAD_US = 4.0
RECIPE = """
rounds: 1
evaluations: 3
rows: 6
parameters: [hbm.busy_fraction]
machines: [l40s, rtx_pro_6000_server]
profiles: [fa2]
"""


def mapped(path: Path) -> list[Mapped]:
    machines = Machines()
    found = [map_row(row, shipped_names(), machines) for row in read_truth(path)]
    return [case for case in found if isinstance(case, Mapped)]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chips with a busier bus than shipped, and 4 us of framework."""
    path = tmp_path_factory.mktemp("truth") / "t.csv"
    rows = [
        {"batch": b, "context": c, "value": 1e6, "gpu": gpu, "kernel": "vLLM FlashAttention-2"}
        for gpu in CHIPS
        for b, c in SHAPES
    ]
    profile = load_profile("fa2")
    times = []
    for case in mapped(write_truth(path, *rows)):
        hw = with_machine(load_hardware(case.names.gpu.hw).spec, BUSY)
        row = evaluated(case, hw, profile, step_of)
        assert isinstance(row, Evaluated)
        times.append(row.time_us(hw, profile) + OVERHEAD_US)
    return write_truth(path, *({**r, "value": f"{t:.9g}"} for r, t in zip(rows, times, strict=True)))


def test_a_finer_simulation_scales_attention_and_not_the_kernels_around_it(tmp_path: Path) -> None:
    row = {"phase": "prefill", "q_len": 512, "context": 512, "batch": 1, "value": 1e6, "causal": "true"}
    case = mapped(write_truth(tmp_path / "t.csv", row))[0]
    plain = evaluated(case, case.hw, load_profile("fa3_prefill"), step_of)
    assert isinstance(plain, Evaluated)
    hw, profile = case.hw, plain.task.profiles[0]
    attention = plain.attention_us(hw, profile)
    twice = aligned(plain, lambda *_: 2e3 * attention)
    assert twice.time_us(hw, profile) - plain.time_us(hw, profile) == pytest.approx(attention)
    assert plain.time_us(hw, profile) > attention
    assert aligned(plain, None) is plain


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert exit_code_of(pagewalk, ("calibrate", *arguments)) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out if code == 0 else captured.err


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory, truth: Path) -> tuple[str, ...]:
    """Arguments of a whole fit, made once; the last is its folder."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "recipe.yaml").write_text(RECIPE)
    arguments = (
        str(truth),
        "--recipe",
        str(folder / "recipe.yaml"),
        "--blind",
        "--out",
        str(folder / "whole"),
    )
    assert exit_code_of(pagewalk, ("calibrate", *arguments)) == 0
    return arguments


def test_machines_and_a_shared_profile_come_back(truth: Path, fit: tuple[str, ...]) -> None:
    out = Path(fit[-1])
    rows = list(csv.DictReader((out / "rows.csv").read_text().splitlines()))
    parts = {part: [r for r in rows if r["part"] == part] for part in {r["part"] for r in rows}}
    # Every third of the rows is held back; one anchor for each chip; the whole of both chips is left out once.
    total = len(parts["fitted"]) + len(parts["held_back"])
    assert len(parts["held_back"]) == total // 3
    assert len(parts["anchored"]) == total - 2
    assert len(parts["left_out"]) == total
    for part, limit in (("fitted", 0.02), ("held_back", 0.03), ("left_out", 0.10)):
        errors = [abs(float(r["error"])) for r in parts[part]]
        assert sum(errors) / len(errors) < limit, part

    for name in CHIPS.values():
        config = load_hardware(str(out / f"{name}.yaml")).spec
        assert config.hbm.busy_fraction == pytest.approx(0.2, abs=0.04)
        assert config.sources["hbm.busy_fraction"].kind == "calibrated"
    assert (
        load_profile(str(out / "fa2.yaml"))
        .sources["tile_issue_clk"]
        .startswith("calibrated: pagewalk calibrate")
    )
    table = yaml.safe_load((out / "overheads.yaml").read_text())
    assert table["use"] == {name: f"{name}.yaml" for name in (*CHIPS.values(), "fa2")}

    names = with_calibration(shipped_names(), out / "overheads.yaml")
    case = map_rows(read_truth(truth), names)[0][0]
    assert case.hw.hbm.busy_fraction == pytest.approx(0.2, abs=0.04)
    assert load_profile(case.workload.kernel).name == "fa2"


def test_an_interrupted_fit_goes_on_where_it_was(
    tmp_path: Path, fit: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its second step, with a file cut short: the first is not fitted again, and all comes out the same."""
    *arguments, whole = fit
    steps = {json.loads(path.read_text())["step"]: path for path in (Path(whole) / "points").iterdir()}
    assert len(steps) == 3 + 2
    points = tmp_path / "cut/points"
    points.mkdir(parents=True)
    for step, path in steps.items():
        if "l40s" in step and "round" in step:
            (points / path.name).write_text(path.read_text())
        elif "rtx_pro" in step and "round" in step:
            (points / path.name).write_text(path.read_text()[:20])
    fitted: list[str] = []
    fit_one = joint.fit_machine
    monkeypatch.setattr(joint, "fit_machine", lambda *given: fitted.append(given[-1]) or fit_one(*given))
    text = run(capsys, *arguments, str(tmp_path / "cut"))
    assert "left_out" in text
    assert fitted == ["rtx_pro_6000_server"]
    for path in Path(whole).rglob("*.*"):
        assert (tmp_path / "cut" / path.relative_to(whole)).read_text() == path.read_text(), path.name


@dataclass(frozen=True)
class Linear:
    """A row whose time grows with its profile's prologue, of which a thousand clocks take a microsecond."""

    profile: str
    base_us: float
    missing_us: float
    machine: str = "l40s"
    group: tuple[str, str, str] = ("vllm", "l40s", "16bit")

    @property
    def case(self) -> SimpleNamespace:
        return SimpleNamespace(time_us=self.base_us + self.missing_us)

    def time_us(self, _hw: object, profile: KernelProfile) -> float:
        return self.base_us + (profile.prologue_clk / 1000 if self.profile == "fa2" else 0.0)


def test_rows_of_other_profiles_tell_the_overhead_that_all_share() -> None:
    """4 us of framework in all rows, and 6 us of prologue in those of fa2, which alone could be the framework's too."""
    rows = [Linear("fa2", base, 6.0 + OVERHEAD_US) for base in range(10, 30, 2)]
    rows += [Linear("fa3", base, OVERHEAD_US) for base in range(10, 50, 2)]
    recipe = Recipe(machines=["l40s"], profiles=["fa2"], parameters=[], evaluations=10)
    state = State({"l40s": load_hardware("l40s").spec}, {n: load_profile(n) for n in ("fa2", "fa3")}, {})
    fitted = fit_profile(cast(list[Evaluated], rows), recipe, state, "fa2")
    assert fitted.profiles["fa2"].prologue_clk == pytest.approx(6000, rel=0.05)
    alone = fit_profile(cast(list[Evaluated], rows[:10]), recipe, state, "fa2")
    assert alone.profiles["fa2"].prologue_clk < 4000


LEFT_OUT = (
    {"id": "x1", "gpu": "T4", "value": 30},
    {"id": "x2", "gpu": "H100-SXM5-80GB", "value": 30},
    {"id": "x3", "gpu": "L40S", "kernel": "vLLM FlashAttention-2", "context": 65536, "value": 1e-3},
)
WHY = {
    "x1": "gpu: 'T4'",
    "x2": "not covered: decode of vLLM FlashAttention-3 on H100-SXM5-80GB",
    "x3": "impossible: ",
}


def with_rows(truth: Path, path: Path, *rows: dict[str, object]) -> Path:
    """The file `truth` with these rows after its own."""
    own = list(csv.DictReader(truth.read_text().splitlines()))
    return write_truth(path, *own, *rows)


def test_every_row_takes_part_or_is_listed_with_the_reason(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("rounds: 1", "rounds: 0"))
    out, path = tmp_path / "out", with_rows(truth, tmp_path / "t.csv", *LEFT_OUT)
    text = run(capsys, str(path), "--recipe", str(recipe), "--out", str(out))
    assert "rows left out: gpu 1, not covered 1, impossible 1 (skipped.csv lists them)" in text
    assert text.startswith((out / "summary.txt").read_text())
    skipped = list(csv.DictReader((out / "skipped.csv").read_text().splitlines()))
    assert [row["id"] for row in skipped] == list(WHY)
    assert all(row["reason"].startswith(WHY[row["id"]]) for row in skipped)
    parts = [row for row in csv.DictReader((out / "rows.csv").read_text().splitlines())]
    assert len({row["id"] for row in parts}) == len(read_truth(path)) - len(skipped)


def test_a_row_that_cannot_be_simulated_is_listed_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = mapped(write_truth(tmp_path / "t.csv", {}))
    rows, skipped = usable(cases, lambda c: c.hw, lambda _: load_profile("standard"), step_of, None)
    assert rows == []
    assert "calibrate: 1/1 points, 1 failed" in capsys.readouterr().err
    assert [s.reason for s in skipped] == ["kernel: no tile-grain model of standard (standard)"]


def test_shipped_overheads_stay_and_are_not_written(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("rounds: 1", "rounds: 0") + "overheads: shipped\n")
    out = tmp_path / "out"
    text = run(capsys, str(truth), "--recipe", str(recipe), "--out", str(out), "--json")
    rows = list(csv.DictReader((out / "rows.csv").read_text().splitlines()))
    shipped = {
        o.hw: o.overhead_us for o in shipped_names().overheads if (o.framework, o.kv) == ("vllm", "16bit")
    }
    found = {r["hw"]: float(r["overhead_us"]) for r in rows if r["part"] != "anchored"}
    assert found == pytest.approx({hw: shipped[hw] for hw in CHIPS.values()}, rel=1e-4)
    assert yaml.safe_load((out / "overheads.yaml").read_text())["overheads"] == []
    data = json.loads(text)
    assert data["skipped"] == []
    assert (data["schema"], data["values"], data["overheads_us"]) == ("pagewalk.joint_calibration/1", {}, {})
    by_machine = data["errors"]["fitted"]["machine"]
    for hw in CHIPS.values():
        errors = [abs(float(r["error"])) for r in rows if (r["part"], r["hw"]) == ("fitted", hw)]
        assert by_machine[hw]["n"] == len(errors)
        assert by_machine[hw]["mape"] == pytest.approx(fmean(errors), rel=1e-4)
    assert set(data["errors"]) == {"fitted", "held_back", "anchored"}
    assert set(data["errors"]["fitted"]) == {"all", "machine", "machine_and_profile", "time"}


def test_an_anchor_takes_what_its_row_misses_and_is_left_out(tmp_path: Path) -> None:
    rows = [{"context": c, "value": v} for c, v in ((1024, 20.0), (2048, 30.0), (4096, 48.0))]
    cases = mapped(write_truth(tmp_path / "t.csv", *rows))
    profile = load_profile("fa3")
    found = [evaluated(case, case.hw, profile, step_of) for case in cases]
    errors = [
        RowError(row, simulated, overhead_us=99.0)
        for row, simulated in zip(found, (14.0, 24.0, 40.0), strict=True)
        if isinstance(row, Evaluated)
    ]
    # The row of the least KV misses 20 - 14 = 6 us: (24 + 6) / 30 and (40 + 6) / 48.
    assert [e.error for e in anchored(errors)] == pytest.approx([0.0, 46 / 48 - 1])


@pytest.mark.parametrize("name", ["fa2", "fa3", "xqa", "xqa_nosplit_fp8", "trtllm_gen", "triton_sglang"])
def test_a_profile_has_at_most_six_parameters(name: str) -> None:
    profile = load_profile(name)
    paths = {p.path for p in profile_parameters(profile)}
    assert 3 <= len(paths) <= 6
    assert ("item_clk" in paths) == (profile.scheduling != "grid")
    assert "code_trips" in paths
    merges = {"combine_clk", "combine_split_clk"} & paths
    assert bool(merges) == (profile.max_splits > 1)


def test_fitted_values_are_whole_steps_of_a_thousandth_of_their_range() -> None:
    wanted = [p for p in PROFILE if p.path in ("prologue_clk", "run_clk", "epilogue_clk")]
    # Steps of 9, 5 and 0.04 clk.
    found = named(wanted, [1234.5, 4999.9, 2.3e-10])
    assert found == {"prologue_clk": 1233.0, "epilogue_clk": 5000.0, "run_clk": 0.0}


def test_usual_values_lie_within_the_ranges() -> None:
    assert all(p.low <= p.usual <= p.high for p in PROFILE)


def test_a_profile_is_expected_to_be_like_its_relative() -> None:
    relative = load_profile("flashinfer_fp8")
    for own, p in zip(
        profile_parameters(relative), expected(profile_parameters(relative), relative), strict=True
    ):
        value = getattr(relative, p.path)
        assert p.usual == min(max(value, p.low), p.high)
        assert p.spread < own.spread
    machines = load_profile("fa2").model_copy(update={"run_clk": None})
    by_path = {p.path: p for p in PROFILE}
    # a relative that leaves the cost of a run to the machine says nothing of it
    assert expected((by_path["run_clk"],), machines) == (by_path["run_clk"],)


BAD = {
    "parameters: [hbm.speed]": "parameters: found 'hbm.speed'; allowed: hbm.busy_fraction",
    "machines: [h101]": "machines: found 'h101'; allowed: ",
    "profiles: [fa4]": "profiles: found 'fa4'; allowed: ",
    "relatives: {fa2: fa3}": "relatives: found 'fa3'; allowed: fa2",
    "kept: {h100_sxm: [hbm.busy_fraction]}": "kept: found 'h100_sxm'; allowed: fa2, l40s",
    "kept: {l40s: [launch.cta_ns]}": "kept.l40s: found 'launch.cta_ns'; allowed: hbm.busy_fraction",
    "kept: {fa2: [hbm.busy_fraction]}": "kept.fa2: found 'hbm.busy_fraction'; allowed: barrier_clk",
    "rounds: -1": "rounds: found -1",
    "speed: 3": "speed",
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_recipe_is_refused(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = line.partition(":")[0]
    kept = [found for found in RECIPE.strip().split("\n") if not found.startswith(f"{key}:")]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("\n".join([*kept, line]))
    truth = write_truth(tmp_path / "t.csv", {})
    err = run(capsys, str(truth), "--recipe", str(recipe), "--out", str(tmp_path / "o"), code=2)
    assert BAD[line] in err
    assert not (tmp_path / "o").exists()


def test_without_a_machine_or_a_recipe_nothing_is_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_truth(tmp_path / "t.csv", {})
    assert "--hw or --recipe" in run(capsys, str(truth), "--out", str(tmp_path / "o"), code=2)


@pytest.mark.parametrize(
    "options", ["--hw l40s", "--profile fa2", "--rows 30", "--evaluations 6", "--fidelity sampled"]
)
def test_what_the_recipe_says_is_refused_beside_it_even_at_the_default(
    options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    recipe = ("--recipe", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "o"))
    err = run(capsys, "no.csv", *recipe, *options.split(), code=2)
    assert f"--recipe takes no {options.split()[0]}: the recipe says it" in err


def test_blind_needs_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = run(capsys, "no.csv", "--hw", "l40s", "--out", str(tmp_path / "o.yaml"), "--blind", code=2)
    assert "--blind needs --recipe" in err


def test_a_folder_with_another_fit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    out = tmp_path / "o"
    out.mkdir()
    (out / "trtllm_gen_prefill.yaml").write_text("base: trtllm_gen_prefill\n")
    err = run(capsys, "no.csv", "--recipe", str(tmp_path / "recipe.yaml"), "--out", str(out), code=2)
    assert "trtllm_gen_prefill.yaml of another fit" in err


def test_a_folder_that_cannot_be_made_is_refused_before_the_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "o")
    err = run(capsys, "no.csv", "--recipe", str(tmp_path / "recipe.yaml"), "--out", out, code=2)
    assert f"--out {out}: cannot be written: Not a directory" in err


def test_the_shipped_recipe_is_one() -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "validation" / "recipe.yaml")
    assert len(recipe.machine_parameters("b200")) == len(recipe.parameters)
    assert "l2.bandwidth_gb_s" not in [p.path for p in recipe.machine_parameters("h100_sxm")]


def test_the_recipes_of_our_own_measurements_leave_what_compiled_code_tells() -> None:
    folder = Path(__file__).parents[2] / "validation"
    recipe = read_recipe(folder / "own.yaml")
    assert recipe.machines == read_recipe(folder / "own_prefill.yaml").machines == ["h100_sxm"]
    for name in ("triton_paged_fp8", "triton_paged_int8", "triton_paged_int4"):
        assert [p.path for p in recipe.profile_parameters(load_profile(name))] == ["barrier_clk"]
    own = recipe.profile_parameters(load_profile("triton_paged"))
    assert [p.path for p in own] == ["code_trips", "barrier_clk"]
    for name in recipe.profiles:
        assert len(recipe.profile_parameters(load_profile(name))) <= 6
