"""What an attention call may ask for, and the ragged batch that it runs on.

The conventions are those of the stored cases: row r of a sequence is at position kv_len - q_len + r (causal,
bottom-right aligned); a window W sees position-W+1 .. position; logits = scale * (q.k), then the soft cap
c*tanh(x/c), then ALiBi slope*(key - position), then the user's score function.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

ScoreMod = Callable[[Floats, int, Ints, Ints, Ints], Floats]
"""score(score, sequence, head, q_position, kv_position): arrays that broadcast to [Hq, q_len, keys]."""

MaskMod = Callable[[int, Ints, Ints, Ints], Bools]
"""visible(sequence, head, q_position, kv_position), broadcast as above; True keeps the key."""


@dataclass(frozen=True)
class AttentionOptions:
    """Options of one attention call; the defaults are plain causal attention with scale 1.

    `window` counts visible keys (-1: unlimited); `softcap` 0 means none; `alibi_slopes` and `sink_logit` are
    [Hq]; `leftpad` is [sequences]; `tree_mask` is [sequences, rows, columns] over the new tokens and replaces
    the causal rule. `score_mod` and `mask_mod` are user functions in the manner of FlexAttention, called with
    absolute positions, once per tile.
    """

    scale: float = 1.0
    causal: bool = True
    window: int = -1
    sink_tokens: int = 0
    softcap: float = 0.0
    alibi_slopes: Floats | None = None
    leftpad: Ints | None = None
    sink_logit: Floats | None = None
    tree_mask: NDArray[Any] | None = None
    score_mod: ScoreMod | None = field(default=None, compare=False)
    mask_mod: MaskMod | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Sequence:
    """One sequence of a ragged batch: its index, its rows in q, and how many keys it sees."""

    index: int
    q_start: int
    q_len: int
    kv_len: int

    @property
    def rows(self) -> slice:
        return slice(self.q_start, self.q_start + self.q_len)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position of each row, [q_len]; negative where there are more rows than keys."""
        return np.arange(self.kv_len - self.q_len, self.kv_len, dtype=np.int64)


@dataclass(frozen=True)
class RaggedBatch:
    """Lengths of the sequences whose query rows lie one after another in q [sum(q_lens), Hq, D]."""

    q_lens: Ints
    kv_lens: Ints

    def __post_init__(self) -> None:
        if self.q_lens.shape != self.kv_lens.shape or self.q_lens.ndim != 1:
            raise InputError(
                f"q_lens {self.q_lens.shape} and kv_lens {self.kv_lens.shape} must be equal vectors"
            )
        if self.q_lens.size and min(int(self.q_lens.min()), int(self.kv_lens.min())) < 0:
            raise InputError("q_lens, kv_lens: negative length found; allowed: 0 and more")

    @property
    def rows(self) -> int:
        return int(self.q_lens.sum())

    def sequences(self) -> Iterator[Sequence]:
        start = 0
        for index, (q_len, kv_len) in enumerate(
            zip(self.q_lens.tolist(), self.kv_lens.tolist(), strict=True)
        ):
            yield Sequence(index, start, q_len, kv_len)
            start += q_len


@dataclass(frozen=True)
class AttentionResult:
    """`out` [rows, Hq, Dv]; `lse` [rows, Hq], natural logarithm, -inf for a row that sees nothing."""

    out: Floats
    lse: Floats
