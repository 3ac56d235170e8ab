"""Sources that dequantise on read: the caches hold codes, and attention sees code values times scales.

`ScaledKV` serves FP8 and INT8 at any granularity: scales (and zero points) broadcast over [block, slot, head,
dim]. `GroupwiseKV` is the KIVI layout: K scaled per channel over groups of tokens, V per token over groups of
channels, the newest tokens left in float16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import Floats, Ints
from kernels_ref.attention_sources import BlockTable, Tokens
from kernels_ref.codecs.packing import unpack
from kernels_ref.codecs.rules import affine_values


@dataclass(frozen=True)
class ScaledCache:
    """One cache of codes [blocks, block_size, Hkv, D]; `value` turns codes into unscaled numbers."""

    codes: NDArray[Any]
    scale: NDArray[Any]
    zero: NDArray[Any] | None
    value: Callable[[NDArray[Any]], NDArray[Any]]

    def read(self, block: Tokens, slot: Tokens) -> Floats:
        values = self.value(self.codes[block, slot]).astype(np.float64)
        if self.zero is not None:
            values = values - self._at(self.zero, block, slot)
        return values * self._at(self.scale, block, slot)

    def _at(self, parameter: NDArray[Any], block: Tokens, slot: Tokens) -> Floats:
        shape = (*self.codes.shape[:2], *parameter.shape[2:])
        return np.broadcast_to(parameter, shape)[block, slot].astype(np.float64)


@dataclass(frozen=True)
class ScaledKV:
    k: ScaledCache
    v: ScaledCache
    block_tables: Ints

    @property
    def kv_heads(self) -> int:
        return int(self.k.codes.shape[2])

    @property
    def block_size(self) -> int:
        return int(self.k.codes.shape[1])

    @property
    def value_dim(self) -> int:
        return int(self.v.codes.shape[3])

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]:
        table = BlockTable(self.block_tables, self.block_size, self.k.codes.shape[0])
        block, slot = table.slots(sequence, tokens)
        return self.k.read(block, slot), self.v.read(block, slot)


@dataclass(frozen=True)
class Groupwise:
    """Packed codes and their scale and zero; K: [sequence, token group, Hkv, D], V: [.., Hkv, D / group]."""

    codes: NDArray[np.uint8]
    scale: NDArray[Any]
    zero: NDArray[Any]
    residual: NDArray[Any]


@dataclass(frozen=True)
class GroupwiseKV:
    """INT4 (or narrower) KIVI caches; tokens from `quantised_tokens[s]` on are read from the residual."""

    k: Groupwise
    v: Groupwise
    block_tables: Ints
    quantised_tokens: Ints
    group: int
    bits: int

    @property
    def kv_heads(self) -> int:
        return int(self.k.codes.shape[2])

    @property
    def block_size(self) -> int:
        return int(self.k.codes.shape[1])

    @property
    def value_dim(self) -> int:
        return int(self.v.residual.shape[3])

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]:
        table = BlockTable(self.block_tables, self.block_size, self.k.codes.shape[0])
        block, slot = table.slots(sequence, tokens)
        old = tokens < int(self.quantised_tokens[sequence])
        k = np.empty((tokens.size, *self.k.residual.shape[2:]))
        v = np.empty((tokens.size, *self.v.residual.shape[2:]))
        k[~old] = self.k.residual[block[~old], slot[~old]]
        v[~old] = self.v.residual[block[~old], slot[~old]]
        k[old] = self._keys(sequence, tokens[old], block[old], slot[old])
        v[old] = self._values(block[old], slot[old])
        return k, v

    def _keys(self, sequence: int, tokens: Tokens, block: Tokens, slot: Tokens) -> Floats:
        group = tokens // self.group
        codes = unpack(self.k.codes[block, slot], self.bits)
        return affine_values(codes, self.k.scale[sequence, group], self.k.zero[sequence, group])

    def _values(self, block: Tokens, slot: Tokens) -> Floats:
        codes = unpack(self.v.codes[block, slot], self.bits)
        scale = np.repeat(self.v.scale[block, slot], self.group, axis=-1)
        zero = np.repeat(self.v.zero[block, slot], self.group, axis=-1)
        return affine_values(codes, scale, zero)
