"""The shell around the commands: what is listed, what is refused, which exit code an ending has."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from sim.cli.columns import columns, number_text
from sim.cli.endings import exit_code_of
from sim.cli.hw import hw
from sim.cli.main import pagewalk
from sim.cli.registry import COMMANDS, LATER, VALIDATE, VALIDATE_LATER, LazyGroup
from sim.cli.schema import schema
from sim.cli.workload import workload
from sim.errors import InputError, SelfCheckError, StuckError


def shell(*arguments: str) -> int:
    return exit_code_of(pagewalk, arguments)


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    code = "from sim.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_help_lists_every_command_and_none_of_later_issues(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("--help") == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in (*COMMANDS, "validate"))
    assert not any(f"  {name} " in text for name in LATER)


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys\n"
        "from sim.cli.endings import exit_code_of\n"
        "from sim.cli.main import pagewalk\n"
        "exit_code_of(pagewalk, ['--help'])\n"
        "heavy = {'numpy', 'pandas', 'numba', 'matplotlib', 'pydantic', 'yaml', 'simpy', 'rich'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.endswith("heavy: []\n")


def test_help_is_shown_within_its_time() -> None:
    # Asked: under 0.3 s. The best of five, since the machine may be busy with other things, and on one that
    # is slow throughout, a few times what the interpreter itself takes to start.
    shown, bare = [], []
    for _ in range(5):
        start = time.perf_counter()
        assert process("--help").returncode == 0
        shown.append(time.perf_counter() - start)
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - start - shown[-1])
    assert min(shown) < max(0.3, 4 * min(bare))


@pytest.mark.parametrize("name", LATER)
def test_a_command_of_a_later_version_is_refused_by_name(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(name, "--hw", "h100_sxm") == 2
    assert f"'pagewalk {name}' does not exist yet" in capsys.readouterr().err


@pytest.mark.parametrize("name", VALIDATE_LATER)
def test_a_validation_of_a_later_version_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("validate", name, "truth.csv") == 2
    assert f"'pagewalk validate {name}' does not exist yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("--nonsense",), ("hw", "show"), ("hw", "list", "--fast")]
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: pagewalk" in captured.err


@pytest.mark.parametrize(
    ("group", "names"), [(pagewalk, COMMANDS), (pagewalk.commands["validate"], VALIDATE)]
)
def test_every_listed_command_can_be_imported(group: LazyGroup, names: dict[str, Any]) -> None:
    context = click.Context(group)
    assert [name for name in names if group.get_command(context, name) is None] == []


def test_a_command_whose_module_is_missing_is_refused_and_does_not_break_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = LazyGroup("pagewalk", lazy={"gone": ("sim.cli.gone:gone", "Not there.")})
    assert exit_code_of(group, ["--help"]) == 0
    assert "gone  Not there." in capsys.readouterr().out
    assert exit_code_of(group, ["gone"]) == 2


def raising(error: BaseException) -> click.Command:
    def body() -> None:
        raise error

    return click.Command("body", callback=body)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a.yaml:1:1: k: found 1; allowed: 2", "b.yaml: no such file"), 2),
        (PermissionError(13, "Permission denied", "/out"), 2),
        (OSError("no file is to blame"), 70),
        (StuckError("sm 3 waits for bytes"), 3),
        (SelfCheckError("stalls sum to 1.1"), 70),
        (ZeroDivisionError("division by zero"), 70),
        (KeyboardInterrupt(), 130),
        (click.UsageError("no"), 2),
        (click.FileError("x.csv", "no such file"), 2),
        (SystemExit(1), 1),
        (SystemExit(None), 0),
    ],
)
def test_each_ending_has_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(raising(error), []) == code
    assert capsys.readouterr().out == ""


def test_bad_input_of_the_reference_engine_is_bad_input_too(capsys: pytest.CaptureFixture[str]) -> None:
    from kernels_ref.errors import InputError as EngineInputError

    assert exit_code_of(raising(EngineInputError("case.npz: not a case")), []) == 2
    assert capsys.readouterr().err == "case.npz: not a case\n"


def test_bad_input_prints_its_problems_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(raising(InputError("a: one", "b: two")), [])
    assert capsys.readouterr().err == "a: one\nb: two\n"


def test_a_defect_says_how_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(raising(ZeroDivisionError("division by zero")), [])
    text = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in text
    assert "a defect of pagewalk, not of your input. Please report it" in text
    assert "Python" in text


def test_an_exit_code_of_a_command_is_kept() -> None:
    @click.command()
    @click.pass_context
    def body(context: click.Context) -> None:
        context.exit(1)

    assert exit_code_of(body, []) == 1


def test_ctrl_c_ends_at_once_with_130() -> None:
    code = (
        "import time, click\n"
        "from sim.cli.endings import exit_code_of\n"
        "def body():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "raise SystemExit(exit_code_of(click.Command('body', callback=body), []))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    start = time.perf_counter()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert time.perf_counter() - start < 5
    assert err.strip() == "interrupted"


def test_a_reader_that_goes_away_is_no_failed_check() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-c", "from sim.cli.main import main; main()", "hw", "show", "h100_sxm"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        assert shell(*arguments) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return json.loads(captured.out)

    return run


def test_hw_show_gives_the_source_of_every_number(printed: Callable[..., Any]) -> None:
    data = printed("hw", "show", "h100_sxm", "--json", "--set", "sm.sram_kib=512")
    assert data["schema"] == "pagewalk.hw/1"
    rows = {row["key"]: row for row in data["values"]}
    assert data["config"]["sm"]["sram_kib"] == rows["sm.sram_kib"]["value"] == 512
    assert rows["sm.sram_kib"]["source"] is None
    assert rows["sm.sram_kib"]["set_at"] == "command line: --set sm.sram_kib=512"
    assert rows["sm.count"]["source"]["kind"] == "datasheet"
    assert rows["sm.count"]["set_at"].startswith("hwconfigs/h100_sxm.yaml:")


def test_hw_show_prints_a_row_per_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("hw", "show", "h100_sxm", "--set", "sm.count=7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("GB/s = 10^9 B/s" in line for line in lines)
    (row,) = [line.split() for line in lines if line.startswith("sm.count ")]
    assert row == ["sm.count", "7", "command", "line:", "--set", "sm.count=7", "none", "given"]


def test_hw_list_names_what_ships(printed: Callable[..., Any]) -> None:
    names = [item["name"] for item in printed("hw", "list", "--json")["hardware"]]
    assert {"h100_sxm", "mi300x", "ideal_paged"} <= set(names)


def test_hw_check_lists_numbers_without_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: h100_sxm\nname: mine\nsm:\n  sram_kib: 512\n")
    assert shell("hw", "check", str(path)) == 0
    text = capsys.readouterr().out
    assert "mine: no errors; " in text
    assert f"{path}:4:3: sm.sram_kib: no source" in text
    assert shell("hw", "check", str(path), "--require-sources") == 1


def test_workload_show_resolves_the_model(printed: Callable[..., Any]) -> None:
    data = printed("workload", "show", "decode_64x8k", "--json", "--set", "workload.batch=3")
    assert (data["config"]["batch"], data["model"]["layers"]) == (3, 80)
    assert printed("workload", "check", "decode_64x8k", "--json")["name"] == "decode_64x8k"
    assert "llama3_70b" in printed("workload", "list", "--json")["models"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("model", "llama3_8b"), ("kernel", "fa3"), ("runtime", "vllm"), ("workload", "decode_1x8k")],
)
def test_check_knows_what_a_workload_names(
    printed: Callable[..., Any], tmp_path: Path, kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed("workload", "check", name, "--kind", kind, "--json")["name"] == name
    (tmp_path / "mine.yaml").write_text(f"base: {name}\nnot_a_key: 1\n")
    assert shell("workload", "check", str(tmp_path / "mine.yaml"), "--kind", kind) == 2
    assert "mine.yaml:2:1: not_a_key: unknown key; allowed: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["hardware", "workload", "sweep", "model", "kernel", "runtime"])
def test_schema_prints_json_schema(printed: Callable[..., Any], kind: str) -> None:
    data = printed("schema", kind)
    assert data["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert data["additionalProperties"] is False
    assert ("base" in data["properties"]) == (kind != "sweep")


def test_the_schema_of_workloads_knows_microbenchmarks_too(printed: Callable[..., Any]) -> None:
    data = printed("schema", "workload")
    assert data["properties"]["kind"]["enum"] == ["kernel", "step", "micro"]
    assert {"model", "benchmark", "run_bytes"} <= data["properties"].keys()
    assert any(branch.get("required") == ["kind", "benchmark"] for branch in data["anyOf"])


@pytest.mark.parametrize("arguments", [("hw", "list"), ("hw", "show", "l4"), ("workload", "list")])
def test_tables_are_plain_text(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(*arguments) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


EXAMPLES = {
    line.strip().removeprefix("Example: ")
    for group in (hw, workload, schema)
    for command in (group, *getattr(group, "commands", {}).values())
    for line in (command.epilog or "").splitlines()
    if "pagewalk" in line
}


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_the_example_of_a_help_page_runs(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_chip.yaml").write_text("base: h100_sxm\n")
    (tmp_path / "my_workload.yaml").write_text("base: decode_64x8k\n")
    monkeypatch.chdir(tmp_path)
    assert shell(*shlex.split(example.partition(" > ")[0])[1:]) == 0


def test_there_is_an_example_for_every_command_here() -> None:
    assert len(EXAMPLES) == 7


def test_columns_line_up() -> None:
    assert (
        columns([("a", "1"), ("long", "2")], ("key", "value")) == "key   value\n---   -----\na     1\nlong  2"
    )
    assert columns([]) == ""


def test_values_are_written_as_yaml_would() -> None:
    assert [number_text(v) for v in (None, True, 1.5, 3.0, ["a", 1], "x")] == [
        "-",
        "true",
        "1.5",
        "3",
        "[a, 1]",
        "x",
    ]
    assert number_text(list(range(9))) == "[0, 1, 2, 3, 4, 5, 6, 7, ... 9 in all]"
