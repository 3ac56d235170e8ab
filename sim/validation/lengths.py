"""Lengths of the sequences of a measurement: most are equal, some benchmarks draw them.

A source states how they were drawn, not what was: the draws here have a seed of their own and, where the mean is
stated, that mean exactly, so that rates and times mean the bytes that the row states.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Lengths = Literal["equal", "normal", "up_to"]
DRAWN = "equal; normal: around the context with half of it as deviation; up_to: evenly, the longest is the context"
SEED = 0


def drawn_lengths(kind: Lengths, batch: int, context: int, q_len: int) -> tuple[int, ...]:
    """[batch] tokens, none shorter than the new ones; [0] when all have the whole context.

    `normal` is what FlashMLA's test draws (deviation half of the mean, cut at the new tokens), `up_to` what the
    decode benchmarks of vLLM and FlashInfer draw (1 to the longest, which the first sequence has).
    """
    if kind == "equal":
        return ()
    generator = np.random.default_rng(SEED)
    if kind == "up_to":
        drawn = generator.integers(q_len, context, batch, endpoint=True)
        drawn[0] = context
        return tuple(drawn.tolist())
    return _with_mean(np.maximum(generator.normal(context, context / 2, batch), q_len), context, q_len)


def _with_mean(drawn: NDArray[np.float64], mean: int, least: int) -> tuple[int, ...]:
    """Whole lengths whose mean is `mean`: what exceeds `least` is scaled, and the rest of rounding spread."""
    excess = drawn - least
    total = len(drawn) * (mean - least)
    bounds = np.rint(np.cumsum(excess) * (total / max(excess.sum(), 1.0)))
    return tuple(least + int(length) for length in np.diff(bounds, prepend=0.0))
