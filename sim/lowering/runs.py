"""Byte runs of tiles: which contiguous pieces of the KV pools a tile of tokens is made of.

A tile of tokens [lo, hi) of one sequence and a group of adjacent KV heads touches pages; each (page, part)
gives one run where the layout stores it contiguously, else one run per head (HND) or per token (NHD).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.memory.addresses import AddressMap

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class TileSpan:
    """[T] arrays: the tokens [lo, hi) of `sequence` that a tile covers, for heads [head, head + heads)."""

    sequence: Int64
    lo: Int64
    hi: Int64
    head: Int64
    heads: int


@dataclass(frozen=True)
class Runs:
    """CSR runs of each tile; `ptr` [T + 1]."""

    ptr: Int64
    address: Int64
    size: Int64


@dataclass(frozen=True)
class Pieces:
    """The (tile, page) pairs of a set of tiles, in order; [N] arrays."""

    tile: Int64
    frame: Int64
    token: Int64
    """First token inside the frame."""
    tokens: Int64


def repeat_index(counts: Int64) -> tuple[Int64, Int64]:
    """For each of n groups of counts[i] items: (group of each item, rank inside its group)."""
    group = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    start = np.cumsum(counts) - counts
    return group, np.arange(len(group), dtype=np.int64) - start[group]


def pointer(sizes: Int64) -> Int64:
    """[N + 1] where each of [N] parts of these sizes begins, and the end."""
    ptr = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=ptr[1:])
    return ptr


def table_entries(step: Step, sequence: Int64, page: Int64) -> Int64:
    """Frames of the pages `page` of `sequence`; past its last page, what comes next in the table of all sequences."""
    entry = np.minimum(step.table_ptr[sequence] + page, len(step.table) - 1)
    frame: Int64 = step.table[entry].astype(np.int64)
    return frame


def split_into_pages(step: Step, span: TileSpan) -> Pieces:
    page = step.page_tokens
    first = span.lo // page
    count = -(-span.hi // page) - first
    tile, rank = repeat_index(count)
    index = first[tile] + rank
    frame = table_entries(step, span.sequence[tile], index)
    lo = np.maximum(span.lo[tile], index * page)
    hi = np.minimum(span.hi[tile], (index + 1) * page)
    return Pieces(tile, frame, lo - index * page, hi - lo)


def _part_table(addresses: AddressMap, part: int) -> tuple[Int64, Int64]:
    """Base and bytes per token and head of one part, by format; 0 bytes where the format lacks the part."""
    rows = [row[part] if part < len(row) else None for row in addresses.parts]
    base = np.array([p.base if p else 0 for p in rows], np.int64)
    size = np.array([p.token_bytes if p else 0 for p in rows], np.int64)
    return base, size


def _piece_runs(
    addresses: AddressMap, span: TileSpan, pieces: Pieces, part: int
) -> tuple[Int64, Int64, Int64]:
    """(piece, address, bytes) of every run of one part."""
    base, unit = _part_table(addresses, part)
    fmt = addresses.frame_format[pieces.frame]
    unit_bytes = unit[fmt]
    if addresses.layout == "HND":
        whole = pieces.tokens == addresses.page_tokens
        counts = np.where(whole | (span.heads == 1), 1, span.heads)
        length = np.where(counts == 1, pieces.tokens * span.heads, pieces.tokens) * unit_bytes
        step_head, step_token = 1, 0
    else:
        joined = span.heads == addresses.heads
        counts = np.full_like(pieces.tokens, 1) if joined else pieces.tokens
        length = np.where(counts == 1, pieces.tokens, 1) * span.heads * unit_bytes
        step_head, step_token = 0, 1
    counts = np.where(unit_bytes > 0, counts, 0)
    piece, rank = repeat_index(counts)
    address = addresses.run_start(
        base[fmt[piece]],
        unit_bytes[piece],
        pieces.frame[piece],
        span.head[pieces.tile[piece]] + rank * step_head,
        pieces.token[piece] + rank * step_token,
    )
    return piece, address, length[piece]


def tile_runs(step: Step, addresses: AddressMap, span: TileSpan, parts: Sequence[int] | None = None) -> Runs:
    """Runs of every tile, part after part inside a tile, pages in order inside a part.

    `parts` (none: all) count K, V and the scales of both in this order.
    """
    pieces = split_into_pages(step, span)
    tiles = len(span.lo)
    wanted = range(max(len(row) for row in addresses.parts)) if parts is None else parts
    found = [_piece_runs(addresses, span, pieces, part) for part in wanted]
    owner = np.concatenate([pieces.tile[piece] for piece, _, _ in found])
    order = np.argsort(owner, kind="stable")
    ptr = pointer(np.bincount(owner, minlength=tiles))
    address = np.concatenate([a for _, a, _ in found])[order]
    size = np.concatenate([s for _, _, s in found])[order]
    return Runs(ptr, address, size)


def prepend_runs(runs: Runs, tile: Int64, address: Int64, size: Int64) -> Runs:
    """Put one more run in front of each listed tile's (at most one per tile; tiles ascending)."""
    position = runs.ptr[tile]
    extra = np.zeros(len(runs.ptr), np.int64)
    extra[tile + 1] = 1
    return Runs(
        runs.ptr + np.cumsum(extra),
        np.insert(runs.address, position, address),
        np.insert(runs.size, position, size),
    )


def join_runs(parts: Sequence[Runs]) -> Runs:
    """Concatenate the tiles of several sets."""
    offsets = np.cumsum([0] + [len(p.address) for p in parts[:-1]])
    ptr = np.concatenate(
        [np.zeros(1, np.int64)] + [p.ptr[1:] + o for p, o in zip(parts, offsets, strict=True)]
    )
    return Runs(ptr, np.concatenate([p.address for p in parts]), np.concatenate([p.size for p in parts]))


def single_runs(address: Int64, size: Int64) -> Runs:
    """One run per fetch."""
    return Runs(np.arange(len(address) + 1, dtype=np.int64), address, size)
