"""What Python cannot say to the compiler: the position of the lowest bit in one instruction."""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic

from sim.memory.jit import UNCOMPILED


def _count(typing_context: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.int64(types.int64), codegen


def _slowly(value: int) -> int:
    return (int(value) & -int(value)).bit_length() - 1


trailing_zeros: Callable[[int], int] = _slowly if UNCOMPILED else cast("Any", intrinsic(_count))
"""Position of the lowest set bit of an integer that is not 0."""
