"""Run pipelines behind block-table lines and print a digest of all they did; started by a test, uncompiled."""

import hashlib
import json
import sys
from pathlib import Path

from sim.config.hardware import Hardware
from tests.memory.plain_twin import uncompiled
from tests.memory.test_pipeline import example, run


def digest(hw: Hardware, seed: int) -> str:
    seen = run(hw, *example(seed, lined=True))
    parts = (seen.tiles, seen.waits, seen.asked, seen.here)
    numbers = [*(part.tolist() for part in parts), seen.done, seen.windows]
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()


def plain_digest(hw: Hardware, seed: int, repo: Path) -> str:
    """The same, computed uncompiled in another process."""
    return uncompiled("tests.memory.pipeline_twin", repo, hw.model_dump_json(), str(seed))


if __name__ == "__main__":
    print(digest(Hardware.model_validate(json.loads(sys.argv[1])), int(sys.argv[2])))
