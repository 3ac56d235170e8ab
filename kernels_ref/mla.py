"""Multi-head latent attention (DeepSeek-V2): one compressed KV vector and one rotary key per token.

The cache holds latent [blocks, block_size, R + P]: R compressed values, then the P rotary key values that all
heads share. Two equal ways to compute: *absorbed* moves the key up-projection into the query, so that the
latent itself is key and value of a single KV head; *expanded* builds keys and values for every head.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import Floats, Ints
from kernels_ref.attention_sources import BlockTable, Tokens
from kernels_ref.errors import InputError


@dataclass(frozen=True)
class LatentKV:
    """The latent as one KV head: key is the whole vector [R + P], value its first R entries."""

    latent_cache: NDArray[Any]
    block_tables: Ints
    rank: int

    @property
    def kv_heads(self) -> int:
        return 1

    @property
    def block_size(self) -> int:
        return int(self.latent_cache.shape[1])

    @property
    def value_dim(self) -> int:
        return self.rank

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]:
        table = BlockTable(self.block_tables, self.block_size, self.latent_cache.shape[0])
        block, slot = table.slots(sequence, tokens)
        latent = self.latent_cache[block, slot].astype(np.float64)[:, None, :]
        return latent, latent[..., : self.rank]


@dataclass(frozen=True)
class ExpandedKV:
    """Keys and values of every head, built from the latent when read.

    `w_uk` [H, nope, R] and `w_uv` [H, R, Dv] are the up-projections; the key is [nope, rotary].
    """

    latent: LatentKV
    w_uk: NDArray[Any]
    w_uv: NDArray[Any]

    @property
    def kv_heads(self) -> int:
        return int(self.w_uk.shape[0])

    @property
    def block_size(self) -> int:
        return self.latent.block_size

    @property
    def value_dim(self) -> int:
        return int(self.w_uv.shape[2])

    def read(self, sequence: int, tokens: Tokens) -> tuple[Floats, Floats]:
        key, compressed = self.latent.read(sequence, tokens)
        nope = np.einsum("tr,hdr->thd", compressed[:, 0], self.w_uk.astype(np.float64))
        rotary = np.broadcast_to(
            key[..., self.latent.rank :], (*nope.shape[:2], key.shape[2] - self.latent.rank)
        )
        values = np.einsum("tr,hrd->thd", compressed[:, 0], self.w_uv.astype(np.float64))
        return np.concatenate([nope, rotary], axis=-1), values


def absorbed_queries(q_nope: Floats, q_pe: Floats, w_uk: Floats) -> Floats:
    """Queries against the latent, [rows, H, R + P]. Raises InputError if the projections do not fit."""
    if q_nope.shape[1:] != w_uk.shape[:2]:
        raise InputError(
            f"q_nope {q_nope.shape} does not fit w_uk {w_uk.shape}; allowed: [rows, H, N] and [H, N, R]"
        )
    absorbed = np.einsum("shd,hdr->shr", q_nope.astype(np.float64), w_uk.astype(np.float64))
    return np.concatenate([absorbed, q_pe.astype(np.float64)], axis=-1)


def project_values(latent_out: Floats, w_uv: Floats) -> Floats:
    """The value up-projection after attention: [rows, H, R] -> [rows, H, Dv]."""
    product: Floats = np.einsum("shr,hrd->shd", latent_out, w_uv.astype(np.float64))
    return product
