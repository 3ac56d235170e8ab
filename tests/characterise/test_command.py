"""`pagewalk characterise`: the table, the JSON object, the files, and what is refused."""

import csv
import json
from pathlib import Path

import pytest

from sim.cli.main import exit_code_of, pagewalk

CHIP = """\
base: h100_sxm
name: chip
sm: {count: 4}
l2: {capacity_mib: 2, slices: 8}
hbm: {stacks: 1, capacity_gib: 4}
"""


@pytest.fixture
def chip(tmp_path: Path) -> str:
    path = tmp_path / "chip.yaml"
    path.write_text(CHIP)
    return str(path)


def run(*arguments: str) -> int:
    return exit_code_of(pagewalk, ["characterise", *arguments])


def test_json_is_one_object_with_a_row_for_each_quantity(
    chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--hw", chip, "--section", "chase", "--section", "table", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "pagewalk.characterisation/1"
    assert data["sections"] == ["chase", "table"]
    assert set(data["curves"]) == {"chase", "chase_touched", "tlb", "page_walk", "table", "table_word"}
    names = {row["quantity"] for row in data["rows"]}
    plateaus = {"l2_near_latency", "l2_second_plateau", "memory_latency"}
    assert names == plateaus | {"tlb_latency", "table_step", "table_word"}
    assert all(row["measured"] == [] for row in data["rows"]), "nothing was measured on this chip"


def test_a_shipped_machine_is_shown_beside_its_measurements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("--hw", "a100_sxm_80gb", "--section", "chase", "--out", str(out)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.split()[:2] == ["chase", "memory_latency"] for line in lines) == 2, (
        "a line for each value"
    )
    assert any("%" in line and "AI_kernels" in line for line in lines)

    rows = {row["quantity"]: row for row in json.loads((out / "characterisation.json").read_text())["rows"]}
    near = rows["l2_near_latency"]
    assert near["measured"][0]["measured"] == pytest.approx(206 / 1.41)
    assert near["measured"][0]["difference"] == pytest.approx(near["simulated"] / (206 / 1.41) - 1)
    assert near["measured"][0]["source"].startswith("206 cycles; RRZE-HPC gpu-benches")
    assert [value["own"] for value in near["measured"]] == [False]
    for row in rows.values():
        assert not row["measured"] or min(abs(value["difference"]) for value in row["measured"]) < 0.1


def test_a_known_curve_is_simulated_at_its_own_points(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--hw", "h200_sxm", "--section", "table", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    words = [row for row in rows if row["quantity"] == "table_word"]
    assert [(row["x"], row["measured"][0]["measured"]) for row in words] == [
        (2048, 670.2),
        (16384, 641.9),
        (65536, 576.1),
    ]
    assert all(value["own"] for row in words for value in row["measured"])


def test_out_takes_table_object_and_figure(
    chip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("--hw", chip, "--section", "inflight", "--section", "chase", "--out", str(out)) == 0
    assert {path.name for path in out.iterdir()} == {
        "job.json",
        *(f"characterisation.{end}" for end in ("csv", "json", "png", "svg")),
    }
    data = json.loads((out / "characterisation.json").read_text())
    with (out / "characterisation.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["simulated"]) for line in lines] == [row["simulated"] for row in data["rows"]]
    assert (out / "characterisation.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (out / "characterisation.svg").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hw", "a1000"), "no such hardware"),
        (("--hw", "a100_sxm_80gb", "--section", "cache"), "cache"),
        (("--hw", "a100_sxm_80gb", "--set", "l2.replacement=fifo"), "l2.replacement"),
        ((), "--hw"),
    ],
)
def test_bad_input_ends_with_2_and_says_why(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_refused_before_anything_runs(
    chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--hw", chip, "--out", chip) == 2
    assert "found a file; allowed: a folder" in capsys.readouterr().err
