"""What the documents show is there: commands parse, configs load, links lead somewhere, named places hold the words."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sim.causes import CAUSES
from sim.cli.main import pagewalk
from sim.config.load import load_hardware
from sim.config.provenance import unsourced
from sim.config.sweep import load_sweep

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] + [
    f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")
]
PLANNED: dict[str, set[str]] = {}
"""Commands that a page names before they exist."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def command_lines(page: str) -> Iterator[str]:
    """`pagewalk ...` as a line of a code block, or as inline code with at least one argument."""
    text = text_of(page)
    for block in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from (line.split(" #")[0] for line in block.splitlines() if line.startswith("pagewalk "))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`(pagewalk [^`]+)`", prose)


def shown(pages: list[str]) -> list[tuple[str, str]]:
    return [(page, line) for page in sorted(pages) for line in dict.fromkeys(command_lines(page))]


def is_pattern(arguments: list[str]) -> bool:
    """A synopsis with names in capitals, or the bare name of commands, is no command line."""
    capital = any(re.fullmatch(r"\[?[A-Z][A-Z=]+\]?", a) for a in arguments)
    return capital or not any(a.startswith("-") or "." in a or "_" in a for a in arguments)


def leaf(arguments: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that a line names, its context, and the rest of the line."""
    command: click.Command = pagewalk
    context = click.Context(pagewalk)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    return command, context, arguments


@pytest.mark.parametrize(("page", "line"), shown(PAGES))
def test_a_command_line_of_the_documents_parses(page: str, line: str) -> None:
    arguments = shlex.split(line)[1:]
    if any(" ".join(arguments).startswith(name) for name in PLANNED.get(page, ())):
        pytest.skip("the page names a command of a later version")
    command, context, rest = leaf(arguments)
    if is_pattern(arguments) or isinstance(command, click.Group):
        return
    assert command.make_context(context.info_name, list(rest), parent=context.parent) is not None


def examples_of(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from examples_of(found, click.Context(found, parent=context))
    texts = f"{command.help or ''}\n\n{command.epilog or ''}"
    for paragraph in re.findall(r"Examples?:(.*?)(?:\n\n|\Z)", texts, re.DOTALL):
        for part in paragraph.split("pagewalk ")[1:]:
            yield " ".join(part.split())


@pytest.mark.parametrize("line", sorted(set(examples_of(pagewalk, click.Context(pagewalk)))))
def test_an_example_of_a_help_page_parses(line: str) -> None:
    command, context, rest = leaf(shlex.split(line.split(" > ")[0]))
    assert command.make_context(context.info_name, rest, parent=context.parent) is not None


def test_the_readme_shows_what_its_two_commands_are() -> None:
    targets = re.findall(r"^make (\w+)", text_of("README.md"), re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(f"\n{target}: " in text_of("Makefile") for target in targets)


@pytest.mark.parametrize("page", PAGES)
def test_every_local_link_leads_to_a_file(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", text_of(page))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_first_configs_of_the_readme_load_and_have_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", text_of("README.md"), re.DOTALL))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    chip = load_hardware("my_chip.yaml")
    assert chip.spec.sm.sram_kib == 512
    assert unsourced(chip.spec, chip.raw) == []
    assert load_sweep("my_sweep.yaml").spec.name == "sram"


NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def test_the_output_that_the_readme_shows_is_what_the_run_prints() -> None:
    # Words are equal; numbers may drift by 2% before the page (and its tables, same value) must be written anew.
    shown_lines = re.search(r"```text\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert shown_lines is not None
    printed = CliRunner().invoke(pagewalk, ["run", "decode_16x8k", "--hw", "h100_sxm"]).output
    expected, seen = (
        shown_lines[1],
        "\n".join(printed.splitlines()[: len(shown_lines[1].splitlines())]) + "\n",
    )
    assert NUMBER.sub("N", seen).split() == NUMBER.sub("N", expected).split()
    numbers = [[float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (seen, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02)


def places() -> list[tuple[str, str]]:
    return re.findall(
        r"^\| \d \w+ \| `([^`]+)` \| `([^`]+)` \|", text_of("docs/add_a_block.md"), re.MULTILINE
    )


def test_the_worked_example_has_its_five_steps() -> None:
    steps = re.findall(r"^\| (\d) \w+ \|", text_of("docs/add_a_block.md"), re.MULTILINE)
    assert sorted(set(steps)) == ["1", "2", "3", "4", "5"]
    assert len(places()) == len(steps)


@pytest.mark.parametrize(("file", "words"), places())
def test_the_worked_example_is_in_the_tree(file: str, words: str) -> None:
    assert words in text_of(file)


def test_the_python_of_the_worked_example_is_that_of_the_tree() -> None:
    tree = "".join(text_of(file) for file, _ in places())
    lines = "\n".join(
        re.findall(r"```python\n(.*?)```", text_of("docs/add_a_block.md"), re.DOTALL)
    ).splitlines()
    assert lines
    assert [line for line in lines if line and line not in tree] == []


def test_every_file_that_a_document_names_exists() -> None:
    roots = (
        "sim/",
        "kernels_ref/",
        "reports/",
        "tests/",
        "docs/",
        "hwconfigs/",
        "workloads/",
        "benchmarks/",
        "validation/",
    )
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/how_it_works.md",
        "docs/add_a_block.md",
        "docs/limits.md",
    ):
        named = re.findall(r"`([\w./]+)`", text_of(page))
        missing = [n for n in named if n.startswith(roots) and not (ROOT / n).exists()]
        assert missing == [], page


def test_every_page_is_in_the_index() -> None:
    index = text_of("docs/index.md")
    assert [
        p.name for p in (ROOT / "docs").glob("*.md") if f"]({p.name})" not in index and p.name != "index.md"
    ] == []


def test_every_cause_is_explained_in_order() -> None:
    table = text_of("docs/how_it_works.md").split("| cause | means |")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)[: len(CAUSES)]) == CAUSES


def test_the_dependencies_are_those_that_the_readme_justifies() -> None:
    block = re.search(r"^dependencies = (\[.*?^\])", text_of("pyproject.toml"), re.DOTALL | re.MULTILINE)
    assert block is not None
    section = text_of("README.md").split("## Dependencies")[1].split("\n## ")[0]
    names = [re.split(r"[><=]", entry)[0] for entry in ast.literal_eval(block[1])]
    assert [name for name in names if name not in section] == []
