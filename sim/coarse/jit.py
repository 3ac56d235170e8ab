"""How the tile-grain loop is compiled: stored on disk, keyed by this folder's sources."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from sim.memory.jit import part, stored

P = ParamSpec("P")
R = TypeVar("R")
HERE = Path(__file__).parent


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Callable from compiled code."""
    return part(function)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same, merged into every caller."""
    return part(function, forceinline=True)


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Callable from Python."""
    return stored(function, HERE)
