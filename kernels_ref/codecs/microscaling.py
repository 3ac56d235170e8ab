"""Block-scaled small floats along the channel axis: MXFP4, MXFP8 (OCP Microscaling 1.0) and NVFP4.

MX: blocks of 32 share a power of two (e8m0), exponent floor(log2(absmax)) - emax of the element type;
elements saturate, so the largest of a block may be clipped. NVFP4: blocks of 16 share an e4m3
scale absmax/6, itself relative to one float32 scale per tensor, absmax/(448*6).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.codecs.base import F32, Encoded, Values
from kernels_ref.codecs.minifloat import minifloat
from kernels_ref.codecs.packing import pack, unpack
from kernels_ref.codecs.rules import float_codes
from kernels_ref.errors import InputError

E8M0_BIAS = 127
E8M0_LARGEST = 254


def blocked(x: Values, block: int) -> Values:
    """[tokens, heads, dim] -> [tokens, heads, dim / block, block]."""
    if x.shape[-1] % block:
        raise InputError(f"block {block} does not divide the head dimension {x.shape[-1]}")
    return x.reshape(*x.shape[:-1], x.shape[-1] // block, block)


def shared_exponent(x: Values, emax: int) -> NDArray[np.uint8]:
    """e8m0 code of each block of x [..., block]; an all-zero block takes the smallest scale."""
    largest = np.abs(x.astype(np.float32)).max(axis=-1, keepdims=True)
    # frexp is exact (largest = m * 2**e, m in [0.5, 1)); log2 rounds up just under a power of two.
    _, exponent = np.frexp(largest)
    code = np.where(largest == 0, 0, exponent - 1 - emax + E8M0_BIAS)
    return np.clip(code, 0, E8M0_LARGEST).astype(np.uint8)


def exponent_scale(codes: NDArray[np.uint8]) -> F32:
    return np.ldexp(np.float32(1), codes.astype(np.int32) - E8M0_BIAS).astype(np.float32)


@dataclass(frozen=True)
class MxCodec:
    """`mxfp4` (e2m1), `mxfp8` (e4m3) or `mxfp8_e5m2`; 4.25 and 8.25 bits per value."""

    name: str
    block: int = 32

    @property
    def _element(self) -> tuple[str, int]:
        """Type and exponent of its largest binade."""
        kinds = {
            "mxfp4": ("float4_e2m1fn", 2),
            "mxfp8": ("float8_e4m3fn", 8),
            "mxfp8_e5m2": ("float8_e5m2", 15),
        }
        return kinds[self.name]

    def encode(self, x: Values) -> Encoded:
        kind, emax = self._element
        blocks = blocked(x, self.block)
        scale = shared_exponent(blocks, emax)
        codes = float_codes(blocks, exponent_scale(scale), minifloat(kind)).reshape(x.shape)
        return Encoded(x.shape, pack(codes, minifloat(kind).bits), {"scale": scale})

    def decode(self, stored: Encoded) -> F32:
        kind = minifloat(self._element[0])
        blocks = blocked(kind.decode(unpack(stored.codes, kind.bits)), self.block)
        values: F32 = (blocks * exponent_scale(stored.scales["scale"])).reshape(stored.shape)
        return values.astype(np.float32)


@dataclass(frozen=True)
class Nvfp4Codec:
    """e2m1 elements, e4m3 scale per 16, float32 scale per tensor; 4.5 bits per value and 4 bytes."""

    name: str = "nvfp4"
    block: int = 16

    def encode(self, x: Values) -> Encoded:
        element, scale_kind = minifloat("float4_e2m1fn"), minifloat("float8_e4m3fn")
        blocks = blocked(x.astype(np.float32), self.block)
        largest = np.abs(blocks).max(initial=0)
        tensor = np.full(1, largest / np.float32(scale_kind.largest * element.largest), np.float32)
        unit = np.where(tensor == 0, np.float32(1), tensor)
        per_block = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(element.largest) / unit
        scale = scale_kind.encode(per_block)
        codes = float_codes(blocks, scale_kind.decode(scale) * unit, element).reshape(x.shape)
        return Encoded(x.shape, pack(codes, element.bits), {"scale": scale, "tensor": tensor})

    def decode(self, stored: Encoded) -> F32:
        element = minifloat("float4_e2m1fn")
        blocks = blocked(element.decode(unpack(stored.codes, element.bits)), self.block)
        scale = minifloat("float8_e4m3fn").decode(stored.scales["scale"]) * stored.scales["tensor"]
        values: F32 = (blocks * scale).reshape(stored.shape)
        return values.astype(np.float32)
