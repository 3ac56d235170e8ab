"""The engine's side of one step: allocate the batch's KV blocks and say what attends to what.

The physical order of blocks is what a block manager leaves behind. `trace` order fills the pool with earlier
requests, frees them in random order (tail first), admits the batch and lets it generate in turns, as continuous
batching does; `sequential` and `shuffled` are the two limits around it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels_ref.errors import InputError
from kernels_ref.placement import as_allocated, in_order, ranks
from kernels_ref.request_trace import RequestTrace
from kernels_ref.trace import Geometry, Step


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


def _shared_pages(batch: Batch) -> int:
    """Only full blocks are shared, and at least one token of each sequence is its own."""
    return min(batch.shared_prefix, int(batch.contexts.min()) - 1) // batch.page_tokens


def _table(batch: Batch, rng: np.random.Generator) -> NDArray[np.int32]:
    """Frames of all sequences, one after the other, in the batch's page order."""
    contexts, shared = batch.contexts.astype(np.int64), _shared_pages(batch)
    if batch.page_order == "trace":
        return as_allocated(contexts, batch.q_len.astype(np.int64), batch.page_tokens, shared, rng)
    pages = -(-contexts // batch.page_tokens)
    return in_order(pages, shared, rng if batch.page_order == "shuffled" else None)


def _marked(
    table: NDArray[np.int32], pages: NDArray[np.int64], oldest: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """[F] 1 for the frames of the `oldest` first pages of each sequence."""
    chosen = np.zeros(1 + int(table.max()), np.uint8)
    if oldest.any():
        _, rank = ranks(pages)
        chosen[table[rank < np.repeat(oldest, pages)]] = 1
    return chosen


def _cold_pages(batch: Batch) -> NDArray[np.int64]:
    """[S] pages in formats[1]: those that lie wholly before the hot tokens."""
    contexts = batch.contexts.astype(np.int64)
    cold: NDArray[np.int64] = np.maximum(0, contexts - batch.hot_tokens) // batch.page_tokens
    return cold if len(batch.formats) > 1 else np.zeros_like(cold)


def make_step(batch: Batch, seed: int) -> Step:
    """Allocate and describe one step. Raises InputError where new tokens exceed the context."""
    wrong = np.flatnonzero(batch.q_len > batch.contexts)
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"q_len: {batch.q_len[i]} new tokens in a context of {batch.contexts[i]}; at most the context"
        )
    rng = np.random.default_rng(seed)
    table = _table(batch, rng)
    pages = -(-batch.contexts.astype(np.int64) // batch.page_tokens)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(pages)])
    away = (pages * batch.tier_fraction).astype(np.int64) if batch.tiers else np.zeros_like(pages)
    return Step(
        phase=batch.phase,
        geometry=batch.geometry,
        page_tokens=batch.page_tokens,
        context=batch.contexts.astype(np.int32),
        q_len=batch.q_len.astype(np.int32),
        table_ptr=ptr,
        table=table,
        frame_format=_marked(table, pages, _cold_pages(batch)),
        frame_residency=_marked(table, pages, away),
        formats=batch.formats,
        tiers=batch.tiers,
        appends=_appends(batch, ptr, table),
    )


def _appends(batch: Batch, ptr: NDArray[np.int64], table: NDArray[np.int32]) -> NDArray[np.int32]:
    """(sequence, position, frame) of each new token."""
    sequence, rank = ranks(batch.q_len.astype(np.int64))
    position = (batch.contexts - batch.q_len)[sequence] + rank
    frame = table[ptr[sequence] + position // batch.page_tokens]
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
