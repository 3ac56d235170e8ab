"""What Python cannot say to the compiler: operations on integers that are one instruction where signs do not matter."""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from sim.memory.jit import UNCOMPILED
from sim.memory.layout import Memory

TOGETHER = 8
"""Cells that `equal` compares and `copy` moves at once."""
WORD = (1 << 64) - 1


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


def _high(typing_context: Any, value: Any, by: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, narrow = ir.IntType(128), ir.IntType(64)
        a, b = (builder.zext(argument, wide) for argument in arguments)
        return builder.trunc(builder.lshr(builder.mul(a, b), wide(64)), narrow)

    return types.int64(types.int64, types.int64), codegen


def _equal(typing_context: Any, pointer: Any, at: Any, bits: Any, key: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, offset, bits, key = arguments
        cells = ir.VectorType(ir.IntType(64), TOGETHER)
        loaded = builder.load(builder.bitcast(builder.gep(start, [offset]), cells.as_pointer()), align=8)
        same = builder.icmp_signed(
            "==", builder.and_(loaded, _repeated(builder, bits)), _repeated(builder, key)
        )
        return builder.zext(builder.bitcast(same, ir.IntType(TOGETHER)), ir.IntType(64))

    return types.int64(pointer, types.int64, types.int64, types.int64), codegen


def _repeated(builder: Any, value: Any) -> Any:
    """A vector of equal values."""
    index = ir.VectorType(ir.IntType(32), TOGETHER)
    empty = ir.Constant(ir.VectorType(ir.IntType(64), TOGETHER), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(index, [0] * TOGETHER))


def _equal_slowly(m: Memory, at: int, bits: int, key: int) -> int:
    return sum(1 << i for i in range(TOGETHER) if int(m[at + i]) & bits == key)


def _copy(typing_context: Any, pointer: Any, to: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, to, at = arguments
        cells = ir.VectorType(ir.IntType(64), TOGETHER).as_pointer()
        there, here = (builder.bitcast(builder.gep(start, [cell]), cells) for cell in (to, at))
        builder.store(builder.load(here, align=8), there, align=8)
        return context.get_dummy_value()

    return types.void(pointer, types.int64, types.int64), codegen


def _copy_slowly(m: Memory, to: int, at: int) -> None:
    m[to : to + TOGETHER] = m[at : at + TOGETHER]


def _first_slowly(value: int) -> int:
    return (int(value) & -int(value)).bit_length() - 1


def _ones_slowly(value: int) -> int:
    return int(value).bit_count()


def _divide_slowly(value: int, by: int) -> int:
    return int(value) // int(by)


def _high_slowly(value: int, by: int) -> int:
    return (int(value) & WORD) * (int(by) & WORD) >> 64


Unary = Callable[[int], int]
Binary = Callable[[int, int], int]
Compare = Callable[[Memory, int, int, int], int]
Copy = Callable[[Memory, int, int], None]
trailing_zeros: Unary = _first_slowly if UNCOMPILED else cast("Any", intrinsic(_first))
"""Position of the lowest set bit of an integer that is not 0."""
ones: Unary = _ones_slowly if UNCOMPILED else cast("Any", intrinsic(_ones))
"""Number of set bits of an integer that is not negative."""
quotient: Binary = _divide_slowly if UNCOMPILED else cast("Any", intrinsic(_divide))
"""value // by of an integer that is not negative by one that is positive."""
high: Binary = _high_slowly if UNCOMPILED else cast("Any", intrinsic(_high))
"""The upper 64 of the 128 bits of a product, of factors that are taken as not negative."""
equal: Compare = _equal_slowly if UNCOMPILED else cast("Any", intrinsic(_equal))
"""Mask of those of TOGETHER cells from `at` on in which these bits are those of a key."""
copy: Copy = _copy_slowly if UNCOMPILED else cast("Any", intrinsic(_copy))
"""Copy TOGETHER cells that begin at `at` to `to`."""
