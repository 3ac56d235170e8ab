"""One place that says how the kernels of the memory plane are compiled.

Numba stores compiled code beside the source, or, where that folder is read-only, in the user's cache
folder. It keys the stored code by the one file that holds the function, but compiled code contains its
callees and the constants of other files: here the key is the content of the whole folder, so that no
stale physics survives an edit. The plain Python function stays reachable as `.py_func` for the tests that
run the plane uncompiled.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from os import environ
from pathlib import Path
from platform import machine
from typing import Any, ParamSpec, TypeVar, cast

from llvmlite import binding  # type: ignore[import-untyped]
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys

from sim.memory.one_module import EntryCompiler, PartCompiler

P = ParamSpec("P")
R = TypeVar("R")

UNCOMPILED = environ.get("NUMBA_DISABLE_JIT", "0") == "1"
"""Numba's own switch: the plane then runs as plain Python."""
NOT_COMPILED = ("addresses", "build", "peaks", "pipelines", "plane")


HERE = Path(__file__).parent
SHARED = tuple(HERE / f"{name}.py" for name in ("bits", "jit", "one_module", "pointer"))
"""What compiled code of every folder is made with."""

if machine().lower() in ("x86_64", "amd64"):
    # LLVM makes branches of conditional moves in loops, as if they could be guessed. Here most cannot: simulated time
    # decides them, and the plane takes 12% longer with that.
    binding.set_option("", "-x86-cmov-converter=false")


class _Stored(FunctionCache):
    """Stored code, loaded with no more than the runtime that it calls. Numba first makes ready all that it can compile,
    which takes half a second and which compiling does by itself, if it comes to that.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


@cache
def source_digest(folder: Path) -> str:
    """Digest of every source of a folder that compiled code can depend on, and of what all compiled code shares."""
    digest = hashlib.sha256()
    for path in sorted({*folder.glob("*.py"), *SHARED}):
        if path.stem not in NOT_COMPILED:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile for int64 arguments and arrays; callable from compiled code only."""
    return part(function)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same, merged into every caller: for small functions on the way of every request. A call in compiled code
    goes through memory for its result and is followed by a test for exceptions.
    """
    return part(function, forceinline=True)


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """The same, callable from Python and stored on disk."""
    return stored(function, HERE)


def part(function: Callable[P, R], **options: bool) -> Callable[P, R]:
    """Compile with each entry point that reaches the function."""
    if UNCOMPILED:
        return function
    compile_: Any = njit
    # numba would let a part inherit `forceinline` from whichever caller is compiled first
    defaults = {"forceinline": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher = compile_(error_model="numpy", pipeline_class=PartCompiler, **defaults | options)(function)
    return cast("Callable[P, R]", dispatcher)


def stored(function: Callable[P, R], folder: Path, **options: bool) -> Callable[P, R]:
    """Compile on first call, or load what equal sources of `folder` compiled before."""
    if UNCOMPILED:
        return function
    compile_: Any = njit
    dispatcher = compile_(cache=True, error_model="numpy", pipeline_class=EntryCompiler, **options)(function)
    dispatcher._cache._cache_file._source_stamp = source_digest(folder)
    return loads_fast(cast("Callable[P, R]", dispatcher))


def loads_fast(dispatcher: Callable[P, R]) -> Callable[P, R]:
    """Of a function that numba compiles and stores by itself: what is stored is loaded fast."""
    if not UNCOMPILED:
        cast("Any", dispatcher)._cache.__class__ = _Stored
    return dispatcher
