"""What a run of `validate attention` does with its cases: once each, again after an interrupt, never lost."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import sim.cli.attention_case
import sim.simulate
from sim.cli.attention_case import time_case
from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.config.load import load_hardware, load_workload
from sim.errors import InputError, SelfCheckError
from sim.validation.names import shipped_names, with_calibration
from tests.validation import stub_predictor
from tests.validation.truth_files import write_truth

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stub in place of the simulator, and the file that lists what it was asked for."""
    monkeypatch.setattr(sim.cli.attention_case, "time_case", stub_predictor.time_case)
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def validate(capsys: Capture, truth: Path, *options: str, code: int = 0) -> tuple[dict[str, Any], str]:
    arguments = ["validate", "attention", str(truth), "--json", "--jobs", "1", *options]
    assert exit_code_of(pagewalk, arguments) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return json.loads(captured.out) if captured.out else {}, captured.err


def lines(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def test_equal_cases_are_simulated_once_and_finished_ones_never_again(
    tmp_path: Path, log: Path, capsys: Capture
) -> None:
    same = [{"value": v, "batch": 2, "context": 1000, "source": f"s{v}"} for v in (20, 21, 22)]
    truth = write_truth(tmp_path / "t.csv", *same, {"batch": 2, "context": 1001})
    out = str(tmp_path / "out")
    data, _ = validate(capsys, truth, "--out", out)
    assert lines(log) == {"2 x 1000": 1, "2 x 1001": 1}
    overhead = data["predictions"][0]["predicted"] - 20
    assert [p["predicted"] for p in data["predictions"]] == pytest.approx(
        [20 + overhead] * 3 + [20.02 + overhead]
    )
    again, _ = validate(capsys, truth, "--out", out)
    assert lines(log) == {"2 x 1000": 1, "2 x 1001": 1}
    assert again == data


BROKEN = ["", "{", "{}", "[]", "null", '{"time_ns": 5.0}', '{"time_ns": null, "bound_ns": 2.0}', "\udcff"]


def test_cases_whose_files_hold_no_result_run_again(tmp_path: Path, log: Path, capsys: Capture) -> None:
    rows = [{"context": 1024 + i, "value": 20} for i in range(len(BROKEN) + 1)]
    truth, out = write_truth(tmp_path / "t.csv", *rows), tmp_path / "out"
    data, _ = validate(capsys, truth, "--out", str(out))
    files = sorted((out / "cases" / "points").glob("*.json"))
    for broken, text in zip(files, BROKEN, strict=False):
        broken.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert validate(capsys, truth, "--out", str(out))[0] == data
    assert sorted(lines(log).values()) == [1] + [2] * len(BROKEN)
    assert all(json.loads(path.read_text())["time_ns"] > 0 for path in files)


def test_a_row_that_fails_is_listed_with_the_reason_and_the_others_stand(
    tmp_path: Path, log: Path, capsys: Capture
) -> None:
    truth = write_truth(tmp_path / "t.csv", {}, {"context": 13, "value": 9}, {"context": 14, "value": 9})
    data, err = validate(capsys, truth, code=1)
    assert [p["id"] for p in data["predictions"]] == ["r001"]
    assert data["skipped"] == [
        {"id": "r002", "reason": "simulation: 13 tokens do not fit"},
        {"id": "r003", "reason": "simulation: time 1 is below its bound 2"},
    ]
    # Input that does not fit is the row's fault; the broken self-check is ours, and ends with 1.
    assert "1 rows could not be simulated" in err


def test_bad_input_of_a_row_alone_does_not_fail_the_command(
    tmp_path: Path, log: Path, capsys: Capture
) -> None:
    data, _ = validate(capsys, write_truth(tmp_path / "t.csv", {}, {"context": 13, "value": 9}))
    assert len(data["skipped"]) == 1


def test_a_file_without_a_usable_row_is_bad_input(tmp_path: Path, log: Path, capsys: Capture) -> None:
    truth = write_truth(tmp_path / "t.csv", {"gpu": "T4"}, {"context": 13}, {"gpu": "T4"})
    _, err = validate(capsys, truth, "--out", str(tmp_path / "out"), code=2)
    assert f"{truth}: no row can be predicted (gpu 2, simulation 1); first reason: r001: gpu: 'T4'" in err
    lines = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", "r001", "r002", "r003"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*")) == ["job.json", "skipped.csv"]


def test_the_text_says_which_rows_were_skipped_or_where_they_are_listed(
    tmp_path: Path, log: Path, capsys: Capture
) -> None:
    skipped = [{"gpu": "T4"}] * 6
    arguments = ["validate", "attention", str(write_truth(tmp_path / "t.csv", {}, *skipped)), "--jobs", "1"]
    assert exit_code_of(pagewalk, arguments) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "7 rows: 1 predicted, 6 skipped (gpu 6)"
    assert [line.split(":")[0] for line in out[1:6]] == [f"  r00{n}" for n in range(2, 7)]
    assert out[6].startswith("  ... (--out or --json")
    assert exit_code_of(pagewalk, [*arguments, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "skipped.csv lists the skipped rows with their reasons"
    assert len((tmp_path / "out" / "skipped.csv").read_text().splitlines()) == 1 + len(skipped)


def test_rows_that_ran_whole_are_listed(tmp_path: Path, log: Path, capsys: Capture) -> None:
    data, err = validate(capsys, write_truth(tmp_path / "t.csv", {}, {"context": 16, "value": 9}))
    assert data["whole"] == [{"id": "r002", "reason": "made up"}]
    assert len(data["predictions"]) == 2
    assert "1 rows ran whole, since their sampled run failed: made up" in err


def test_an_interrupt_ends_with_130_and_the_next_run_goes_on(
    tmp_path: Path, log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = write_truth(tmp_path / "t.csv", {"batch": 8}, {"context": 15, "value": 9})
    monkeypatch.setenv("STUB_INTERRUPT", "yes")
    data, err = validate(capsys, truth, "--out", str(tmp_path / "out"), code=130)
    assert data == {}
    assert "interrupted" in err
    monkeypatch.delenv("STUB_INTERRUPT")
    data, _ = validate(capsys, truth, "--out", str(tmp_path / "out"))
    assert len(data["predictions"]) == 2
    # Long cases go first: that one was finished, the one that interrupted was asked for again.
    assert lines(log)["8 x 2048"] == 1


def test_sampled_is_the_default(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sim.validation.attention as module

    seen = []

    def stop(cases: object, simulate: object, fidelity: str, *rest: object) -> None:
        seen.append(fidelity)
        raise InputError("enough")

    monkeypatch.setattr(module, "simulate_all", stop)
    truth = write_truth(tmp_path / "t.csv", {})
    assert exit_code_of(pagewalk, ["validate", "attention", str(truth)]) == 2
    assert seen == ["sampled"]


def test_a_sampled_run_that_breaks_is_repeated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = sim.simulate.simulate_case, []

    def broken(case: Any, *, fidelity: str) -> Any:
        asked.append(fidelity)
        if fidelity == "sampled":
            raise SelfCheckError("time 1 is below its bound 2")
        return real(case, fidelity="bound")

    monkeypatch.setattr(sim.simulate, "simulate_case", broken)
    hw = load_hardware("h100_sxm").spec
    workload = load_workload("decode_16x8k", ("workload.kernel=fa3",)).spec
    found = time_case(hw, workload, fidelity="sampled", seed=0)
    assert asked == ["sampled", "full"]
    assert found.fallback == "time 1 is below its bound 2"
    assert found.time_ns > 0


def test_few_rows_have_no_affine_baseline(tmp_path: Path, log: Path, capsys: Capture) -> None:
    """Two points fit any line; six rows leave three to judge."""
    rows = [{"batch": b, "value": 20.48 * b} for b in range(1, 7)]
    few, _ = validate(capsys, write_truth(tmp_path / "few.csv", *rows[:5]))
    assert few["baselines"]["affine"] == {"mape": None, "n": 0, "model_mape": None, "gpu": {}}
    assert few["baselines"]["roofline"]["n"] == 5
    enough, _ = validate(capsys, write_truth(tmp_path / "enough.csv", *rows))
    assert enough["baselines"]["affine"]["n"] == 3
    assert enough["baselines"]["affine"]["mape"] == pytest.approx(0, abs=1e-6)


ENTRY = "{framework: vllm, hw: h100_sxm, kv: 16bit, overhead_us: 3, ref: a test}"


def overheads(path: Path, **own: object) -> Path:
    entry = {"framework": "vllm", "hw": "h100_sxm", "kv": "16bit", "overhead_us": 3.25, "ref": "a test"}
    path.write_text(json.dumps({"overheads": [entry | own], "use": {"h100_sxm": "mine.yaml"}}))
    return path


def test_a_calibration_replaces_overheads_and_the_config(tmp_path: Path, log: Path, capsys: Capture) -> None:
    (tmp_path / "mine.yaml").write_text("base: h100_sxm\nl2: {capacity_mib: 20}\n")
    table = overheads(tmp_path / "mine.overheads.yaml")
    # Of 67.1 MB of KV 46.1 MB lie beyond 20 MiB of L2 and take 13.8 us; beyond the 50 MiB shipped, 14.7 MB take 4.4.
    shape = {"batch": 4, "context": 4096}
    truth = write_truth(tmp_path / "t.csv", shape | {"value": 15}, shape | {"value": 13})
    data, _ = validate(capsys, truth, "--overheads", str(table))
    # 4 x 4096 tokens take 163.84 us in the stub.
    assert [p["predicted"] for p in data["predictions"]] == pytest.approx([163.84 + 3.25])
    assert [s["id"] for s in data["skipped"]] == ["r002"]
    assert "impossible: 67.11 MB of KV less 20.97 MB of L2" in data["skipped"][0]["reason"]
    shipped, _ = validate(capsys, truth)
    assert len(shipped["predictions"]) == 2
    names = with_calibration(shipped_names(), table)
    mine = [o for o in names.overheads if (o.framework, o.hw, o.kv) == ("vllm", "h100_sxm", "16bit")]
    assert [o.overhead_us for o in mine] == [3.25]
    assert names.use == {"h100_sxm": str(tmp_path / "mine.yaml")}


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"overhead_us": -1}, "overhead_us: found -1"),
        ({"kv": "17bit"}, 'kv: found "17bit"'),
        ({"colour": "red"}, "colour: unknown key"),
        ({"framework": "vlm"}, "overheads[0].framework: found 'vlm'; allowed: "),
        ({"hw": "h100"}, "overheads[0].hw: found 'h100'; allowed: "),
    ],
)
def test_a_bad_table_of_overheads_is_bad_input(
    tmp_path: Path, log: Path, capsys: Capture, own: dict[str, object], message: str
) -> None:
    table = overheads(tmp_path / "o.yaml", **own)
    truth = write_truth(tmp_path / "t.csv", {})
    _, err = validate(capsys, truth, "--overheads", str(table), code=2)
    assert "o.yaml" in err
    assert message in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("use: {h100_sxn: mine.yaml}", "use.h100_sxn: found 'h100_sxn'; allowed: "),
        ("gpus: []", "gpus: unknown key"),
        (f"overheads: [{ENTRY}, {ENTRY}]", "overheads: found two of vllm, h100_sxm, 16bit; allowed: one"),
    ],
)
def test_a_table_of_overheads_says_what_it_can_say_once(
    tmp_path: Path, log: Path, capsys: Capture, text: str, message: str
) -> None:
    (tmp_path / "o.yaml").write_text(text)
    truth = write_truth(tmp_path / "t.csv", {})
    _, err = validate(capsys, truth, "--overheads", str(tmp_path / "o.yaml"), code=2)
    assert message in err


def test_a_real_row_end_to_end(tmp_path: Path, capsys: Capture) -> None:
    """FlashAttention-3 in vLLM on H100, 64/8 heads, 1 x 8192: 18.7 us published."""
    row = {"batch": 1, "q_heads": 64, "context": 8192, "value": 18.7}
    data, _ = validate(capsys, write_truth(tmp_path / "t.csv", row))
    assert data["whole"] == []
    assert data["overall"]["n"] == 1
    assert data["overall"]["mape"] < 0.4
