"""The dense float64 oracle: every logit of every row, one explicit softmax, no tiles, no running state.

It shares with the paged kernel the options and the source, nothing else: masks are built row by row from the
documented rules, so that a mistake in the tiled masks shows as a difference.
"""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import (
    AttentionOptions,
    AttentionResult,
    Bools,
    Floats,
    RaggedBatch,
    Sequence,
)
from kernels_ref.attention_sources import KVSource


def dense_attention(
    q: Floats, source: KVSource, batch: RaggedBatch, options: AttentionOptions
) -> AttentionResult:
    """Attention of q [sum(q_lens), Hq, D] in float64; see AttentionOptions for the conventions."""
    heads = q.shape[1]
    out = np.zeros((batch.rows, heads, source.value_dim))
    lse = np.full((batch.rows, heads), -np.inf)
    for seq in batch.sequences():
        if seq.q_len == 0:
            continue
        seen = dense_mask(options, seq, heads)
        keys = np.flatnonzero(seen.any(axis=(0, 1)))
        k, v = source.read(seq.index, keys)
        group = heads // source.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        raw = np.einsum("rhd,khd->hrk", q[seq.rows].astype(np.float64), k)
        logits = dense_logits(options, seq, raw, keys)
        probabilities, row_lse = softmax(np.where(seen[:, :, keys], logits, -np.inf), options.sink_logit)
        out[seq.rows] = np.einsum("hrk,khd->rhd", probabilities, v)
        lse[seq.rows] = row_lse.T
    return AttentionResult(out, lse)


def dense_mask(options: AttentionOptions, seq: Sequence, heads: int) -> Bools:
    """[heads, q_len, kv_len], one row at a time."""
    seen = np.ones((heads, seq.q_len, seq.kv_len), dtype=bool)
    for row in range(seq.q_len):
        position = seq.kv_len - seq.q_len + row
        line = seen[:, row]
        if options.tree_mask is not None:
            tree = options.tree_mask[seq.index][row, : seq.q_len].astype(bool)
            line[:, max(seq.kv_len - seq.q_len, 0) :] = tree[max(seq.q_len - seq.kv_len, 0) :]
        elif options.causal:
            line[:, max(position + 1, 0) :] = False
        if options.window > 0:
            line[:, max(position + 1, options.sink_tokens, 0) :] = False
            line[:, options.sink_tokens : max(position - options.window + 1, options.sink_tokens)] = False
        if options.leftpad is not None:
            line[:, : int(options.leftpad[seq.index])] = False
    if options.mask_mod is not None:
        head, position_of_row, key = (np.arange(n) for n in seen.shape)
        rows = (seq.kv_len - seq.q_len + position_of_row)[None, :, None]
        seen &= options.mask_mod(seq.index, head[:, None, None], rows, key[None, None, :])
    return seen


def dense_logits(options: AttentionOptions, seq: Sequence, raw: Floats, keys: NDArray[np.int64]) -> Floats:
    logits = options.scale * raw
    if options.softcap > 0:
        logits = options.softcap * np.tanh(logits / options.softcap)
    rows = np.arange(seq.kv_len - seq.q_len, seq.kv_len)
    distance = keys[None, :] - rows[:, None]
    if options.alibi_slopes is not None:
        logits = logits + options.alibi_slopes.astype(np.float64)[:, None, None] * distance
    if options.score_mod is not None:
        head = np.arange(raw.shape[0])[:, None, None]
        logits = options.score_mod(logits, seq.index, head, rows[None, :, None], keys[None, None, :])
    return logits


def softmax(logits: Floats, sink_logit: Floats | None) -> tuple[Floats, Floats]:
    """Probabilities [H, rows, keys] and lse [H, rows]; a sink logit is one more key without a value."""
    columns = logits
    if sink_logit is not None:
        sink = np.broadcast_to(sink_logit.astype(np.float64)[:, None, None], (*logits.shape[:2], 1))
        columns = np.concatenate([logits, sink], axis=-1)
    top = columns.max(axis=-1, keepdims=True, initial=-np.inf)
    top = np.where(np.isneginf(top), 0.0, top)
    weights = np.exp(columns - top)
    total = weights.sum(axis=-1, keepdims=True)
    safe = np.where(total == 0, 1.0, total)
    lse = np.where(total == 0, -np.inf, top + np.log(safe))
    return weights[..., : logits.shape[-1]] / safe, lse[..., 0]
