"""Tiles of an attention launch, a range of CTAs at a time: what they compute, fetch and look up.

Lowering takes ten times the memory of what it leaves, so a long launch is lowered in parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.formats import KV_STORAGE
from sim.lowering.cut import Cut
from sim.lowering.launch import TileWork, compact, join_work
from sim.lowering.operands import operand_reads
from sim.lowering.pairs import half_span
from sim.lowering.runs import (
    Pieces,
    Runs,
    TileSpan,
    join_runs,
    pointer,
    prepend_runs,
    repeat_index,
    single_runs,
    split_into_pages,
    tile_runs,
)
from sim.lowering.units import Units, take_units
from sim.memory.addresses import AddressMap

Int64 = NDArray[np.int64]

QUERY_BYTES = 2
TABLE_LINE_BYTES = 128
PART_TILES = 1 << 14
"""Tiles of a part, unless one CTA has more."""


@dataclass(frozen=True)
class CutTiles:
    """[T] tiles with the CTA that owns them; ptr [C + 1]."""

    ptr: Int64
    cta: Int64
    span: TileSpan
    pieces: Pieces


def tile_counts(units: Units, cut: Cut) -> Int64:
    """[C] tiles of each CTA; where a block is loaded whole, those too in which no token is left."""
    counts: Int64 = np.maximum(1, -(-(units.hi - units.lo) // cut.tile_tokens))
    if cut.profile.last_block == "whole":
        counts = -(-counts // cut.profile.block_tiles) * cut.profile.block_tiles
    return counts


def cut_tiles(step: Step, units: Units, cut: Cut) -> CutTiles:
    counts = tile_counts(units, cut)
    cta, rank = repeat_index(counts)
    lo = units.lo[cta] + rank * cut.tile_tokens
    hi = np.maximum(lo, np.minimum(lo + cut.tile_tokens, units.hi[cta]))
    span = TileSpan(units.sequence[cta], lo, hi, units.head[cta], cut.kv_heads_per_cta)
    return CutTiles(pointer(counts), cta, span, split_into_pages(step, span))


def score_ops(profile: KernelProfile, hw: Hardware) -> float:
    """Issue slots of a score on the FP32 pipes, with those that pass while other pipes work for it."""
    return profile.softmax_ops_per_score + profile.score_clk * hw.sm.fp32_per_clk


def loaded_span(step: Step, units: Units, tiles: CutTiles, cut: Cut) -> TileSpan:
    """The tokens that each CTA loads itself of its tiles: all that they read, or half where pairs share them."""
    span = fetched_span(step, tiles.span, cut)
    return half_span(span, units.half[tiles.cta]) if cut.profile.cta_pairs else span


def fetched_span(step: Step, span: TileSpan, cut: Cut) -> TileSpan:
    """The tokens that the tiles read: theirs, and as `last_block` says the rest of their last page or of the tile."""
    if cut.profile.last_block == "tokens":
        return span
    if cut.profile.last_block == "whole":
        return replace(span, hi=span.lo + cut.tile_tokens)
    pages_end = -(-span.hi // step.page_tokens) * step.page_tokens
    return replace(span, hi=np.minimum(pages_end, span.lo + cut.tile_tokens))


def expanded_pieces(step: Step, tiles: CutTiles, cut: Cut) -> Pieces:
    """What a kernel that expands K and V works on: the tokens, or all of a tile where it is loaded whole."""
    if cut.profile.last_block != "whole":
        return tiles.pieces
    return split_into_pages(step, fetched_span(step, tiles.span, cut))


def tile_work(
    step: Step, units: Units, tiles: CutTiles, cut: Cut, mma: str, packed_bytes: Int64, hw: Hardware
) -> TileWork:
    geometry, profile, heads = step.geometry, cut.profile, cut.kv_heads_per_cta
    tokens = tiles.span.hi - tiles.span.lo
    rows = -(-units.rows[tiles.cta] // profile.m_align) * profile.m_align
    computed = np.full(len(tokens), cut.tile_tokens)
    scores = rows * computed * heads
    dims = geometry.head_dim if geometry.latent else geometry.head_dim + geometry.value_dim
    expand = np.array([KV_STORAGE[f].bits < 16 and KV_STORAGE[f].mma != mma for f in step.formats])
    pieces = expanded_pieces(step, tiles, cut)
    piece_values = pieces.tokens * expand[step.frame_format[pieces.frame]]
    reads = operand_reads(rows, profile, hw)
    unpack = np.bincount(pieces.tile, piece_values, minlength=len(tokens)).astype(np.int64) * dims * heads
    operand = (
        computed * heads * (geometry.head_dim + geometry.value_dim) * (2 if mma in ("fp16", "bf16") else 1)
    )
    sram = operand * reads
    if profile.expand_in == "sram":
        sram = sram + packed_bytes + unpack * 2
    elif profile.mma_operands == "register":
        sram, unpack = np.where(unpack > 0, packed_bytes * reads, sram), unpack * reads
    return TileWork(
        tokens=tokens.astype(np.int32),
        computed=computed.astype(np.int32),
        token_first=tiles.span.lo.astype(np.int32),
        packed_bytes=packed_bytes,
        unpack_values=unpack,
        qk_flops=2 * scores * geometry.head_dim,
        pv_flops=2 * scores * geometry.value_dim,
        sram_bytes=sram,
        exps=np.rint(scores * profile.exp_share).astype(np.int64),
        alu_ops=np.rint(scores * score_ops(profile, hw)).astype(np.int64),
    )


def query_runs(step: Step, units: Units, addresses: AddressMap, heads: int) -> tuple[Int64, Int64]:
    """Address and bytes of the query rows that a CTA reads before its first tile."""
    size = units.rows * heads * step.geometry.head_dim * QUERY_BYTES
    return addresses.query_base + units.output_row * step.geometry.head_dim * QUERY_BYTES, size


@dataclass(frozen=True)
class TableLines:
    """Software look-ups: fetches of block-table pieces, and which of them each tile needs last; last: [C] up to which
    a CTA asks for the next one when it begins to use one, so that with the first of its pieces it never does."""

    runs: Runs
    last: Int64
    tile_line: Int64


def tiles_per_line(step: Step, cut: Cut, entry_bytes: int) -> int:
    """Tiles whose entries of the block table are read together: those of a line, or of a KV block that needs more."""
    block = cut.profile.block_tiles if cut.profile.page_indices == "at_use" else 1
    return max(block, TABLE_LINE_BYTES // entry_bytes * step.page_tokens // cut.tile_tokens)


def line_runs(step: Step, units: Units, cut: Cut, table_base: int, entry_bytes: int) -> tuple[Runs, Int64]:
    """(one run per 128-byte line of entries, or per tile where a tile needs more than a line; [C] runs of each CTA)."""
    page, tokens = step.page_tokens, tiles_per_line(step, cut, entry_bytes) * cut.tile_tokens
    lines = np.maximum(1, -(-(units.hi - units.lo) // tokens))
    owner, rank = repeat_index(lines)
    first = units.lo[owner] + rank * tokens
    lo = first // page
    hi = -(-np.minimum(first + tokens, units.hi[owner]) // page)
    row = step.table_ptr[units.sequence[owner]]
    return single_runs(table_base + (row + lo) * entry_bytes, np.maximum(1, hi - lo) * entry_bytes), lines


def table_lines(
    step: Step, units: Units, tiles: CutTiles, cut: Cut, addresses: AddressMap, entry_bytes: int
) -> TableLines:
    """The pieces of the block table that the CTAs read."""
    runs, lines = line_runs(step, units, cut, addresses.table_base, entry_bytes)
    per_line = tiles_per_line(step, cut, entry_bytes)
    start = np.cumsum(lines) - lines
    local = np.arange(len(tiles.cta)) - tiles.ptr[tiles.cta]
    line = np.minimum(local // per_line, lines[tiles.cta] - 1)
    ahead = lines - 1 if cut.profile.page_indices == "ahead" else 0
    return TableLines(runs, start + ahead, start[tiles.cta] + line)


@dataclass(frozen=True)
class LookUp:
    """How block-table entries are found: by software loads, by the hardware assist, or by neither (ideal, or no
    table)."""

    software: bool
    assist: bool
    entry_bytes: int
    two_level: bool


def _assist_entries(tiles: CutTiles, step: Step, addresses: AddressMap, entry_bytes: int) -> Runs:
    """Block-table entries of each tile, for the hardware walkers: one run of entries per tile."""
    first = tiles.span.lo // step.page_tokens
    count = -(-tiles.span.hi // step.page_tokens) - first
    row = step.table_ptr[tiles.span.sequence]
    owner, rank = repeat_index(count)
    address = addresses.table_base + (row[owner] + first[owner] + rank) * entry_bytes
    return Runs(pointer(count), address, np.full(len(address), entry_bytes))


def scale_bytes(step: Step, tiles: CutTiles, cut: Cut) -> int:
    """Scale metadata among the bytes that the tiles fetch."""
    g = step.geometry
    dims = (g.head_dim,) if g.latent else (g.head_dim, g.value_dim)
    per_token = np.array([sum(KV_STORAGE[f].scale_bytes_for(d) for d in dims) for f in step.formats])
    pieces = tiles.pieces
    return int((pieces.tokens * per_token[step.frame_format[pieces.frame]]).sum()) * cut.kv_heads_per_cta


@dataclass(frozen=True)
class Tiles:
    """The tiles of some CTAs, lowered. runs: fetches of the tiles, part after part; lines: where software looks up."""

    work: TileWork
    runs: Sequence[Runs]
    lines: TableLines | None
    entries: Runs | None
    scale_bytes: int


def lower_tiles(
    step: Step, units: Units, cut: Cut, mma: str, hw: Hardware, addresses: AddressMap, look_up: LookUp
) -> Tiles:
    """All tiles of the CTAs `units`."""

    def lowered(part: Units) -> Tiles:
        tiles = cut_tiles(step, part, cut)
        kv_runs = tile_runs(step, addresses, loaded_span(step, part, tiles, cut))
        packed = np.add.reduceat(kv_runs.size, kv_runs.ptr[:-1])
        query = query_runs(step, part, addresses, cut.kv_heads_per_cta)
        entry_bytes = look_up.entry_bytes
        return Tiles(
            work=compact(tile_work(step, part, tiles, cut, mma, packed, hw)),
            runs=[small(prepend_runs(kv_runs, tiles.ptr[:-1], *query))],
            lines=table_lines(step, part, tiles, cut, addresses, entry_bytes) if look_up.software else None,
            entries=_assist_entries(tiles, step, addresses, entry_bytes) if look_up.assist else None,
            scale_bytes=scale_bytes(step, tiles, cut),
        )

    return _joined([lowered(part) for part in _parts(units, cut)])


def _parts(units: Units, cut: Cut) -> Iterator[Units]:
    """The CTAs in ranges of about PART_TILES tiles."""
    ptr = pointer(tile_counts(units, cut))
    starts = np.searchsorted(ptr, np.arange(PART_TILES, int(ptr[-1]), PART_TILES))
    bounds = np.unique(np.concatenate([[0], starts, [len(units.sequence)]])).tolist()
    return (take_units(units, slice(first, end)) for first, end in pairwise(bounds))


def _joined(parts: Sequence[Tiles]) -> Tiles:
    lines = [part.lines for part in parts if part.lines is not None]
    entries = [part.entries for part in parts if part.entries is not None]
    return Tiles(
        work=join_work([part.work for part in parts]),
        runs=[runs for part in parts for runs in part.runs],
        lines=_joined_lines(lines) if lines else None,
        entries=join_runs(entries) if entries else None,
        scale_bytes=sum(part.scale_bytes for part in parts),
    )


def _joined_lines(parts: Sequence[TableLines]) -> TableLines:
    count = np.array([len(lines.runs.address) for lines in parts])
    before = (np.cumsum(count) - count).tolist()
    return TableLines(
        runs=join_runs([lines.runs for lines in parts]),
        last=np.concatenate([lines.last + first for lines, first in zip(parts, before, strict=True)]),
        tile_line=np.concatenate(
            [lines.tile_line + first for lines, first in zip(parts, before, strict=True)]
        ),
    )


def small(runs: Runs) -> Runs:
    """The same with sizes in half the memory."""
    return replace(runs, size=runs.size.astype(np.int32))
