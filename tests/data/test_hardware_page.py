"""docs/hardware.md is written from the configs; it must not lag behind them."""

import runpy
from pathlib import Path


def test_the_page_about_hardware_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "make_hardware.py"))
    text = (repo / "docs" / "hardware.md").read_text()
    assert text == script["page"](text), "run python docs/make_hardware.py"
    assert set(script["tables"]()) == {"parts", "proposals", "sources"}
    assert all(f"<!-- {name} -->" in text for name in script["tables"]())
