"""Address mapping as data: bit fields from least to most significant, optionally hashed with XOR.

`of6.ch3.co5.ba2.bg2.ro15` reads: 6 offset bits, 3 channel bits, 5 column bits, ... A field that occurs twice
is concatenated, low part first. `xor` entries fold other address bits into a field bit, which spreads
power-of-two strides over banks and channels (permutation-based interleaving, Zhang et al., MICRO 2000).
"""

import re
from dataclasses import dataclass

import numpy as np

from sim.errors import InputError
from sim.memory.dram.layout import IntArray

FIELDS = ("of", "ch", "pc", "si", "bg", "ba", "ro", "co")
_PIECE = re.compile(r"([a-z]{2})(\d{1,2})")


@dataclass(frozen=True, slots=True)
class XorBit:
    """Field bit `field[bit]` becomes the parity of itself and of the address bits `mask`."""

    field: str
    bit: int
    mask: int


@dataclass(frozen=True, slots=True)
class AddressMapping:
    """Fields as (name, width), least significant first; hashes are applied after the split."""

    fields: tuple[tuple[str, int], ...]
    xor: tuple[XorBit, ...] = ()

    @classmethod
    def parse(cls, spec: str, where: str = "mapping") -> "AddressMapping":
        """Raises InputError for an unknown field or a spec that does not follow the grammar."""
        fields = []
        for piece in spec.split("."):
            match = _PIECE.fullmatch(piece)
            if match is None or match.group(1) not in FIELDS:
                raise InputError(
                    f"{where}: mapping: found {spec[:80]!r}; allowed: fields {', '.join(FIELDS)}, "
                    "each followed by its width in bits, joined by dots, as in of6.ch3.co5.ba2.bg2.ro15"
                )
            fields.append((match.group(1), int(match.group(2))))
        return cls(tuple(fields))

    def width(self, name: str) -> int:
        """Bits of field `name`, 0 if it does not occur."""
        return sum(w for n, w in self.fields if n == name)

    def decode(self, addr: IntArray) -> dict[str, IntArray]:
        """Split byte addresses into every known field; absent fields are 0."""
        rest = np.asarray(addr, dtype=np.int64)
        out = {name: np.zeros_like(rest) for name in FIELDS}
        have = dict.fromkeys(FIELDS, 0)
        for name, width in self.fields:
            out[name] = out[name] | ((rest & ((1 << width) - 1)) << have[name])
            rest = rest >> width
            have[name] += width
        for fold in self.xor:
            out[fold.field] = out[fold.field] ^ (_parity(np.asarray(addr) & fold.mask) << fold.bit)
        return out

    def encode(self, values: dict[str, IntArray], n: int) -> IntArray:
        """Addresses of field arrays of length `n` (missing fields are 0); inverse of `decode` unhashed."""
        addr = np.zeros(n, dtype=np.int64)
        used = dict.fromkeys(FIELDS, 0)
        at = 0
        for name, width in self.fields:
            if name in values:
                addr |= ((values[name] >> used[name]) & ((1 << width) - 1)) << at
            used[name] += width
            at += width
        return addr


def _parity(x: IntArray) -> IntArray:
    for shift in (32, 16, 8, 4, 2, 1):
        x = x ^ (x >> shift)
    return x & 1
