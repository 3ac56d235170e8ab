"""The measurement harness is a script's package, not an installed one."""

import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "validation" / "gpu"
sys.path.insert(0, str(HARNESS))


@pytest.fixture(scope="session")
def harness() -> Path:
    return HARNESS
