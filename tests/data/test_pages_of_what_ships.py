"""docs/hardware.md and docs/kernels.md are written from the configs; they must not lag behind them."""

import runpy
from pathlib import Path

from sim.config.catalog import shipped


def test_the_pages_about_machines_and_kernels_are_what_their_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "make_pages.py"))
    for name, tables in script["pages"]().items():
        text = (repo / "docs" / name).read_text()
        assert text == script["page"](text, tables), "run python docs/make_pages.py"


def test_every_kernel_profile_is_in_one_table(repo: Path) -> None:
    text = (repo / "docs" / "kernels.md").read_text()
    assert all(text.count(f"| `{name}` |") == 1 for name in shipped("kernel profile"))
