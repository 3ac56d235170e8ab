"""How the controller is compiled: stored on disk, keyed by the content of this folder's sources.

Numba keys stored code by the one file that holds a function; compiled code also contains its callees and
the constants of other files. Without compilation (NUMBA_DISABLE_JIT=1) the functions stay plain Python.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


@cache
def source_digest() -> str:
    """Digest of every source of this folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call, or load what an equal source compiled before."""
    dispatcher: Any = njit(cache=True, error_model="numpy")(function)
    stored = getattr(dispatcher, "_cache", None)
    if stored is not None:
        stored._cache_file._source_stamp = source_digest()
    return cast("Callable[P, R]", dispatcher)
