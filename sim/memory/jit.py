"""One place that says how the kernels of the memory plane are compiled.

Numba stores compiled code beside the source, or, where that folder is read-only, in the user's cache folder.
The plain Python function stays reachable as `.py_func` for the tests that run the plane uncompiled.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile for int64 arguments and arrays, cached on disk."""
    return cast("Callable[P, R]", njit(cache=True, error_model="numpy")(function))
