"""The quantisation formulas, all in float32 as hardware does them; ties go to even.

Scales broadcast against the values, so one formula serves every granularity. A scale of 0 (an all-zero group)
divides as 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.codecs.minifloat import Minifloat

F32 = NDArray[np.float32]
INT8_MAX = 127


def divided(x: NDArray[Any], scale: NDArray[Any]) -> F32:
    safe = np.where(scale == 0, np.float32(1), scale).astype(np.float32)
    quotient: F32 = x.astype(np.float32) / safe
    return quotient


def float_codes(x: NDArray[Any], scale: NDArray[Any], kind: Minifloat) -> NDArray[np.uint8]:
    """Nearest code of x / scale, saturating."""
    return kind.encode(divided(x, scale))


def int8_codes(x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None = None) -> NDArray[np.int8]:
    """Symmetric: rint(x/scale) within +-127; with a zero point: rint(x/scale + zero) within -128 .. 127."""
    if zero is None:
        return np.clip(np.rint(divided(x, scale)), -INT8_MAX, INT8_MAX).astype(np.int8)
    shifted = divided(x, scale) + zero.astype(np.float32)
    return np.clip(np.rint(shifted), -INT8_MAX - 1, INT8_MAX).astype(np.int8)


def int8_values(
    codes: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    centred = codes.astype(np.float64) - (0.0 if zero is None else zero.astype(np.float64))
    return centred * scale.astype(np.float64)


def affine_parameters(x: NDArray[Any], axis: int, bits: int) -> tuple[F32, F32]:
    """(scale, zero) of a group along `axis`, kept as length 1: min, and (max - min) / (2**bits - 1)."""
    values = x.astype(np.float32)
    low = values.min(axis=axis, keepdims=True)
    scale = (values.max(axis=axis, keepdims=True) - low) / np.float32(2**bits - 1)
    return scale.astype(np.float32), low


def affine_codes(x: NDArray[Any], scale: F32, zero: F32, bits: int) -> NDArray[np.uint8]:
    """rint(clip((x - zero) / scale, 0, 2**bits - 1)), unpacked."""
    steps = divided(x.astype(np.float32) - zero, scale)
    return np.rint(np.clip(steps, 0, 2**bits - 1)).astype(np.uint8)


def affine_values(codes: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]) -> NDArray[np.float64]:
    return codes.astype(np.float64) * scale.astype(np.float64) + zero.astype(np.float64)
