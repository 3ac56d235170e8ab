"""Stored machine code comes back in another process fast: without bitcode beside it, nor numba's registries."""

import subprocess
import sys
from pathlib import Path

CHILD = """
import sys
import numpy as np
from sim.memory import kernel
from sim.memory.pipeline_layout import PL_NEXT, PL_TILE
from sim.memory.pipelines import Pipelines, TileWork
tiles = np.full(2, 64)
none = np.full(2, -1)
pipes = Pipelines(TileWork(np.array([0, 2]), tiles, none, tiles, tiles, none, 0, 64), 1, False)
pipes.begin(0, (0, 2), -1, -1, 5)
row = pipes._row(0)
library = kernel.start.overloads[kernel.start.signatures[0]].library
print(pipes.cells[row + PL_TILE], pipes.cells[row + PL_NEXT], bool(kernel.start.stats.cache_hits),
    len(library._get_module_for_linking().as_bitcode()), "numba.np.linalg" in sys.modules)
"""


def test_what_one_process_compiled_another_loads_with_nothing_beside_it(repo: Path, tmp_path: Path) -> None:
    """The first tile of two fits the buffer, so one is asked for. An empty module takes one or two kilobytes."""

    def child() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            cwd=repo,
            env={"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(repo)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert child()[:3] == ["0", "1", "False"]
    tile, following, loaded, bitcode, registries = child()
    assert (tile, following, loaded, registries) == ("0", "1", "True", "False")
    assert int(bitcode) < 4096
