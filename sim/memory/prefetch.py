"""What Python cannot say to the compiler: load a cell's cache line early.

The plane's state is some ten megabytes, visited in the order of simulated time, so most first touches of
a row miss the near caches; asking for the rows of the next events while this one is processed hides that.
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from sim.memory.jit import UNCOMPILED
from sim.memory.layout import Memory


def _hint(typing_context: Any, pointer: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        cell = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cell.type, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", (cell.type,), kind)
        builder.call(function, [cell, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(pointer, index), codegen


def _nothing(m: Memory, cell: int) -> None:
    """Uncompiled code needs no hint."""


prefetch: Callable[[Memory, int], None] = _nothing if UNCOMPILED else cast("Any", intrinsic(_hint))
