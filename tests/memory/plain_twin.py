"""Run a random stream on the plane and print a digest of every stamp and counter; started by a test, uncompiled."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.regions import DataClass, Regions
from tests.memory.conftest import drive
from tests.memory.test_plane_assist import with_entries
from tests.memory.test_plane_invariants import mixed

SPAN = 1 << 18
QUARTERS = Regions(np.arange(4) * (SPAN // 4), np.array(DataClass))
"""One of each class; an L2 that keeps all data alike does not look at them."""


def digest(hw: Hardware, seed: int, longest: int = 4000) -> str:
    """Of a stream of runs of up to `longest` bytes."""
    fetches = mixed(seed, count=60, span=SPAN, longest=longest)
    if hw.translation.assist:
        fetches = with_entries(fetches, [list(range(5 * f, 5 * f + 6)) for f in range(fetches.fetches)])
        fetches = replace(fetches, entry_ends=fetches.entry_ptr[10::10])
    outcome = drive(hw, fetches, lambda f: f % 4, depth=2, regions=QUARTERS)
    text = outcome.plane.stamps.tobytes() + json.dumps(outcome.plane.counters).encode()
    return hashlib.sha256(text).hexdigest()


def plain_digest(hw: Hardware, seed: int, repo: Path, longest: int = 4000) -> str:
    """The same, computed uncompiled in another process."""
    return uncompiled("tests.memory.plain_twin", repo, hw.model_dump_json(), str(seed), str(longest))


def uncompiled(module: str, repo: Path, *arguments: str) -> str:
    """What a module prints that runs as plain Python."""
    plain = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=repo,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return plain.stdout.strip()


if __name__ == "__main__":
    print(digest(Hardware.model_validate(json.loads(sys.argv[1])), *map(int, sys.argv[2:4])))
