"""The engine's side of one step: allocate the batch's KV blocks and say what attends to what.

The physical order of blocks is what a block manager leaves behind. `trace` order fills the pool with earlier
requests, frees them in random order (tail first), admits the batch and lets it generate in turns, as continuous
batching does; `sequential` and `shuffled` are the two limits around it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels_ref.block_manager import BlockManager
from kernels_ref.errors import InputError
from kernels_ref.request_trace import RequestTrace
from kernels_ref.trace import Geometry, Step

GENERATED_SHARE = 0.1
"""Share of a context that was generated in turns with the rest of the batch rather than prefilled."""


@dataclass(frozen=True)
class Batch:
    """What the step is about. contexts: [S] visible tokens, new ones included; q_len: [S] new tokens."""

    phase: str
    geometry: Geometry
    contexts: NDArray[np.int32]
    q_len: NDArray[np.int32]
    page_tokens: int
    page_order: str = "trace"
    shared_prefix: int = 0
    formats: tuple[str, ...] = ("fp16",)
    hot_tokens: int = 0
    """With two formats: the newest tokens of each sequence that stay in formats[0]."""
    tiers: tuple[str, ...] = ()
    tier_fraction: float = 0.0
    """Share of each sequence's pages, oldest first, that lie in tiers[0]."""
    layers: int = field(default=1)


def _rows_in_order(batch: Batch, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Block-table rows of `sequential` and `shuffled` batches; shared pages come first in the pool."""
    shared = _shared_pages(batch)
    pages = -(-batch.contexts.astype(np.int64) // batch.page_tokens) - shared
    frames = np.arange(shared + int(pages.sum()), dtype=np.int32)
    if batch.page_order == "shuffled":
        frames = rng.permutation(frames)
    ends = shared + np.cumsum(pages)
    return [
        np.concatenate([frames[:shared], frames[end - n : end]]) for end, n in zip(ends, pages, strict=True)
    ]


def _shared_pages(batch: Batch) -> int:
    """Only full blocks are shared, and at least one token of each sequence is its own."""
    return min(batch.shared_prefix, int(batch.contexts.min()) - 1) // batch.page_tokens


def _prompt_ids(batch: Batch, sequence: int, tokens: int) -> list[int]:
    shared = min(_shared_pages(batch), tokens // batch.page_tokens)
    own = -(-tokens // batch.page_tokens) - shared
    return [*range(shared), *(-(sequence << 24) - 1 - i for i in range(own))]


def _rows_as_allocated(batch: Batch, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """Block-table rows that the block manager gives after a history of earlier requests."""
    page, contexts = batch.page_tokens, batch.contexts.astype(np.int64)
    pages = -(-contexts // page)
    manager = BlockManager(int(pages.sum()) + 1, page)
    earlier = rng.permutation(len(contexts))
    for index in earlier:
        manager.allocate(-1 - int(index), int(contexts[index]))
    for index in rng.permutation(earlier):
        manager.free(-1 - int(index))
    turns = np.maximum(batch.q_len, (contexts * GENERATED_SHARE).astype(np.int64))
    turns = np.minimum(turns, contexts - 1) if contexts.min() > 1 else np.zeros_like(contexts)
    for sequence, tokens in enumerate((contexts - turns).tolist()):
        manager.allocate(sequence, tokens, token_hash_ids=_prompt_ids(batch, sequence, tokens))
    left = turns.copy()
    while (open_rows := np.flatnonzero(left > 0)).size:
        for sequence in open_rows.tolist():
            step = min(page, int(left[sequence]))
            manager.append(sequence, step)
            left[sequence] -= step
    return [manager.block_table(sequence) for sequence in range(len(contexts))]


def _frame_formats(batch: Batch, rows: list[NDArray[np.int32]], frames: int) -> NDArray[np.uint8]:
    """Hot pages in formats[0], pages that lie wholly before the hot tokens in formats[1]."""
    chosen = np.zeros(frames, np.uint8)
    if len(batch.formats) > 1:
        for row, context in zip(rows, batch.contexts, strict=True):
            cold = max(0, int(context) - batch.hot_tokens) // batch.page_tokens
            chosen[row[:cold]] = 1
    return chosen


def _residency(batch: Batch, rows: list[NDArray[np.int32]], frames: int) -> NDArray[np.uint8]:
    where = np.zeros(frames, np.uint8)
    for row in rows if batch.tiers else []:
        where[row[: int(len(row) * batch.tier_fraction)]] = 1
    return where


def make_step(batch: Batch, seed: int) -> Step:
    """Allocate and describe one step. Raises InputError where new tokens exceed the context."""
    wrong = np.flatnonzero(batch.q_len > batch.contexts)
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"q_len: {batch.q_len[i]} new tokens in a context of {batch.contexts[i]}; at most the context"
        )
    rng = np.random.default_rng(seed)
    as_allocated = batch.page_order == "trace"
    rows = _rows_as_allocated(batch, rng) if as_allocated else _rows_in_order(batch, rng)
    frames = 1 + max(int(row.max(initial=0)) for row in rows)
    ptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=ptr[1:])
    return Step(
        phase=batch.phase,
        geometry=batch.geometry,
        page_tokens=batch.page_tokens,
        context=batch.contexts.astype(np.int32),
        q_len=batch.q_len.astype(np.int32),
        table_ptr=ptr,
        table=np.concatenate(rows).astype(np.int32),
        frame_format=_frame_formats(batch, rows, frames),
        frame_residency=_residency(batch, rows, frames),
        formats=batch.formats,
        tiers=batch.tiers,
        appends=_appends(batch, rows),
    )


def _appends(batch: Batch, rows: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """(sequence, position, frame) of each new token."""
    sequence = np.repeat(np.arange(len(rows)), batch.q_len)
    start = np.cumsum(batch.q_len) - batch.q_len
    past = batch.contexts - batch.q_len
    position = past[sequence] + np.arange(len(sequence)) - start[sequence]
    first = np.cumsum([0] + [len(row) for row in rows[:-1]])
    frame = np.concatenate(rows)[first[sequence] + position // batch.page_tokens]
    appended: NDArray[np.int32] = np.stack([sequence, position, frame], axis=1).astype(np.int32)
    return appended


def snapshot(trace: RequestTrace, at_s: float, batch: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Context lengths of a running batch: the `batch` latest arrivals before `at_s`, each with its prompt and a
    random share of its output. Raises InputError when the trace has no arrivals or too few before then."""
    if trace.arrival_s is None:
        raise InputError(f"{trace.name}: no arrival times; a batch snapshot needs them")
    before = np.flatnonzero(trace.arrival_s < at_s)
    if len(before) < batch:
        raise InputError(
            f"{trace.name}: at_s: {len(before)} request(s) arrived before {at_s:g} s; a batch of {batch} needs as many"
        )
    latest = before[np.argsort(trace.arrival_s[before], kind="stable")][-batch:]
    generated = np.floor(rng.random(batch) * trace.output_length[latest]).astype(np.int64)
    contexts: NDArray[np.int32] = np.maximum(1, trace.input_length[latest] + generated).astype(np.int32)
    return contexts
