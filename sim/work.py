"""What one attention step needs, whatever machine runs it: distinct bytes, useful FLOPs, exponentials.

Shared blocks count once, padding and re-reads never, scores only where a query sees the key.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels_ref.trace import DEVICE, Step
from sim.formats import token_bytes
from sim.memory.jit import loads_fast

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

VALUE_BYTES = 2
"""Queries are 16 bit."""


@dataclass(frozen=True)
class Work:
    """Per device and launch."""

    kv_bytes: int
    """Distinct KV bytes that the queries see, scales included."""
    kv_bytes_in_tiers: int
    """Those of them that are not in device memory before the step."""
    query_bytes: int
    flops: int
    scores: int
    tiers: tuple[str, ...] = ()
    """Names of the tiers that KV may be in."""


@loads_fast
@njit(cache=True)
def _most_tokens(
    table_ptr: Int64, table: Int32, first: Int64, end: Int64, page_tokens: int, most: Int32
) -> None:
    """most[F] = tokens of [first, end) that a row has in each frame, the largest over the rows that name it."""
    for row in range(len(end)):
        for entry in range(table_ptr[row], table_ptr[row + 1]):
            begin = (entry - table_ptr[row]) * page_tokens
            tokens = min(end[row], begin + page_tokens) - max(first[row], begin)
            most[table[entry]] = max(most[table[entry]], tokens)


def tokens_in_frames(step: Step, first: Int64) -> Int32:
    """[F] tokens of each frame at positions `first` ([S]) or later of some sequence; shared frames count once."""
    most = np.zeros(step.frames, np.int32)
    end = step.context.astype(np.int64)
    _most_tokens(step.table_ptr, step.table, first, end, step.page_tokens, most)
    return most


def distinct_tokens(step: Step) -> Int32:
    """[F] tokens of each frame that some query of the step sees, clipped to the window."""
    context, window = step.context.astype(np.int64), step.geometry.window
    first = np.maximum(0, context - step.q_len + 1 - window) if window else np.zeros_like(context)
    return tokens_in_frames(step, first)


def visible_scores(step: Step) -> int:
    """Query-key pairs that count: row r of a sequence sees context - q_len + r + 1 keys, at most the window; each
    row sees the whole context where the step is not causal."""
    context, q_len = step.context.astype(np.int64), step.q_len.astype(np.int64)
    if not step.geometry.causal:
        return int((q_len * context).sum())
    past = context - q_len
    window = step.geometry.window
    if not window:
        return int((q_len * past + q_len * (q_len + 1) // 2).sum())
    total = 0
    for before, rows in zip(past.tolist(), q_len.tolist(), strict=True):
        full = min(rows, max(0, window - before))
        total += full * before + full * (full + 1) // 2 + (rows - full) * window
    return total


def format_bytes(step: Step) -> Int64:
    """[formats] bytes of one token in each of the step's formats, all KV heads, scales included."""
    g = step.geometry
    sizes = [token_bytes(f, g.kv_heads, g.head_dim, g.value_dim, latent=g.latent) for f in step.formats]
    return np.array(sizes, np.int64)


def by_format(step: Step, values: NDArray[Any]) -> Int64:
    """[formats] sums of `values` ([F]) over the frames of each format."""
    if len(step.formats) == 1:
        return np.array([values.sum()], np.int64)
    return np.array(
        [values[step.frame_format == index].sum() for index in range(len(step.formats))], np.int64
    )


def bytes_of(step: Step, tokens: Int32) -> int:
    """Bytes of `tokens` ([F]) in the formats of their frames."""
    return int(by_format(step, tokens) @ format_bytes(step))


def step_work(step: Step) -> Work:
    g = step.geometry
    seen = distinct_tokens(step)
    scores = visible_scores(step) * g.q_heads
    rows = int(step.q_len.sum()) * g.q_heads
    return Work(
        kv_bytes=bytes_of(step, seen),
        kv_bytes_in_tiers=bytes_of(step, seen * (step.frame_residency != DEVICE)) if step.tiers else 0,
        query_bytes=rows * g.head_dim * VALUE_BYTES,
        flops=2 * scores * (g.head_dim + g.value_dim),
        scores=scores,
        tiers=step.tiers,
    )
