"""Compile the CUDA sections with nvcc, in parallel. Needs no GPU."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpu_harness.device import run_quietly

CUDA_FOLDER = Path(__file__).resolve().parents[1] / "cuda"
FLAGS = ("-std=c++20", "-O3", "-lineinfo")


def nvcc_path() -> str | None:
    """nvcc on the PATH or in the usual place, None without a toolkit."""
    usual = Path("/usr/local/cuda/bin/nvcc")
    return shutil.which("nvcc") or (str(usual) if usual.is_file() else None)


def toolkit_release(nvcc: str) -> str:
    """`13.0` and the like; `unknown` when nvcc does not say."""
    found = re.search(r"release (\d+\.\d+)", run_quietly([nvcc, "--version"]) or "")
    return found.group(1) if found else "unknown"


def target_of(capability: int) -> str:
    """The `-gencode` value for a compute capability; the `a` targets hold instructions of that chip alone."""
    suffix = "a" if capability in (90, 100) else ""
    return f"arch=compute_{capability}{suffix},code=sm_{capability}{suffix}"


def compile_command(nvcc: str, name: str, capability: int, output: Path) -> list[str]:
    source = CUDA_FOLDER / f"{name}.cu"
    return [nvcc, *FLAGS, f"-gencode={target_of(capability)}", "-o", str(output), str(source)]


def build(nvcc: str, names: list[str], capability: int, folder: Path, timeout_s: float) -> dict[str, str]:
    """Build `folder/NAME` for every name; returns the compiler's message of those that failed."""
    folder.mkdir(parents=True, exist_ok=True)

    def one(name: str) -> tuple[str, str]:
        command = compile_command(nvcc, name, capability, folder / name)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return name, f"nvcc took longer than {timeout_s:.0f} s"
        return name, "" if done.returncode == 0 else done.stderr[-400:] or f"nvcc exit code {done.returncode}"

    with ThreadPoolExecutor(max_workers=8) as pool:
        return {name: message for name, message in pool.map(one, names) if message}
