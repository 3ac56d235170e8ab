"""The built wheel works away from the checkout, also where its folder cannot be written to."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def installed(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel, built from a copy of what git knows, unpacked into a read-only folder."""
    base = tmp_path_factory.mktemp("wheel")
    source, target = base / "source", base / "site"
    source.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repo, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, files.split("\0")):
        if (repo / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((repo / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(base), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    wheel = next(base.glob("pagewalk-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield target
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755)


def pagewalk(installed: Path, cwd: Path, *arguments: str, cache: Path) -> str:
    """Run the installed command from another folder, with nothing of the checkout on the path."""
    code = "import sys; from sim.cli.main import main; sys.argv[0] = 'pagewalk'; main()"
    environment = os.environ | {
        "PYTHONPATH": str(installed),
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONSAFEPATH": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_config_and_no_test(installed: Path, repo: Path) -> None:
    for folder in ("hwconfigs", "workloads", "workloads/models", "workloads/kernels"):
        shipped = {path.name for path in (repo / folder).glob("*.yaml")}
        assert {path.name for path in (installed / folder).glob("*.yaml")} == shipped
    assert (installed / "workloads" / "traces" / "sample_chat.jsonl.gz").is_file()
    assert not (installed / "tests").exists()


def test_the_wheel_lists_and_bounds_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert "h100_sxm" in pagewalk(installed, tmp_path, "hw", "list", cache=tmp_path / "cache")
    text = pagewalk(
        installed,
        tmp_path,
        "run",
        "decode_16x8k",
        "--hw",
        "h100_sxm",
        "--fidelity",
        "bound",
        cache=tmp_path / "cache",
    )
    assert "analytic floor" in text


@pytest.mark.slow
def test_the_wheel_simulates_from_a_read_only_folder(installed: Path, tmp_path: Path) -> None:
    text = pagewalk(
        installed, tmp_path, "run", "decode_16x8k", "--hw", "h100_sxm", "--set", "workload.batch=1",
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert "of the tightest bound" in text
    assert list((tmp_path / "cache").rglob("*.nbi")), "compiled code belongs into the user's cache"
