"""docs/configs.md says what the schema says, and its examples load."""

import re
from pathlib import Path

import pytest

from sim.config.load import load_hardware, load_workload
from sim.config.provenance import unsourced
from sim.config.schema_export import MODELS, key_rows, with_current_tables
from sim.config.sweep import load_sweep


@pytest.fixture
def page(repo: Path) -> str:
    return (repo / "docs" / "configs.md").read_text()


def test_the_tables_of_keys_are_current(page: str) -> None:
    # When this fails: python -m sim.config.schema_export docs/configs.md
    assert page == with_current_tables(page)
    assert all(f"<!-- keys: {kind} -->" in page for kind in MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_has_a_meaning(kind: str) -> None:
    assert [key for key, _, _, meaning in key_rows(kind) if not meaning] == []


def test_the_examples_of_the_page_load(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    chip = load_hardware("my_chip.yaml")
    assert unsourced(chip.spec, chip.raw) == []
    assert load_sweep("my_sweep.yaml").spec.hardware == ["h200_sxm", "my_chip.yaml"]


def test_the_settings_of_the_page_are_accepted(page: str) -> None:
    settings = [match.strip("'") for match in re.findall(r"^--set ('[^']+'|\S+)", page, re.MULTILINE)]
    assert len(settings) == 5
    assert load_hardware("h200_sxm", settings).spec.sm.sram_kib == 512
    assert load_workload("decode_64x8k", settings).spec.batch == 8
