"""Several small codes in one byte along the last axis, the first code in the lowest bits."""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError

Codes = NDArray[np.uint8]


def pack(codes: Codes, bits: int) -> Codes:
    """[..., n] codes below 2**bits -> [..., n * bits / 8] bytes; InputError if bytes stay half full."""
    per_byte = _per_byte(bits)
    if codes.shape[-1] % per_byte:
        raise InputError(f"{codes.shape[-1]} codes of {bits} bits do not fill whole bytes")
    groups = codes.reshape(*codes.shape[:-1], codes.shape[-1] // per_byte, per_byte)
    packed = np.zeros(groups.shape[:-1], dtype=np.uint8)
    for place in range(per_byte):
        packed |= groups[..., place] << np.uint8(place * bits)
    return packed


def unpack(packed: Codes, bits: int) -> Codes:
    """The inverse of pack."""
    places = np.arange(_per_byte(bits), dtype=np.uint8) * np.uint8(bits)
    codes = (packed[..., None] >> places) & np.uint8(2**bits - 1)
    return codes.reshape(*packed.shape[:-1], packed.shape[-1] * places.size)


def _per_byte(bits: int) -> int:
    if bits not in (1, 2, 4, 8):
        raise InputError(f"codes of {bits} bits cannot be packed; allowed: 1, 2, 4, 8")
    return 8 // bits
