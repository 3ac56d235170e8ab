"""The CUDA sections compile with nvcc on a machine without a GPU, and their processes fail cleanly there."""

import subprocess
from pathlib import Path

import pytest
from gpu_harness.build import build, compile_command, nvcc_path
from gpu_harness.device import query
from gpu_harness.sections import SECTIONS

NVCC = nvcc_path()
NAMES = [section.name for section in SECTIONS if section.kind == "cuda"]

pytestmark = pytest.mark.skipif(
    NVCC is None, reason="no nvcc on this machine: the CUDA sections are not built"
)


def test_every_source_is_a_section_of_the_plan(harness: Path) -> None:
    assert sorted(path.stem for path in (harness / "cuda").glob("*.cu")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_section_compiles_for_the_h200(name: str, tmp_path: Path) -> None:
    # -cubin: host and device code are parsed, device code is assembled; linking is left to the slow test
    command = [
        *compile_command(str(NVCC), name, 90, tmp_path / "out.cubin"),
        "-cubin",
        "-Werror",
        "all-warnings",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.cubin").stat().st_size > 0


@pytest.mark.skipif(query("name") is not None, reason="there is a GPU here: the section would run")
def test_without_a_gpu_a_section_says_so_and_ends(tmp_path: Path) -> None:
    assert build(str(NVCC), ["properties"], 90, tmp_path, timeout_s=300.0) == {}
    done = subprocess.run([tmp_path / "properties"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cudaSetDevice" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_all_sections_build_and_link_for_every_part(capability: int, tmp_path: Path) -> None:
    assert build(str(NVCC), NAMES, capability, tmp_path, timeout_s=600.0) == {}
