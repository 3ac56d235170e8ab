"""A bare pointer to the controller's array, for compiled code.

Every call that passes an array in compiled code costs reference counting (atomic operations) and half a dozen
registers, and every index a test for negative values; a pointer costs neither. The array must outlive the
call. Run without compilation the function hands the array back: the same source is the plain twin.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from sim.memory.dram.layout import IntArray


def words_of(array: IntArray) -> IntArray:
    """The words of a contiguous int64 array."""
    return array


@intrinsic
def _data_pointer(typing_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(types.int64)(array), generate  # type: ignore[no-untyped-call]


@overload(words_of)
def _compiled_words_of(array):  # type: ignore[no-untyped-def]  # numba compares annotations, a lambda has none
    if isinstance(array, types.Array) and array.dtype == types.int64 and array.layout == "C":
        return lambda array: _data_pointer(array)  # type: ignore[call-arg]
    return None
