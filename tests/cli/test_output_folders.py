"""An output folder belongs to the job that wrote it: another one is refused, the same one goes on."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.cli.endings import exit_code_of
from sim.cli.main import pagewalk
from sim.errors import InputError
from sim.out_folder import check_out, mark_out, refuse_another
from sim.sweep.finished import Finished

SWEEP = "name: {name}\nhardware: h100_sxm\nworkload: decode_16x8k\nfidelity: bound\naxes: {{sm.count: [132, 100]}}\n"
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in an empty folder with two sweep files; its exit code and what it says on standard error."""
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(SWEEP.format(name=name))

    def run(*arguments: str) -> tuple[int, str]:
        return exit_code_of(pagewalk, arguments), capsys.readouterr().err

    return run


def test_a_sweep_goes_on_in_its_folder_and_no_other_job_writes_there(say: Say) -> None:
    sweep = ("sweep", "one.yaml", "--jobs", "1", "--out", "out")
    assert say(*sweep)[0] == say(*sweep)[0] == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    compare = ("compare", "decode_16x8k", "--hw", "h100_sxm", "--hw", "h200_sxm", "--fidelity", "bound")
    for other in (("sweep", "two.yaml"), compare, ("kv", "no.jsonl", "--blocks", "1")):
        code, err = say(*other, "--out", "out")
        assert code == 2
        assert err.startswith(
            "--out out: is the folder of another job (sweep one); allowed: a new folder, or"
        )
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_a_comparison_of_other_machines_is_another_job(say: Say) -> None:
    def compare(other: str) -> tuple[int, str]:
        machines = ("--hw", "h100_sxm", "--hw", other)
        return say("compare", "decode_16x8k", *machines, "--fidelity", "bound", "--jobs", "1", "--out", "cmp")

    assert compare("h200_sxm")[0] == compare("h200_sxm")[0] == 0
    code, err = compare("a100_sxm_80gb")
    assert code == 2
    assert "another job (compare decode_16x8k on h100_sxm, h200_sxm)" in err


def test_an_interrupted_validation_is_known_by_its_cases(tmp_path: Path) -> None:
    # The mark comes with the results: until then only finished cases are there.
    Finished(tmp_path / "cases", "key").once("row 1", dict)
    check_out(tmp_path, "validate dram runs.csv")
    for other in ("validate attention runs.csv", "sweep demo"):
        with pytest.raises(InputError, match=r"another job \(validate dram\)"):
            check_out(tmp_path, other)
    (tmp_path / "cases" / "points" / "0.json").write_text('{"time_ns": 1}')
    check_out(tmp_path, "validate attention rows.csv")
    with pytest.raises(InputError, match=r"another job \(cases of a validation\)"):
        refuse_another(tmp_path / "cases", "sweep demo")


def test_cases_of_another_kind_are_no_steps(tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "0.json").write_text('{"time_ns": 1}')
    assert len(Finished(tmp_path, "key")) == 0


def test_a_marked_folder_is_only_its_jobs(tmp_path: Path) -> None:
    mark_out(tmp_path / "new", "validate attention a.csv")
    check_out(tmp_path / "new", "validate attention a.csv")
    with pytest.raises(InputError, match=r"another job \(validate attention a.csv\); allowed: .* b.csv"):
        check_out(tmp_path / "new", "validate attention b.csv")


@pytest.mark.parametrize("damage", ["", "kind: sweep\ncommand: x\n", "[\ncommand: x\n"])
def test_a_folder_with_a_damaged_list_of_points_is_left_alone(tmp_path: Path, damage: str) -> None:
    (tmp_path / "sweep.resolved.yaml").write_text(damage)
    with pytest.raises(InputError, match="another job"):
        refuse_another(tmp_path, "sweep demo")


@pytest.mark.parametrize(
    "command",
    [
        ("run", "decode_1x8k", "--hw", "h100_sxm", "--fidelity", "bound"),
        ("kv", "no.jsonl", "--blocks", "1"),
        ("characterise", "--hw", "h100_sxm"),
        ("validate", "attention", "no.csv"),
        ("validate", "dram", "no.csv"),
        ("validate", "kvcache", "no.json", "--traces", "."),
    ],
)
def test_a_place_that_takes_nothing_is_named_as_given_before_any_work(
    say: Say, command: tuple[str, ...]
) -> None:
    Path("file").write_text("")
    assert say(*command, "--out", "file/x") == (2, "--out file/x: cannot be written: Not a directory\n")


@pytest.mark.parametrize("writes", ["yaml.safe_dump", "kernels_ref.engine_trace_io.os.replace"])
def test_a_full_disk_leaves_one_line_and_nothing_half_written(
    writes: str, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writes, full)
    Path("new").mkdir()
    command = ("run", "decode_1x8k", "--hw", "h100_sxm", "--fidelity", "bound", "--out", "new/out")
    if "trace" in writes:
        command = ("trace", "decode_1x8k", "--out", "new/out.npz")
    code, err = say(*command)
    assert code == 2
    assert err.strip().endswith(f"{command[-1]}: cannot be written: No space left on device")
    assert len(err.strip().splitlines()) == 1
    assert not list(Path("new").iterdir())


@pytest.mark.parametrize("command", [("report", "."), ("calibrate", "no.csv", "--hw", "h100_sxm")])
def test_a_link_to_itself_is_no_defect(say: Say, command: tuple[str, ...]) -> None:
    Path("circle.yaml").symlink_to("circle.yaml")
    code, err = say(*command, "--out", "circle.yaml")
    assert (code, len(err.splitlines())) == (2, 1)
