"""Reading, rejecting, anchoring and judging measured rows, on files made by hand."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.error_summary import summary
from sim.errors import InputError
from sim.validation.attention import map_rows, predict
from sim.validation.baselines import affine, fit_affine, roofline
from sim.validation.cases import Mapped
from sim.validation.errors import Prediction, groups, short_rows
from sim.validation.names import Names, Overhead, shipped_names
from sim.validation.overheads import declare_anchors, shipped_overhead_us
from sim.validation.run import Simulated
from sim.validation.truth import COLUMNS, read_truth

CELLS = {
    "source": "NVIDIA AIConfigurator silicon database",
    "gpu": "H100-SXM5-80GB",
    "kernel": "vLLM FlashAttention-3",
    "phase": "decode",
    "batch": 16,
    "q_heads": 64,
    "kv_heads": 8,
    "head_dim": 128,
    "q_len": 1,
    "context": 8192,
    "page_size": 64,
    "kv_dtype": "bf16",
    "metric": "latency",
    "value": 200,
    "unit": "us",
}


def write(path: Path, *rows: Mapping[str, object], columns: tuple[str, ...] = COLUMNS) -> Path:
    """Rows r-0, r-1, ... of CELLS with these changes."""
    lines = [",".join(columns)]
    for place, changes in enumerate(rows):
        cells = {"id": f"r-{place}"} | CELLS | dict(changes)
        lines.append(",".join(str(cells.get(column, "")) for column in columns))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def mapped(path: Path) -> tuple[list[Mapped], dict[str, str]]:
    cases, skipped = map_rows(read_truth(path), shipped_names())
    return cases, {s.row.id: s.reason for s in skipped}


def predicted(cases: list[Mapped], times_us: list[float], bounds_us: list[float]) -> list[Prediction]:
    return [
        Prediction(case, case.measure.of_us(time), time, 0.0, bound)
        for case, time, bound in zip(cases, times_us, bounds_us, strict=True)
    ]


def test_bad_cells_are_named_with_file_line_and_column(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv", {"batch": "many"}, {"value": "nan"}, {"causal": "maybe"}, {"context": 0.5}
    )
    with pytest.raises(InputError) as caught:
        read_truth(path)
    starts = [f"{path}:2: batch: ", f"{path}:3: value: ", f"{path}:4: causal: ", f"{path}:5: context: "]
    assert len(caught.value.problems) == len(starts)
    for problem, start in zip(caught.value.problems, starts, strict=True):
        assert problem.startswith(start)


def test_what_is_allowed_is_said_where_a_text_is_blank(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", {"id": " "}, {"metric": "\t"})
    with pytest.raises(InputError) as caught:
        read_truth(path)
    assert caught.value.problems == (
        f"{path}:2: id: found nothing; allowed: a text",
        f"{path}:3: metric: found nothing; allowed: a text",
    )


def test_a_number_that_cannot_be_true_costs_its_row_only(tmp_path: Path) -> None:
    rows = ({}, {"batch": 0}, {"context": "1e13"}, {"value": -3}, {"batch": "1e9"}, {"page_size": -1})
    cases, reasons = mapped(write(tmp_path / "t.csv", *rows))
    assert [case.row.id for case in cases] == ["r-0"]
    assert reasons == {
        "r-1": "shape: batch: found 0; allowed: 1 to 1099511627776",
        "r-2": "shape: context: found 1e+13; allowed: 1 to 1099511627776",
        "r-3": "value: -3.0 is not positive",
        "r-4": "shape: batch: found 1000000000; allowed: a whole number from 1 to 65536",
        "r-5": "shape: page_size: found -1; allowed: 1 to 1099511627776",
    }


def test_units_have_several_names_and_gib_are_not_gb(tmp_path: Path) -> None:
    same = {
        "latency": {
            "us": 200,
            "usec": 200,
            "US": 200,
            "uSec": 200,
            "\u00b5s": 200,
            "\u03bcs": 200,
            "msec": 0.2,
            "s": 2e-4,
            "ns": 2e5,
        },
        "bandwidth": {"GB/s": 2000, "GBps": 2000, "MB/s": 2e6, "TB/s": 2, "GiB/s": 2e12 / 2**30},
        "tflops": {"TFLOP/s": 20, "TFLOPS": 20, "TFLOPs/s": 20, "tflops": 20, "GFLOPs": 2e4},
        "utilization": {"%": 2, "percent": 2},
    }
    for metric, values in same.items():
        rows = [{"metric": metric, "unit": unit, "value": value} for unit, value in values.items()]
        cases, reasons = mapped(write(tmp_path / "t.csv", *rows))
        assert reasons == {}
        assert [case.time_us for case in cases] == pytest.approx([cases[0].time_us] * len(rows))


def test_an_unknown_unit_is_listed_with_the_known_ones(tmp_path: Path) -> None:
    _, reasons = mapped(write(tmp_path / "t.csv", {}, {"unit": "Gb/s", "metric": "bandwidth"}))
    known = "known: MB/s, GB/s, TB/s, GiB/s, TiB/s"
    assert reasons == {"r-1": f"unit: bandwidth in 'Gb/s' is not known; {known}"}


def test_a_missing_column_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    without = tuple(c for c in COLUMNS if c != "kv_dtype")
    with pytest.raises(InputError, match="kv_dtype missing"):
        read_truth(write(tmp_path / "t.csv", {}, columns=without))
    with pytest.raises(InputError, match="no rows"):
        read_truth(write(tmp_path / "empty.csv"))


def test_what_cannot_be_mapped_is_listed_with_the_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        {},
        {"phase": "tier", "metric": "bandwidth", "unit": "GB/s"},
        {"metric": "speedup_vs_fp16", "unit": "x"},
        {"gpu": "not stated"},
        {"q_heads": ""},
        {"kv_dtype": ""},
        {"unit": "parsec"},
    )
    cases, reasons = mapped(path)
    assert [case.row.id for case in cases] == ["r-0"]
    kinds = [reason.partition(":")[0] for _, reason in sorted(reasons.items())]
    assert kinds == ["phase", "metric", "gpu", "shape", "kv_dtype", "unit"]


def test_rates_are_times_by_the_bytes_and_flops_of_the_launch(tmp_path: Path) -> None:
    """16 x 8192 tokens x 8 heads x 2 x 128 values x 2 B of KV, and 16 x 64 rows of 2 x 128 values x 2 B."""
    path = write(
        tmp_path / "t.csv",
        {"metric": "bandwidth", "unit": "GB/s", "value": 2000},
        {"metric": "tflops", "unit": "TFLOP/s", "value": 20},
        {"metric": "latency", "unit": "ms", "value": 0.3},
    )
    cases, _ = mapped(path)
    moved = 16 * 8192 * 8 * 2 * 128 * 2 + 16 * 64 * 2 * 128 * 2
    flops = 4 * 16 * 64 * 8192 * 128
    assert cases[0].time_us == pytest.approx(moved / 2000e9 * 1e6)
    assert cases[1].time_us == pytest.approx(flops / 20e12 * 1e6)
    assert cases[2].time_us == pytest.approx(300)
    assert all(case.measure.of_us(case.time_us) == pytest.approx(case.row.value) for case in cases)


def test_rows_faster_than_memory_or_tensor_cores_are_rejected(tmp_path: Path) -> None:
    """536.9 MB less 52.4 MB of L2 at 3352 GB/s takes 144.5 us warm and 160.1 us cold."""
    cold = {"kernel": "FlashAttention-3", "notes": "nvbench GPU time"}
    square = {"phase": "prefill", "batch": 1, "q_len": 8192, "causal": "true"}
    path = write(
        tmp_path / "t.csv",
        {"value": 144},
        {"value": 146},
        cold | {"value": 150},
        cold | {"value": 161},
        square | {"value": 1000},
        square | {"value": 1200},
    )
    cases, reasons = mapped(path)
    assert [case.row.id for case in cases] == ["r-1", "r-3", "r-5"]
    # 4 x 64 heads x 8192^2 / 2 x 128 FLOP = 1.0995 TFLOP; 989 TFLOP/s: 1111 us.
    assert all(reason.startswith("impossible: ") for reason in reasons.values())
    assert "989" in reasons["r-4"]


H100 = {"batch": 1, "context": 8192, "q_heads": 64}
"""Decode of 33.55 MB that a warm L2 of H100 holds."""
LATENT = {"batch": 16, "q_heads": 128, "kv_heads": 1, "head_dim": 576}
"""MLA: 2 x 16 x 128 heads x 8192 x (576 + 512) = 36.51 GFLOP take 36.9 us at 989 TFLOP/s; memory 29.4 us."""
BEATEN = {
    "decode FLOPs": (
        LATENT | {"metric": "tflops", "unit": "TFLOP/s", "value": 991},
        "36.51 GFLOP at 989.4 TFLOP/s: 36.84 us",
    ),
    "a share of the tensor peak": (
        LATENT | {"metric": "utilization", "unit": "%", "value": 101},
        "GFLOP at 989",
    ),
    # 33.55 MB at 2 x 7.75 TB/s: 2.165 us.
    "the rate of L2": ({"value": 2.16}, "33.55 MB of KV through L2 at 1.55e+04 GB/s, 2 times its bandwidth"),
    "one trip to L2": ({"context": 16, "value": 0.1}, "one trip to L2: 0.1 us measured, at least 0.144 us"),
    "no time at all": ({"value": "1e-320"}, "33.55 MB of KV through L2"),
    "no time at all, one token": ({"context": 1, "value": "1e-300"}, "one trip to L2: 1e-300 us"),
    "a rate of nothing": (
        {"metric": "bandwidth", "unit": "GB/s", "value": "1e-320"},
        "inf us measured, at most",
    ),
    "a time without end": ({"value": "1e300"}, "1e+300 us measured, at most 3.6e+09 us are one launch"),
}


@pytest.mark.parametrize("limit", BEATEN)
def test_what_no_chip_can_do_is_rejected_with_the_arithmetic(limit: str, tmp_path: Path) -> None:
    changes, message = BEATEN[limit]
    cases, reasons = mapped(write(tmp_path / "t.csv", H100 | changes))
    assert cases == []
    assert reasons["r-0"].startswith("impossible: ")
    assert message in reasons["r-0"]


def test_what_a_warm_l2_and_a_launch_just_allow_is_kept(tmp_path: Path) -> None:
    possible = (
        {"value": 2.17},
        {"context": 16, "value": 0.145, "batch": 2},
        {"value": 3.5e9, "batch": 3},
        LATENT | {"value": 37},
    )
    cases, reasons = mapped(write(tmp_path / "t.csv", *(H100 | changes for changes in possible)))
    assert [case.row.id for case in cases] == ["r-0", "r-1", "r-2", "r-3"], reasons


def test_a_row_12_percent_slower_than_a_larger_one_is_rejected(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        {"batch": 1, "context": 1024, "value": 22.5},
        {"batch": 1, "context": 2048, "value": 20},
        {"batch": 2, "context": 2048, "value": 22},
        {"batch": 1, "context": 512, "value": 22.3},
        {"batch": 1, "context": 512, "value": 90, "head_dim": 64},
    )
    cases, reasons = mapped(path)
    assert [case.row.id for case in cases] == ["r-1", "r-2", "r-3", "r-4"]
    assert reasons["r-0"].startswith("not monotonic: ")
    assert "r-1" in reasons["r-0"]


def test_the_anchor_is_the_smallest_latency_and_fixes_the_overhead_of_its_group(tmp_path: Path) -> None:
    sizes = ({"batch": b, "context": 1024, "value": v} for b, v in ((4, 15), (1, 9), (16, 40)))
    cases, _ = mapped(write(tmp_path / "t.csv", *sizes, {"kv_dtype": "fp8", "value": 150}))
    assert [case.row.id for case in declare_anchors(cases)] == ["r-1"]
    outcomes = [Simulated(t * 1e3, 1e3) for t in (8.0, 3.5, 36.0, 100.0)]
    predictions, anchors = predict(list(zip(cases, outcomes, strict=True)), Names(), "auto")
    assert [(a.case.row.id, a.overhead_us) for a in anchors] == [("r-1", pytest.approx(5.5))]
    assert {p.case.row.id: p.predicted for p in predictions} == pytest.approx(
        {"r-0": 13.5, "r-2": 41.5, "r-3": 100.0}
    )
    blind, none = predict(list(zip(cases, outcomes, strict=True)), Names(), "none")
    assert none == []
    assert len(blind) == 4


def test_a_repeat_of_the_anchor_is_left_out_with_it_whatever_its_notes_say(tmp_path: Path) -> None:
    row = {"batch": 1, "context": 1024, "value": 9}
    cases, _ = mapped(
        write(tmp_path / "t.csv", row, row | {"notes": "again"}, row | {"batch": 4, "value": 15})
    )
    done = [(case, Simulated(8e3, 1e3)) for case in cases]
    predictions, anchors = predict(done, Names(), "auto")
    assert [a.case.row.id for a in anchors] == ["r-0", "r-1"]
    assert [p.case.row.id for p in predictions] == ["r-2"]
    # Repeats alone are one point: an anchor would leave nothing to judge.
    assert declare_anchors(cases[:2]) == []


def test_a_cold_row_of_the_anchors_shape_is_judged(tmp_path: Path) -> None:
    own = {"source": "own harness", "kernel": "own Triton paged decode", "batch": 4, "context": 1024}
    notes = ("replays are warm; shuffled pages", "cold: L2 flushed before every launch; shuffled pages")
    rows = [own | {"page_size": 16, "value": v, "notes": n} for v, n in zip((20, 30), notes, strict=True)]
    cases, _ = mapped(write(tmp_path / "t.csv", *rows))
    predictions, anchors = predict([(case, Simulated(8e3, 1e3)) for case in cases], Names(), "auto")
    assert [a.case.row.id for a in anchors] == ["r-0"]
    assert [p.case.row.id for p in predictions] == ["r-1"]


def test_an_unknown_overhead_is_that_of_the_nearest_family(tmp_path: Path) -> None:
    cases, _ = mapped(write(tmp_path / "t.csv", {}))

    def entry(framework: str, hw: str, kv: str, us: float) -> Overhead:
        return Overhead.model_validate(
            {"framework": framework, "hw": hw, "kv": kv, "overhead_us": us, "ref": "made up"}
        )

    known = [
        entry("sglang", "h100_sxm", "16bit", 1),
        entry("vllm", "a100_sxm_80gb", "fp8", 2),
        entry("vllm", "a100_sxm_80gb", "16bit", 4),
        entry("vllm", "h200_sxm", "16bit", 8),
        entry("vllm", "h100_sxm", "16bit", 16),
    ]
    arch = {"h100_sxm": "hopper", "h200_sxm": "hopper", "a100_sxm_80gb": "ampere"}
    means = [shipped_overhead_us(cases[0], known[:count], arch) for count in range(6)]
    # Nothing known; another framework; the framework; its KV class; the architecture; the machine itself.
    assert means == [0, 1, 2, 4, 8, 16]


def test_a_measured_overhead_is_of_one_timer_and_stands_for_no_other_framework(tmp_path: Path) -> None:
    cases, _ = mapped(write(tmp_path / "t.csv", {}))
    timer = {"framework": "harness", "hw": "h100_sxm", "kv": "16bit", "overhead_us": 9, "ref": "made up"}
    known = [Overhead.model_validate(timer | {"kind": kind}) for kind in ("measured", "calibrated")]
    assert shipped_overhead_us(cases[0], known[:1], {}) == 0
    assert shipped_overhead_us(cases[0], known[1:], {}) == 9


def test_cold_rows_are_not_held_against_warm_ones(tmp_path: Path) -> None:
    """A cold call at 1024 tokens may be slower than a replayed one at 2048."""
    own = {"source": "own harness", "kernel": "own Triton paged decode", "batch": 4, "page_size": 16}
    rows = (
        {"context": 1024, "value": 30, "notes": "cold: L2 flushed before every launch; shuffled pages"},
        {"context": 2048, "value": 20, "notes": "replays are warm; shuffled pages"},
    )
    cases, skipped = mapped(write(tmp_path / "t.csv", *(own | row for row in rows)))
    assert [case.warm for case in cases] == [False, True]
    assert skipped == {}


def test_summary_and_groups_by_hand(tmp_path: Path) -> None:
    cases, _ = mapped(write(tmp_path / "t.csv", {"value": 200}, {"value": 400, "kv_dtype": "fp8"}))
    seen = predicted(cases, [220.0, 300.0], [1.0, 1.0])
    assert summary(p.error for p in seen) == pytest.approx(
        {"n": 2, "mape": 0.175, "median_ape": 0.175, "bias": -0.075, "max_ape": 0.25}
    )
    assert groups(seen)["kv_dtype"]["fp8"]["bias"] == pytest.approx(-0.25)


def test_short_rows_may_miss_by_a_tenth_or_a_microsecond(tmp_path: Path) -> None:
    rows = ({"batch": 1, "context": c, "value": v} for c, v in ((64, 6), (128, 6.1), (256, 19)))
    cases, _ = mapped(write(tmp_path / "t.csv", *rows))
    # 0.9 us of 6 keeps 1 us; 1.2 us of 6.1 does not; 1.8 us of 19 keeps a tenth.
    assert short_rows(predicted(cases, [6.9, 7.3, 20.8], [1, 1, 1])) == {
        "n": 3,
        "within_limit": pytest.approx(2 / 3),
    }


def test_the_affine_fit_finds_a_line_and_is_judged_on_odd_rows(tmp_path: Path) -> None:
    a, b = fit_affine(np.array([1.0, 2.0, 5.0]), np.array([7.0, 9.0, 15.0]))
    assert (a, b) == pytest.approx((5, 2))
    # Six batches of 4.19 MB: 10 us + 0.5 us/MB, except that the last odd row takes twice that.
    mb = 1024 * 8 * 2 * 128 * 2 / 1e6
    line = [10 + 0.5 * mb * batch for batch in range(1, 7)]
    values = (*line[:5], 2 * line[5])
    rows = [{"batch": n, "context": 1024, "value": v} for n, v in enumerate(values, 1)]
    cases, _ = mapped(write(tmp_path / "t.csv", *rows))
    seen = predicted(cases, list(line), [v / 4 for v in values])
    fit = affine(seen)
    assert (fit.n, fit.mape, fit.model_mape) == (3, pytest.approx(0.5 / 3), pytest.approx(0.5 / 3))
    assert roofline(seen).mape == pytest.approx(0.75)


def test_the_command_prints_the_contract_and_ends_as_it_says(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", {"value": 180}, {"value": 190, "batch": 17}, {"gpu": "T4"})
    arguments = ["validate", "attention", str(path), "--fidelity", "bound", "--jobs", "1"]
    out = tmp_path / "out"
    done = CliRunner().invoke(pagewalk, [*arguments, "--json", "--out", str(out), "--max-error", "0.01"])
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert (data["schema"], data["kind"], data["rows"]) == ("pagewalk.validation/1", "attention", 3)
    assert [s["id"] for s in data["skipped"]] == ["r-2"]
    assert [set(p) for p in data["predictions"]] == [{"id", "metric", "truth", "predicted", "unit"}] * 2
    assert set(data["overall"]) == {"n", "mape", "median_ape", "bias", "max_ape"}
    assert {"source", "gpu", "kernel", "phase", "size"} <= set(data["groups"])
    assert all("mape" in baseline for baseline in data["baselines"].values())
    assert data["trends"]["batch"]["16 to 17"]["n"] == 1
    files = (
        "parity.png",
        "parity.svg",
        "residuals.png",
        "residuals.svg",
        "trends.png",
        "trends.svg",
        "trends.csv",
        "predictions.csv",
        "skipped.csv",
        "summary.txt",
    )
    assert all((out / name).stat().st_size > 0 for name in files)
    # The bound is 536.9 MB of KV less the L2 over 3352 GB/s, plus the queries: 144.6 us; the overhead comes on top.
    with (out / "predictions.csv").open() as lines:
        overhead_us = float(next(csv.DictReader(lines))["overhead_us"])
    assert data["predictions"][0]["predicted"] - overhead_us == pytest.approx(144.6, rel=0.01)
    assert exit_code_of(pagewalk, ["validate", "attention", str(tmp_path / "none.csv")]) == 2
