"""Score and mask modification in the manner of FlexAttention: small functions, combined, handed to attention.

A mask function says which keys stay: `mask(sequence, head, q_position, kv_position)`. A score function
changes logits that are scaled already: `score(score, sequence, head, q_position, kv_position)`. All arguments
are NumPy arrays that broadcast to [Hq, rows, keys]; positions count from the start of the sequence, so that
the same function serves prefill, chunked prefill and decode. Tiles that a mask hides from every row are not
read.

    mask = both(causal, sliding_window(4096))
    result = flex_attention(q, source, batch, mask_mod=mask, score_mod=soft_cap(30.0))
"""

import numpy as np

from kernels_ref.attention import Tiling, paged_attention
from kernels_ref.attention_options import (
    AttentionOptions,
    AttentionResult,
    Bools,
    Floats,
    Ints,
    MaskMod,
    RaggedBatch,
    ScoreMod,
)
from kernels_ref.attention_sources import KVSource


def flex_attention(
    q: Floats,
    source: KVSource,
    batch: RaggedBatch,
    *,
    mask_mod: MaskMod | None = None,
    score_mod: ScoreMod | None = None,
    scale: float | None = None,
    tiling: Tiling | None = None,
) -> AttentionResult:
    """Attention with nothing built in: no mask but `mask_mod`, `scale` 1/sqrt(D) unless given."""
    options = AttentionOptions(
        scale=q.shape[-1] ** -0.5 if scale is None else scale,
        causal=False,
        score_mod=score_mod,
        mask_mod=mask_mod,
    )
    return paged_attention(q, source, batch, options, tiling)


def causal(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
    """Keys up to the row's own position."""
    return kv_position <= q_position


def sliding_window(window: int, sink_tokens: int = 0) -> MaskMod:
    """The last `window` keys, and the first `sink_tokens` for ever."""

    def mask(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
        return (kv_position > q_position - window) | (kv_position < sink_tokens)

    return mask


def prefix_lm(prefix: Ints) -> MaskMod:
    """Causal, and every row sees the first `prefix[sequence]` keys."""

    def mask(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
        return (kv_position <= q_position) | (kv_position < int(prefix[sequence]))

    return mask


def documents(ids: list[Ints]) -> MaskMod:
    """Packed documents: `ids[sequence]` [kv_len] names the document of each position."""

    def mask(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
        of = ids[sequence]
        same: Bools = of[np.maximum(q_position, 0)] == of[kv_position]
        return same

    return mask


def both(*masks: MaskMod) -> MaskMod:
    """Keys that all masks keep."""

    def mask(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
        kept = np.ones(np.broadcast_shapes(head.shape, q_position.shape, kv_position.shape), dtype=bool)
        for one in masks:
            kept &= one(sequence, head, q_position, kv_position)
        return kept

    return mask


def either(*masks: MaskMod) -> MaskMod:
    """Keys that any mask keeps."""

    def mask(sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Bools:
        kept = np.zeros(np.broadcast_shapes(head.shape, q_position.shape, kv_position.shape), dtype=bool)
        for one in masks:
            kept |= one(sequence, head, q_position, kv_position)
        return kept

    return mask


def soft_cap(cap: float) -> ScoreMod:
    """cap * tanh(score / cap)."""

    def score(scores: Floats, sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Floats:
        capped: Floats = cap * np.tanh(scores / cap)
        return capped

    return score


def alibi(slopes: Floats) -> ScoreMod:
    """slope * (key - position), slopes [Hq]."""

    def score(scores: Floats, sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Floats:
        lowered: Floats = scores + slopes[head] * (kv_position - q_position)
        return lowered

    return score


def in_turn(*mods: ScoreMod) -> ScoreMod:
    """Score functions one after another."""

    def score(scores: Floats, sequence: int, head: Ints, q_position: Ints, kv_position: Ints) -> Floats:
        for mod in mods:
            scores = mod(scores, sequence, head, q_position, kv_position)
        return scores

    return score
