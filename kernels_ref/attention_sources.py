"""Where a tile's keys and values come from: a paged cache behind a block table, read token by token.

A source hands out only the tokens it is asked for. Kernels ask only for tokens that some row sees, so slots
past kv_len, freed window blocks and padding may hold anything, NaN included.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import Floats, Ints
from kernels_ref.errors import InputError

Tokens = NDArray[np.int64]


class KVSource(Protocol):
    """Keys [T, Hkv, D] and values [T, Hkv, Dv] of given token indices of one sequence, as float64."""

    @property
    def kv_heads(self) -> int: ...

    @property
    def block_size(self) -> int: ...

    @property
    def value_dim(self) -> int: ...

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True)
class BlockTable:
    """Physical block of each logical block, [sequences, max_blocks], -1 where there is none."""

    entries: Ints
    block_size: int
    blocks: int

    def slots(self, sequence: int, tokens: Tokens) -> tuple[Tokens, Tokens]:
        """Physical block and slot in it of each token. Raises InputError for a token that has no block."""
        logical = tokens // self.block_size
        if tokens.size and int(logical.max()) >= self.entries.shape[1]:
            raise InputError(
                f"block_tables: sequence {sequence}: token {int(tokens.max())} is past the table's end"
            )
        physical = self.entries[sequence, logical].astype(np.int64)
        if physical.size and (int(physical.min()) < 0 or int(physical.max()) >= self.blocks):
            wrong = int(np.argmax((physical < 0) | (physical >= self.blocks)))
            raise InputError(
                f"block_tables: sequence {sequence}: block {int(logical[wrong])} is {int(physical[wrong])}; "
                f"allowed: 0 to {self.blocks - 1}"
            )
        return physical, tokens % self.block_size


@dataclass(frozen=True)
class PagedKV:
    """K and V caches [blocks, block_size, Hkv, D] in a floating type, behind one block table."""

    k_cache: NDArray[Any]
    v_cache: NDArray[Any]
    block_tables: Ints

    @property
    def kv_heads(self) -> int:
        return int(self.k_cache.shape[2])

    @property
    def block_size(self) -> int:
        return int(self.k_cache.shape[1])

    @property
    def value_dim(self) -> int:
        return int(self.v_cache.shape[3])

    @property
    def table(self) -> BlockTable:
        return BlockTable(self.block_tables, self.block_size, self.k_cache.shape[0])

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]:
        block, slot = self.table.slots(sequence, tokens)
        return self.k_cache[block, slot].astype(np.float64), self.v_cache[block, slot].astype(np.float64)
