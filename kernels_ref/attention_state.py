"""The state of an online softmax: running maximum, denominator and weighted sum, and how partials merge.

Milakov and Gimelshein 2018 (online normaliser), as FlashAttention uses it. A partial that has seen nothing is
(m, l, acc) = (-inf, 0, 0), which is the neutral element of `absorb`, so empty splits need no special case.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels_ref.attention_options import AttentionResult, Bools, Floats


@dataclass
class SoftmaxState:
    """Maximum `m` and denominator `l` [Hq, rows], weighted sum `acc` [Hq, rows, Dv]."""

    m: Floats
    l: Floats  # noqa: E741  the letter that the literature uses
    acc: Floats

    @classmethod
    def empty(cls, heads: int, rows: int, dim: int, dtype: DTypeLike = np.float64) -> "SoftmaxState":
        return cls(
            np.full((heads, rows), -np.inf, dtype),
            np.zeros((heads, rows), dtype),
            np.zeros((heads, rows, dim), dtype),
        )

    def update(self, scores: Floats, seen: Bools | None, values: Floats) -> None:
        """Take in one tile: `scores` [Hq, rows, T] where `seen` (None: everywhere), `values` [Hkv, T, Dv].

        Hidden scores may hold anything: they are selected away, never multiplied by zero.
        """
        if seen is not None:
            scores = np.where(seen, scores, -np.inf)
        scores = scores.astype(self.m.dtype, copy=False)
        top = np.maximum(self.m, scores.max(axis=-1, initial=-np.inf))
        shift = np.where(np.isneginf(top), 0.0, top).astype(self.m.dtype)
        weights = np.exp(scores - shift[..., None])
        decay = np.exp(self.m - shift)
        self.l = self.l * decay + weights.sum(axis=-1)
        self.acc = self.acc * decay[..., None] + grouped_matmul(weights, values)
        self.m = top

    def absorb(self, other: "SoftmaxState") -> None:
        """Merge another partial over different keys of the same rows."""
        top = np.maximum(self.m, other.m)
        shift = np.where(np.isneginf(top), 0.0, top).astype(self.m.dtype)
        mine, theirs = np.exp(self.m - shift), np.exp(other.m - shift)
        self.l = self.l * mine + other.l * theirs
        self.acc = self.acc * mine[..., None] + other.acc * theirs[..., None]
        self.m = top

    def finish(self, sink_logit: Floats | None = None) -> AttentionResult:
        """Normalise. A sink logit [Hq] adds exp(sink) to the denominator and nothing to the sum."""
        return merge_sink(normalise(self), sink_logit)


def grouped_matmul(weights: Floats, values: Floats) -> Floats:
    """[Hq, rows, T] @ [Hkv, T, Dv] where query head h uses KV head h // (Hq / Hkv)."""
    heads, rows, tokens = weights.shape
    kv_heads = values.shape[0]
    packed = weights.reshape(kv_heads, heads // kv_heads * rows, tokens)
    product: Floats = packed @ values
    return product.reshape(heads, rows, values.shape[-1])


def normalise(state: SoftmaxState) -> AttentionResult:
    empty = state.l == 0
    divisor = np.where(empty, 1.0, state.l).astype(state.l.dtype)
    lse = np.where(empty, -np.inf, state.m + np.log(divisor))
    out = np.where(empty[..., None], 0.0, state.acc / divisor[..., None])
    return AttentionResult(out.swapaxes(0, 1), lse.T)


def merge_sink(result: AttentionResult, sink_logit: Floats | None) -> AttentionResult:
    if sink_logit is None:
        return result
    sink = np.broadcast_to(sink_logit.astype(result.lse.dtype), result.lse.shape)
    lse = np.logaddexp(result.lse, sink)
    # A row that sees nothing keeps its output of 0; its difference of lse may be inf - inf.
    gap = np.zeros_like(lse)
    np.subtract(result.lse, lse, out=gap, where=~np.isneginf(result.lse))
    return AttentionResult(result.out * np.exp(gap)[..., None], lse)


def merge_results(outs: NDArray[Any], lses: NDArray[Any]) -> AttentionResult:
    """Merge normalised partials, `outs` [parts, rows, Hq, Dv] and `lses` [parts, rows, Hq], in float64."""
    top = lses.max(axis=0)
    shift = np.where(np.isneginf(top), 0.0, top)
    weights = np.exp(lses - shift)
    total = weights.sum(axis=0)
    empty = total == 0
    safe = np.where(empty, 1.0, total)
    out = (outs * weights[..., None]).sum(axis=0) / safe[..., None]
    return AttentionResult(out, np.where(empty, -np.inf, shift + np.log(safe)))
