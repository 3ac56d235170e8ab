"""How the controller is compiled: stored on disk, keyed by the content of this folder's sources."""

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


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Callable from Python: compiled on first call, or loaded if equal sources were compiled before."""
    return stored(function, HERE)
