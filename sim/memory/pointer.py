"""A bare pointer to an array's cells, for compiled code.

Every call that passes an array in compiled code costs reference counting (atomic operations) and half a dozen
registers, and every index a test for negative values; a pointer costs neither.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sim.memory.jit import UNCOMPILED

IntArray = NDArray[np.int64]


def _cells(typing_context: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(types.int64)(array), codegen  # type: ignore[no-untyped-call]


def _same(array: IntArray) -> IntArray:
    return array


cells: Callable[[IntArray], IntArray] = _same if UNCOMPILED else cast("Any", intrinsic(_cells))
"""The cells of a contiguous int64 array, which the caller keeps alive. Uncompiled code gets the array itself."""
