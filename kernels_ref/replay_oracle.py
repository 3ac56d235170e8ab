"""What the replay should have computed: one dense float64 softmax over the dequantised history."""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.replay_store import History, Ids
from kernels_ref.trace import Step

SCALE = 2.0
"""Logits are SCALE * q.k / sqrt(head_dim): wide enough that single keys matter."""


def queries(step: Step, seed: int, head_dim: int, sequence: int, head: int, rows: Ids) -> NDArray[np.float64]:
    """Seeded [Hq of the KV head, rows, D]; a row is the same whichever tile or head asks for it."""
    made = np.stack(
        [
            np.random.default_rng([seed, 1, sequence, row]).standard_normal((step.geometry.q_heads, head_dim))
            for row in rows.tolist()
        ],
        axis=1,
    )
    group = step.geometry.q_heads // step.geometry.kv_heads
    return made if head < 0 else made[head * group : (head + 1) * group]


def visible_tokens(step: Step, sequence: int, rows: Ids, tokens: Ids) -> NDArray[np.bool_]:
    """[rows, tokens]: causal, bottom-right aligned, within the window; everything where the step is not causal."""
    if not step.geometry.causal:
        return np.ones((len(rows), len(tokens)), bool)
    position = (int(step.context[sequence]) - int(step.q_len[sequence]) + rows)[:, None]
    seen = tokens[None, :] <= position
    if step.geometry.window > 0:
        seen &= tokens[None, :] > position - step.geometry.window
    return seen


def all_visible(step: Step, sequence: int, rows: Ids, tokens: Ids) -> bool:
    """Every row sees every one of these consecutive tokens: the common case, without a mask."""
    if not step.geometry.causal:
        return True
    start = int(step.context[sequence]) - int(step.q_len[sequence])
    oldest = start + int(rows[-1]) - step.geometry.window if step.geometry.window > 0 else -1
    return int(tokens[-1]) <= start + int(rows[0]) and int(tokens[0]) > oldest


def dense_rows(
    step: Step, history: History, sequence: int, head: int, rows: Ids, query: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected output [rows, Hq of the KV head, D] of queries [Hq, rows, D]."""
    tokens = np.arange(int(step.context[sequence]), dtype=np.int64)
    seen = visible_tokens(step, sequence, rows, tokens)
    wanted = seen.any(axis=0)
    values = history.values(sequence, head, tokens[wanted])
    heads = values.shape[1]
    group = query.shape[0] // heads
    out = np.zeros((len(rows), query.shape[0], query.shape[2]))
    for kv_head in range(heads):
        mine = slice(kv_head * group, (kv_head + 1) * group)
        k, v = np.ascontiguousarray(values[:, kv_head, 0].T), np.ascontiguousarray(values[:, kv_head, 1])
        logits = np.where(seen[:, wanted], SCALE * (query[mine] @ k) / np.sqrt(query.shape[2]), -np.inf)
        weights = np.exp(logits - np.maximum(logits.max(axis=2, keepdims=True, initial=-np.inf), -1e300))
        total = weights.sum(axis=2, keepdims=True)
        out[:, mine] = ((weights @ v) / np.where(total == 0, 1.0, total)).swapaxes(0, 1)
    return out
