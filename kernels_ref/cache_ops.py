"""Moving KV data: write through a slot mapping, copy blocks, swap to and from host blocks, gather.

Every function returns new arrays and leaves its inputs alone. Caches are [blocks, block_size, ...] of any
type; bits are moved, never converted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import Ints
from kernels_ref.attention_sources import BlockTable
from kernels_ref.errors import InputError

Cache = NDArray[Any]
SKIP = -1
"""A slot of -1 means that the token is not written (padding, or already cached)."""


def slot_mapping(block_tables: Ints, q_lens: Ints, kv_lens: Ints, block_size: int, blocks: int) -> Ints:
    """Flat slot of each new token: block * block_size + offset, sequences one after another."""
    table = BlockTable(block_tables, block_size, blocks)
    slots = []
    for index, (q_len, kv_len) in enumerate(zip(q_lens.tolist(), kv_lens.tolist(), strict=True)):
        block, slot = table.slots(index, np.arange(kv_len - q_len, kv_len, dtype=np.int64))
        slots.append(block * block_size + slot)
    return np.concatenate(slots) if slots else np.zeros(0, np.int64)


def write(cache: Cache, new: Cache, slots: Ints) -> Cache:
    """Put new [tokens, ...] at flat slots of the cache; -1 skips a token."""
    if new.shape[0] != slots.shape[0] or new.shape[1:] != cache.shape[2:]:
        raise InputError(f"new tokens {new.shape} do not fit {slots.shape[0]} slots of a cache {cache.shape}")
    flat = cache.reshape(-1, *cache.shape[2:]).copy()
    kept = slots != SKIP
    _within(slots[kept], flat.shape[0], "slot_mapping")
    flat[slots[kept]] = new[kept].astype(cache.dtype, copy=False)
    return flat.reshape(cache.shape)


def copy_blocks(cache: Cache, pairs: Ints) -> Cache:
    """Copy block to block, [n, 2] of (source, destination), in the order given."""
    _within(pairs, cache.shape[0], "copies")
    copied = cache.copy()
    for source, destination in pairs.tolist():
        copied[destination] = copied[source]
    return copied


def swap_blocks(source: Cache, destination: Cache, pairs: Ints) -> Cache:
    """The destination cache after the pairs (source block, destination block) have been copied into it."""
    _within(pairs[:, 0], source.shape[0], "swap source")
    _within(pairs[:, 1], destination.shape[0], "swap destination")
    moved = destination.copy()
    moved[pairs[:, 1]] = source[pairs[:, 0]]
    return moved


def gather(cache: Cache, block_tables: Ints, kv_lens: Ints) -> Cache:
    """The tokens of all sequences one after another, [sum(kv_lens), ...]."""
    table = BlockTable(block_tables, cache.shape[1], cache.shape[0])
    parts = [cache[:0, 0]]
    for index, kv_len in enumerate(kv_lens.tolist()):
        block, slot = table.slots(index, np.arange(kv_len, dtype=np.int64))
        parts.append(cache[block, slot])
    return np.concatenate(parts)


def _within(indices: Ints, size: int, what: str) -> None:
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= size):
        wrong = indices[(indices < 0) | (indices >= size)].ravel()[0]
        raise InputError(f"{what}: index {int(wrong)}; allowed: 0 to {size - 1}")
