"""How the tile-grain loop is compiled: stored on disk, keyed by this folder's sources."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from sim.memory.jit import stored

P = ParamSpec("P")
R = TypeVar("R")
HERE = Path(__file__).parent


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Callable from compiled code."""
    return stored(function, HERE)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same, merged into every caller."""
    return stored(function, HERE, forceinline=True)


entry = compiled
