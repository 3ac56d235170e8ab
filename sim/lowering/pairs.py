"""Pairs of CTAs that share their tiles: MMA over two SMs (PTX ISA, tcgen05 with cta_group::2).

Two neighbouring query blocks of a head attend to the same tokens, those of the later one. Each CTA holds and loads one
half of K and V; its tensor core takes the other half from its partner. In FlashAttention-4 (source,
sm100_hd256_2cta_fmha_forward.py) K is halved by tokens and V by values; here both are halved by tokens, which is as
many bytes. The partners' waits for each other are not modelled.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.lowering.runs import TileSpan

Int64 = NDArray[np.int64]


def pair_end(q_block: Int64, block_tokens: int, q_len: Int64) -> Int64:
    """[C] new tokens of the sequence up to the end of the pair that a query block belongs to."""
    return np.minimum((q_block // 2 + 1) * 2 * block_tokens, q_len)


def half_span(span: TileSpan, half: Int64) -> TileSpan:
    """What one CTA of a pair loads of its tiles: the first (0) or the second half of the tokens, one at least."""
    middle = span.lo + (span.hi - span.lo + 1) // 2
    lo = np.where(half == 0, span.lo, np.minimum(middle, np.maximum(span.lo, span.hi - 1)))
    return replace(span, lo=lo, hi=np.where(half == 0, middle, span.hi))
