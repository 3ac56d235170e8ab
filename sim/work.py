"""What one attention step needs, whatever machine runs it: distinct bytes, useful FLOPs, exponentials.

Shared blocks count once, padding and re-reads never, causal scores only where a query sees the key.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import DEVICE, Step
from sim.formats import token_bytes

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


def visible_tokens(step: Step) -> tuple[Int64, Int64]:
    """(frame, tokens of it that some query of the row sees) for every table entry, clipped to the window."""
    pages = np.diff(step.table_ptr)
    owner = np.repeat(np.arange(step.sequences), pages)
    index = np.arange(len(step.table)) - step.table_ptr[owner]
    context, q_len = step.context.astype(np.int64), step.q_len.astype(np.int64)
    window = step.geometry.window
    first = np.maximum(0, context - q_len + 1 - window) if window else np.zeros_like(context)
    lo = np.maximum(first[owner], index * step.page_tokens)
    hi = np.minimum(context[owner], (index + 1) * step.page_tokens)
    return step.table.astype(np.int64), np.maximum(0, hi - lo)


def distinct_tokens(step: Step) -> Int64:
    """[F] tokens of each frame that the step needs at least once."""
    frame, tokens = visible_tokens(step)
    seen = np.zeros(step.frames, np.int64)
    np.maximum.at(seen, frame, tokens)
    return seen


def causal_scores(step: Step) -> int:
    """Query-key pairs that count: row r of a sequence sees context - q_len + r + 1 keys, at most the window."""
    context, q_len = step.context.astype(np.int64), step.q_len.astype(np.int64)
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


def step_work(step: Step) -> Work:
    g = step.geometry
    seen = distinct_tokens(step)
    per_frame = seen * format_bytes(step)[step.frame_format]
    scores = causal_scores(step) * g.q_heads
    rows = int(step.q_len.sum()) * g.q_heads
    return Work(
        kv_bytes=int(per_frame.sum()),
        kv_bytes_in_tiers=int(per_frame[step.frame_residency != DEVICE].sum()),
        query_bytes=rows * g.head_dim * VALUE_BYTES,
        flops=2 * scores * (g.head_dim + g.value_dim),
        scores=scores,
    )
