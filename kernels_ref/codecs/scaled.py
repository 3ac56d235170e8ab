"""FP8 and INT8 with one scale per tensor, head, channel or token.

Per head: one scale for all tokens and channels of a KV head. Per channel: one for each (head, channel). Per
token: one for each (token, head), which serving runtimes call per-token-head and store beside the token.
"""

from dataclasses import dataclass

import numpy as np

from kernels_ref.codecs.base import F32, Encoded, Values
from kernels_ref.codecs.minifloat import minifloat
from kernels_ref.codecs.rules import INT8_MAX, float_codes, int8_codes, int8_values
from kernels_ref.errors import InputError

REDUCED_AXES: dict[str, tuple[int, ...]] = {
    "tensor": (0, 1, 2),
    "head": (0, 2),
    "channel": (0,),
    "token": (2,),
}
"""Axes of [tokens, heads, dim] that share one scale."""


def reduced_axes(granularity: str) -> tuple[int, ...]:
    if granularity not in REDUCED_AXES:
        raise InputError(f"granularity {granularity!r}; allowed: {', '.join(REDUCED_AXES)}")
    return REDUCED_AXES[granularity]


def absmax(x: Values, granularity: str) -> F32:
    largest: F32 = np.abs(x.astype(np.float32)).max(axis=reduced_axes(granularity), keepdims=True, initial=0)
    return largest


@dataclass(frozen=True)
class Fp8Codec:
    """`fp8_e4m3` (e4m3fn, largest 448) or `fp8_e5m2` (largest 57344); scale = absmax / largest."""

    name: str
    granularity: str = "token"

    @property
    def _kind(self) -> str:
        return {"fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}[self.name]

    def encode(self, x: Values) -> Encoded:
        kind = minifloat(self._kind)
        scale = absmax(x, self.granularity) / np.float32(kind.largest)
        return Encoded(x.shape, float_codes(x, scale, kind), {"scale": scale})

    def decode(self, stored: Encoded) -> F32:
        values: F32 = minifloat(self._kind).decode(stored.codes) * stored.scales["scale"]
        return values


@dataclass(frozen=True)
class Int8Codec:
    """Symmetric (scale = absmax / 127) or asymmetric (scale = (max - min) / 255, integer zero point).

    Scale and zero point are kept in `parameters` (float32 or float16).
    """

    granularity: str = "token"
    symmetric: bool = True
    parameters: str = "float32"
    name: str = "int8"

    def encode(self, x: Values) -> Encoded:
        if self.symmetric:
            scale = (absmax(x, self.granularity) / np.float32(INT8_MAX)).astype(self.parameters)
            return Encoded(x.shape, int8_codes(x, scale), {"scale": scale})
        axes = reduced_axes(self.granularity)
        low = x.astype(np.float32).min(axis=axes, keepdims=True)
        spread = x.astype(np.float32).max(axis=axes, keepdims=True) - low
        scale = (spread / np.float32(255)).astype(self.parameters)
        zero = np.rint(-128 - low / np.where(scale == 0, np.float32(1), scale)).astype(self.parameters)
        return Encoded(x.shape, int8_codes(x, scale, zero), {"scale": scale, "zero": zero})

    def decode(self, stored: Encoded) -> F32:
        values = int8_values(stored.codes, stored.scales["scale"], stored.scales.get("zero"))
        return values.astype(np.float32)
