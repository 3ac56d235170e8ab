"""What Python cannot say to the compiler: operations on integers that are one instruction where signs do not matter."""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic

from sim.memory.jit import UNCOMPILED


def _first(typing_context: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.int64(types.int64), codegen


def _ones(typing_context: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), codegen


def _divide(typing_context: Any, value: Any, by: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.udiv(*arguments)

    return types.int64(types.int64, types.int64), codegen


def _modulo(typing_context: Any, value: Any, by: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.urem(*arguments)

    return types.int64(types.int64, types.int64), codegen


def _first_slowly(value: int) -> int:
    return (int(value) & -int(value)).bit_length() - 1


def _ones_slowly(value: int) -> int:
    return int(value).bit_count()


def _divide_slowly(value: int, by: int) -> int:
    return int(value) // int(by)


def _modulo_slowly(value: int, by: int) -> int:
    return int(value) % int(by)


Unary = Callable[[int], int]
Binary = Callable[[int, int], int]
trailing_zeros: Unary = _first_slowly if UNCOMPILED else cast("Any", intrinsic(_first))
"""Position of the lowest set bit of an integer that is not 0."""
ones: Unary = _ones_slowly if UNCOMPILED else cast("Any", intrinsic(_ones))
"""Number of set bits of an integer that is not negative."""
quotient: Binary = _divide_slowly if UNCOMPILED else cast("Any", intrinsic(_divide))
"""value // by of an integer that is not negative by one that is positive."""
remainder: Binary = _modulo_slowly if UNCOMPILED else cast("Any", intrinsic(_modulo))
"""value % by of the same."""
