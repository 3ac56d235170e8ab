"""Physical order of the KV blocks of a batch: the table that a block manager leaves behind, in closed form.

`trace` order is what `BlockManager` does when it serves one earlier generation of the same contexts and then the
batch. With a free queue that is first in, first out and never runs dry, every block is one position of that queue,
so that tables of millions of blocks are a few array operations; a test drives the manager itself and compares.
"""

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

GENERATED_SHARE = 0.1
"""Share of a context that was generated in turns with the rest of the batch rather than prefilled."""


def ranks(counts: Int64) -> tuple[Int32, Int32]:
    """For groups of counts[i] items: (group of each item, rank inside its group)."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    start = (np.cumsum(counts) - counts).astype(np.int32)
    rank: Int32 = np.arange(len(owner), dtype=np.int32)
    rank -= np.repeat(start, counts)
    return owner, rank


def in_order(pages: Int64, shared: int, rng: np.random.Generator | None) -> Int32:
    """Table of blocks in the order of their sequences, or permuted by `rng`; `shared` leading ones lie first."""
    own = pages - shared
    frames = np.arange(shared + int(own.sum()), dtype=np.int32)
    if rng is not None:
        frames = rng.permutation(frames)
    if not shared:
        return frames
    _, rank = ranks(pages)
    position = np.repeat((np.cumsum(own) - own).astype(np.int32), pages) + rank
    table: Int32 = frames[np.where(rank < shared, rank, position)]
    return table


def _free_queue(pages: Int64, rng: np.random.Generator) -> Int32:
    """Free blocks after an earlier request of each length came and went, both in random order.

    Blocks are handed out in order of arrival and come back in order of departure, each request tail first; the one
    block that was never used is the head.
    """
    earlier = rng.permutation(len(pages))
    end = np.zeros(len(pages), np.int64)
    end[earlier] = np.cumsum(pages[earlier])
    leaving = rng.permutation(earlier)
    back = pages[leaving]
    owner, rank = ranks(back)
    queue = np.empty(len(owner) + 1, np.int32)
    queue[0] = len(owner)
    np.subtract(np.repeat((end[leaving] - 1).astype(np.int32), back), rank, out=queue[1:])
    return queue


def generated_tokens(contexts: Int64, q_len: Int64, shared_tokens: int = 0) -> Int64:
    """[S] tokens that each sequence appended in turns: the new ones at least, and one token stays a prompt.

    A shared prefix is part of the prompts as far as it is not new, with a token behind it that a prompt computes.
    """
    if contexts.min() <= 1:
        return np.zeros_like(contexts)
    turns = np.maximum(1, (contexts * GENERATED_SHARE).astype(np.int64))
    turns = np.maximum(q_len, np.minimum(turns, contexts - shared_tokens - 1))
    return np.minimum(turns, contexts - 1)


def _shared_hits(prompt: Int64, shared: int, page_tokens: int) -> tuple[Int64, Int64]:
    """(blocks that each prompt finds cached, [shared] which sequence cached each shared block first).

    A prompt caches its full blocks and finds those that an earlier one cached, but computes at least one token.
    """
    full = np.minimum(shared, prompt // page_tokens)
    cached = np.maximum.accumulate(full)
    before = np.concatenate([[0], cached[:-1]])
    hits = np.minimum(np.minimum(before, full), (prompt - 1) // page_tokens)
    return hits, np.searchsorted(cached, np.arange(int(cached[-1])), side="right")


def as_allocated(
    contexts: Int64, q_len: Int64, page_tokens: int, shared: int, rng: np.random.Generator
) -> Int32:
    """Table after a history of earlier requests: prompts in one piece, then a block each in turns."""
    pages = -(-contexts // page_tokens)
    queue = _free_queue(pages, rng)
    prompt = contexts - generated_tokens(contexts, q_len, shared * page_tokens)
    prompt_pages = -(-prompt // page_tokens)
    hits, first_owner = _shared_hits(prompt, shared, page_tokens)
    taken = prompt_pages - hits
    start = np.cumsum(taken) - taken - hits
    _, rank = ranks(pages)
    position = np.repeat(start.astype(np.int32), pages) + rank
    turn = rank - np.repeat(prompt_pages.astype(np.int32), pages)
    late = np.flatnonzero(turn >= 0)
    in_turn = late[np.argsort(turn[late], kind="stable")]
    position[in_turn] = int(taken.sum()) + np.arange(len(late), dtype=np.int32)
    table: Int32 = queue[position]
    if hits.any():
        cached = queue[start[first_owner] + np.arange(len(first_owner))]
        found = np.flatnonzero(rank < np.repeat(hits.astype(np.int32), pages))
        table[found] = cached[rank[found]]
    return table
