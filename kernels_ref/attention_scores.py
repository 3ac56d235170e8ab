"""Which keys a row sees and what their logits are, for any set of keys: the part that tiles share."""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import AttentionOptions, Bools, Floats, Sequence


def visible(options: AttentionOptions, seq: Sequence, heads: int, keys: NDArray[np.int64]) -> Bools:
    """[heads or 1, q_len, keys]: True where the row at its position sees the key."""
    position = seq.positions[:, None]
    key = keys[None, :]
    seen = np.broadcast_to(key < seq.kv_len, (seq.q_len, keys.size))
    if options.tree_mask is not None:
        seen = seen & tree_visible(options.tree_mask[seq.index], seq, keys)
    elif options.causal:
        seen = seen & (key <= position)
    if options.window > 0:
        in_window = (key > position - options.window) & (key <= position)
        seen = seen & (in_window | (key < options.sink_tokens))
    if options.leftpad is not None:
        seen = seen & (key >= int(options.leftpad[seq.index]))
    if options.mask_mod is None:
        return seen[None]
    head = np.arange(heads)[:, None, None]
    return seen[None] & options.mask_mod(seq.index, head, position[None], key[None])


def tree_visible(tree: NDArray[np.uint8], seq: Sequence, keys: NDArray[np.int64]) -> Bools:
    """Keys before the new tokens are visible; among the new tokens tree[row, column] decides."""
    column = keys - (seq.kv_len - seq.q_len)
    new = (column >= 0) & (column < seq.q_len)
    seen = np.broadcast_to(column < 0, (seq.q_len, keys.size)).copy()
    seen[:, new] = tree[: seq.q_len, column[new]] != 0
    return seen


def modify_scores(options: AttentionOptions, seq: Sequence, raw: Floats, keys: NDArray[np.int64]) -> Floats:
    """Logits from q.k products [Hq, q_len, keys], in the documented order."""
    scores: Floats = raw * raw.dtype.type(options.scale)
    if options.softcap > 0:
        scores = options.softcap * np.tanh(scores / options.softcap)
    position = seq.positions[None, :, None]
    key = keys[None, None, :]
    if options.alibi_slopes is not None:
        slopes = options.alibi_slopes.astype(scores.dtype)[:, None, None]
        scores = scores + slopes * (key - position).astype(scores.dtype)
    if options.score_mod is not None:
        head = np.arange(scores.shape[0])[:, None, None]
        scores = options.score_mod(scores, seq.index, head, position, key)
    return scores
