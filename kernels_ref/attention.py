"""Paged, tiled attention with an online softmax, in the order that the timing model uses.

A sequence's keys are cut into splits (whole blocks), a split into tiles; each tile is read through the block
table, scored, and folded into the split's running state; the splits' states are merged at the end
(FlashAttention-2, FlashDecoding). Any tile order gives the same answer up to the order of summation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels_ref.attention_options import AttentionOptions, AttentionResult, Floats, RaggedBatch, Sequence
from kernels_ref.attention_scores import modify_scores, visible
from kernels_ref.attention_sources import KVSource
from kernels_ref.attention_state import SoftmaxState
from kernels_ref.errors import InputError

TileOrder = Callable[[int], "NDArray[np.int64]"]
"""The order in which n tiles of a split are consumed: a permutation of range(n)."""


def forward(tiles: int) -> NDArray[np.int64]:
    return np.arange(tiles)


def backward(tiles: int) -> NDArray[np.int64]:
    return np.arange(tiles)[::-1]


def shuffled(seed: int) -> TileOrder:
    """A seeded random order, as completions out of order would give."""

    def order(tiles: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, tiles]).permutation(tiles)

    return order


@dataclass(frozen=True)
class Tiling:
    """How keys are cut: `tile_tokens` (0: one block), `splits` per sequence, the order, the arithmetic."""

    tile_tokens: int = 0
    splits: int = 1
    order: TileOrder = forward
    dtype: DTypeLike = np.float64


def paged_attention(
    q: Floats,
    source: KVSource,
    batch: RaggedBatch,
    options: AttentionOptions,
    tiling: Tiling | None = None,
) -> AttentionResult:
    """Attention of q [sum(q_lens), Hq, D] over a paged source. Raises InputError if shapes do not fit."""
    parts = paged_partials(q, source, batch, options, tiling)
    out, lse = [], []
    for states in parts:
        total = states[0]
        for state in states[1:]:
            total.absorb(state)
        result = total.finish(options.sink_logit)
        out.append(result.out)
        lse.append(result.lse)
    if not out:
        empty = np.zeros((0, q.shape[1], source.value_dim))
        return AttentionResult(empty, np.zeros((0, q.shape[1])))
    return AttentionResult(np.concatenate(out), np.concatenate(lse))


def paged_partials(
    q: Floats,
    source: KVSource,
    batch: RaggedBatch,
    options: AttentionOptions,
    tiling: Tiling | None = None,
) -> list[list[SoftmaxState]]:
    """The unmerged state of each split of each sequence, [sequences][splits]."""
    tiling = tiling or Tiling()
    _check(q, source, batch, tiling)
    return [
        [
            attend_range(q[seq.rows], source, seq, options, tiling, *bounds)
            for bounds in split_bounds(seq.kv_len, source.block_size, tiling.splits)
        ]
        for seq in batch.sequences()
    ]


def split_bounds(kv_len: int, block_size: int, splits: int) -> Iterator[tuple[int, int]]:
    """Split i covers blocks [i*p, (i+1)*p) with p = ceil(blocks / splits): token bounds, possibly empty."""
    blocks = -(-kv_len // block_size)
    per_split = -(-blocks // splits)
    for split in range(splits):
        start = min(split * per_split * block_size, kv_len)
        yield start, min((split + 1) * per_split * block_size, kv_len)


def attend_range(
    rows: Floats,
    source: KVSource,
    seq: Sequence,
    options: AttentionOptions,
    tiling: Tiling,
    first: int,
    last: int,
) -> SoftmaxState:
    """State of one sequence's rows [q_len, Hq, D] after the keys first .. last-1, tile by tile."""
    dtype = np.dtype(tiling.dtype)
    queries = rows.astype(dtype).swapaxes(0, 1)
    state = SoftmaxState.empty(rows.shape[1], seq.q_len, source.value_dim, dtype)
    step = tiling.tile_tokens or source.block_size
    tiles = -(-max(last - first, 0) // step)
    for tile in tiling.order(tiles).tolist():
        keys = np.arange(first + tile * step, min(first + (tile + 1) * step, last))
        consume_tile(state, queries, source, seq, options, keys)
    return state


def consume_tile(
    state: SoftmaxState,
    queries: Floats,
    source: KVSource,
    seq: Sequence,
    options: AttentionOptions,
    keys: NDArray[np.int64],
) -> None:
    """Fold one tile in. Only keys that some row sees are read: a tile that nobody sees costs nothing."""
    seen = visible(options, seq, queries.shape[0], keys)
    wanted = seen.any(axis=(0, 1))
    if not wanted.any():
        return
    keys, seen = keys[wanted], seen[..., wanted]
    k, v = source.read(seq.index, keys)
    k = k.astype(state.m.dtype, copy=False).swapaxes(0, 1)
    v = v.astype(state.m.dtype, copy=False).swapaxes(0, 1)
    scores = modify_scores(options, seq, grouped_scores(queries, k), keys)
    state.update(scores, seen, v)


def grouped_scores(queries: Floats, k: Floats) -> Floats:
    """[Hq, rows, D] x [Hkv, T, D] -> q.k [Hq, rows, T], query head h with KV head h // (Hq / Hkv)."""
    heads, rows, dim = queries.shape
    kv_heads, tokens, _ = k.shape
    packed = queries.reshape(kv_heads, heads // kv_heads * rows, dim)
    product: Floats = packed @ k.swapaxes(1, 2)
    return product.reshape(heads, rows, tokens)


def _check(q: Floats, source: KVSource, batch: RaggedBatch, tiling: Tiling) -> None:
    if q.ndim != 3 or q.shape[0] != batch.rows:
        raise InputError(f"q has shape {q.shape}; allowed: [{batch.rows} (the sum of q_lens), Hq, D]")
    if q.shape[1] % source.kv_heads:
        raise InputError(f"{q.shape[1]} query heads are not a multiple of {source.kv_heads} KV heads")
    if tiling.splits < 1 or tiling.tile_tokens < 0:
        raise InputError(
            f"splits {tiling.splits}, tile_tokens {tiling.tile_tokens}; allowed: 1 and more, 0 and more"
        )
