"""Cascade attention: the shared prefix once for all rows, each suffix on its own, then a merge by lse.

FlashInfer's cascade and Hydragen: the prefix part is one dense product for all sequences that share it, so
its keys are read once; the merge is the split-KV merge.
"""

import numpy as np

from kernels_ref.attention import Tiling, attend_range
from kernels_ref.attention_options import AttentionOptions, AttentionResult, Floats, RaggedBatch
from kernels_ref.attention_sources import KVSource
from kernels_ref.attention_state import merge_results, merge_sink, normalise
from kernels_ref.errors import InputError


def range_attention(
    q: Floats,
    source: KVSource,
    batch: RaggedBatch,
    options: AttentionOptions,
    first: int,
    last: int | None = None,
) -> AttentionResult:
    """Normalised partial over the keys first .. last-1 of every sequence (None: to its end), no sinks."""
    heads = q.shape[1]
    parts = [AttentionResult(np.zeros((0, heads, source.value_dim)), np.zeros((0, heads)))]
    for seq in batch.sequences():
        end = seq.kv_len if last is None else min(last, seq.kv_len)
        parts.append(normalise(attend_range(q[seq.rows], source, seq, options, Tiling(), first, end)))
    return AttentionResult(np.concatenate([p.out for p in parts]), np.concatenate([p.lse for p in parts]))


def cascade_attention(
    q: Floats, source: KVSource, batch: RaggedBatch, options: AttentionOptions, prefix_len: int
) -> tuple[AttentionResult, AttentionResult, AttentionResult]:
    """Prefix part, suffix part and their merge. Raises InputError for a negative prefix."""
    if prefix_len < 0:
        raise InputError(f"prefix_len {prefix_len}; allowed: 0 and more")
    prefix = range_attention(q, source, batch, options, 0, prefix_len)
    suffix = range_attention(q, source, batch, options, prefix_len)
    merged = merge_results(np.stack([prefix.out, suffix.out]), np.stack([prefix.lse, suffix.lse]))
    return prefix, suffix, merge_sink(merged, options.sink_logit)
