"""Small floating types: exact codes from float32, round to nearest even, and the value of every code.

OCP 8-bit Floating Point Specification 1.0 (e4m3fn, e5m2) and OCP Microscaling Formats 1.0 (e2m1, e2m3, e3m2,
e8m0); the `fnuz` variants are those of AMD CDNA3. The types come from ml_dtypes.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError

Codes = NDArray[np.uint8]

BITS = {
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2fnuz": 8,
    "float8_e4m3b11fnuz": 8,
    "float8_e4m3": 8,
    "float8_e3m4": 8,
    "float8_e8m0fnu": 8,
    "float6_e2m3fn": 6,
    "float6_e3m2fn": 6,
    "float4_e2m1fn": 4,
}


@dataclass(frozen=True)
class Minifloat:
    """One small type: its name, width and ml_dtypes type."""

    name: str
    bits: int
    dtype: np.dtype[Any]

    @property
    def largest(self) -> float:
        """The largest finite value: 448 for e4m3fn, 57344 for e5m2, 6 for e2m1."""
        largest = np.nanmax(np.where(np.isinf(self.decode_table()), np.nan, self.decode_table()))
        return float(largest)

    def decode_table(self) -> NDArray[np.float64]:
        """The value of every code, [2 ** bits]."""
        return np.arange(2**self.bits, dtype=np.uint8).view(self.dtype).astype(np.float64)

    def decode(self, codes: Codes) -> NDArray[np.float32]:
        """Values of codes of any shape, one code a byte."""
        return np.ascontiguousarray(codes).view(self.dtype).astype(np.float32)

    def encode(self, x: NDArray[np.float32], saturate: bool = True) -> Codes:
        """Codes of float32 values. Saturating clamps to the largest finite value first (NaN stays NaN);
        otherwise overflow gives what the type has: NaN (e4m3fn), infinity (e5m2), the largest (e2m1)."""
        values = np.asarray(x, dtype=np.float32)
        if saturate:
            values = np.clip(values, np.float32(-self.largest), np.float32(self.largest))
        with np.errstate(invalid="ignore", over="ignore"):
            codes = values.astype(self.dtype)
        return codes.view(np.uint8)


@cache
def minifloat(name: str) -> Minifloat:
    """The type of that name. Raises InputError for an unknown one."""
    if name not in BITS or not hasattr(ml_dtypes, name):
        raise InputError(f"format {name!r} is not a small floating type; allowed: {', '.join(sorted(BITS))}")
    return Minifloat(name, BITS[name], np.dtype(getattr(ml_dtypes, name)))
