"""Random paged batches with everything unused poisoned."""

import numpy as np

from kernels_ref.attention_options import RaggedBatch
from kernels_ref.attention_sources import PagedKV


def make_batch(kv_lens, q_lens, block_size=16, heads=4, kv_heads=2, dim=16, seed=0, loudness=1.0, freed=None):
    """(q, source, batch): shuffled blocks; slots past kv_len and unreferenced blocks are NaN.

    `freed[s]` tokens at the start of a sequence have no block any more (table entry -1).
    """
    rng = np.random.default_rng(seed)
    kv_lens, q_lens = np.asarray(kv_lens), np.asarray(q_lens)
    pages = -(-kv_lens // block_size)
    order = rng.permutation(int(pages.sum()) + 2)
    k = np.full((len(order), block_size, kv_heads, dim), np.nan)
    v = np.full((len(order), block_size, kv_heads, dim), np.nan)
    tables = np.full((len(kv_lens), max(int(pages.max(initial=1)), 1)), -1)
    used = 0
    for s, (length, count) in enumerate(zip(kv_lens.tolist(), pages.tolist(), strict=True)):
        tables[s, :count] = order[used : used + count]
        used += count
        for cache in (k, v):
            tokens = np.arange(length)
            block = tables[s, tokens // block_size]
            cache[block, tokens % block_size] = rng.standard_normal((length, kv_heads, dim))
        if freed is not None:
            gone = int(freed[s]) // block_size
            k[tables[s, :gone]] = v[tables[s, :gone]] = np.nan
            tables[s, :gone] = -1
    q = loudness * rng.standard_normal((int(q_lens.sum()), heads, dim))
    return q, PagedKV(k, v, tables), RaggedBatch(q_lens, kv_lens)
