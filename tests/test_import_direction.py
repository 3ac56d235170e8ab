"""Data flows one way: workloads -> kernels_ref -> trace -> sim -> Result -> reports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"sim", "kernels_ref", "workloads", "hwconfigs", "reports"}


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names.add(node.module or "")
    return {name for name in names if name.split(".")[0] in PACKAGES}


def allowed(path: Path, module: str) -> bool:
    package = path.relative_to(ROOT).parts[0]
    if module.split(".")[0] == package:
        return True
    if path.is_relative_to(ROOT / "sim" / "cli"):
        return True
    if package == "sim":
        return module in {"kernels_ref.trace", "kernels_ref.event_columns", "workloads", "hwconfigs"}
    if package == "reports":
        return module in {"sim.result", "sim.causes"}
    return False


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_follow_the_way_of_the_data(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for module in sorted(imported_modules(path))
        if not allowed(path, module)
    ]
    assert wrong == []
