"""Lower one attention step to a launch: tiled, online-softmax attention over a paged KV cache.

One file serves decode, verify, chunked and whole prefill: they differ in the query rows per CTA and in the causal
range of each query block (FlashAttention-2, Flash-Decoding). Padded MMA rows cost tensor and exponential time, as
they do in the real kernels, but are never counted as useful FLOPs.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.workload import KernelProfile
from sim.formats import KV_STORAGE
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.operands import mma_format, operand_reads
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
from sim.lowering.units import Units, start_order
from sim.memory.addresses import AddressMap
from sim.memory.fetches import FetchTable, TrafficClass

Int64 = NDArray[np.int64]

QUERY_BYTES = 2
OUTPUT_BYTES = 2
PARTIAL_BYTES = 4
TABLE_LINE_BYTES = 128
ISSUE_HEAD_DIM = 128
"""Values per row at which profiles state the issue slots of a tile."""


@dataclass(frozen=True)
class Tiles:
    """[T] tiles with the CTA that owns them; ptr [C + 1]."""

    ptr: Int64
    cta: Int64
    span: TileSpan
    pieces: Pieces


def tile_counts(units: Units, cut: Cut) -> Int64:
    """[C] tiles of each CTA."""
    counts: Int64 = np.maximum(1, -(-(units.hi - units.lo) // cut.tile_tokens))
    return counts


def cut_tiles(step: Step, units: Units, cut: Cut) -> Tiles:
    counts = tile_counts(units, cut)
    cta, rank = repeat_index(counts)
    lo = units.lo[cta] + rank * cut.tile_tokens
    hi = np.minimum(lo + cut.tile_tokens, units.hi[cta])
    span = TileSpan(units.sequence[cta], lo, hi, units.head[cta], cut.kv_heads_per_cta)
    return Tiles(pointer(counts), cta, span, split_into_pages(step, span))


def tile_work(
    step: Step, units: Units, tiles: Tiles, cut: Cut, mma: str, packed_bytes: Int64, hw: Hardware
) -> TileWork:
    geometry, profile, heads = step.geometry, cut.profile, cut.kv_heads_per_cta
    tokens = tiles.span.hi - tiles.span.lo
    rows = -(-units.rows[tiles.cta] // profile.m_align) * profile.m_align
    computed = np.full(len(tokens), cut.tile_tokens)
    scores = rows * computed * heads
    dims = geometry.head_dim if geometry.latent else geometry.head_dim + geometry.value_dim
    expand = np.array([KV_STORAGE[f].bits < 16 and KV_STORAGE[f].mma != mma for f in step.formats])
    piece_values = tiles.pieces.tokens * expand[step.frame_format[tiles.pieces.frame]]
    reads = operand_reads(rows, profile, hw)
    unpack = (
        np.bincount(tiles.pieces.tile, piece_values, minlength=len(tokens)).astype(np.int64) * dims * heads
    )
    operand = (
        computed * heads * (geometry.head_dim + geometry.value_dim) * (2 if mma in ("fp16", "bf16") else 1)
    )
    sram = operand * reads
    if profile.expand_in == "sram":
        sram = sram + packed_bytes + unpack * 2
    elif profile.mma_operands == "register":
        sram, unpack = np.where(unpack > 0, packed_bytes * reads, sram), unpack * reads
    exps = scores
    return TileWork(
        tokens=tokens.astype(np.int32),
        computed=computed.astype(np.int32),
        token_first=tiles.span.lo.astype(np.int32),
        packed_bytes=packed_bytes,
        unpack_values=unpack,
        qk_flops=2 * scores * geometry.head_dim,
        pv_flops=2 * scores * geometry.value_dim,
        sram_bytes=sram,
        exps=exps,
        alu_ops=np.rint(scores * profile.softmax_ops_per_score).astype(np.int64),
    )


def query_runs(step: Step, units: Units, addresses: AddressMap, heads: int) -> tuple[Int64, Int64]:
    """Address and bytes of the query rows that a CTA reads before its first tile."""
    size = units.rows * heads * step.geometry.head_dim * QUERY_BYTES
    return addresses.query_base + units.output_row * step.geometry.head_dim * QUERY_BYTES, size


def output_runs(step: Step, units: Units, addresses: AddressMap, heads: int) -> Runs:
    """Where each CTA writes: its output rows, or a partial result (FP32 row and log-sum-exp) per split."""
    geometry = step.geometry
    partial_row = (geometry.value_dim + 1) * PARTIAL_BYTES
    rows = units.rows * heads
    offset = np.cumsum(rows * partial_row) - rows * partial_row
    address = np.where(
        units.splits > 1,
        addresses.partial_base + offset,
        addresses.output_base + units.output_row * geometry.value_dim * OUTPUT_BYTES,
    )
    return single_runs(address, output_bytes(step, units, heads))


def output_bytes(step: Step, units: Units, heads: int) -> Int64:
    """[C] bytes that each CTA writes."""
    width = step.geometry.value_dim
    size: Int64 = np.where(units.splits > 1, (width + 1) * PARTIAL_BYTES, width * OUTPUT_BYTES)
    return units.rows * heads * size


@dataclass(frozen=True)
class TableLines:
    """Software look-ups: fetches of block-table pieces, and which of them each tile needs last."""

    runs: Runs
    last: Int64
    tile_line: Int64


def table_lines(step: Step, tiles: Tiles, cut: Cut, addresses: AddressMap, entry_bytes: int) -> TableLines:
    """One fetch per 128-byte line of entries, or per tile where a tile needs more than a line."""
    page = step.page_tokens
    per_line = max(1, TABLE_LINE_BYTES // entry_bytes * page // cut.tile_tokens)
    counts = np.diff(tiles.ptr)
    lines = -(-counts // per_line)
    owner, rank = repeat_index(lines)
    first_tile = tiles.ptr[owner] + rank * per_line
    last_tile = np.minimum(first_tile + per_line, tiles.ptr[owner + 1]) - 1
    lo = tiles.span.lo[first_tile] // page
    hi = -(-tiles.span.hi[last_tile] // page)
    row = step.table_ptr[tiles.span.sequence[first_tile]]
    runs = single_runs(addresses.table_base + (row + lo) * entry_bytes, np.maximum(1, hi - lo) * entry_bytes)
    start = np.cumsum(lines) - lines
    local = np.arange(len(tiles.cta)) - tiles.ptr[tiles.cta]
    return TableLines(runs, start + lines - 1, start[tiles.cta] + local // per_line)


@dataclass(frozen=True)
class LookUp:
    """How block-table entries are found: by software loads, by the hardware assist, or (ideal) by neither."""

    software: bool
    assist: bool
    entry_bytes: int
    two_level: bool


@dataclass(frozen=True)
class FetchParts:
    """Fetches of a launch in order: tiles, block-table lines, directory lines, outputs; what points at them."""

    runs: list[Runs]
    classes: list[NDArray[np.int64]]
    last_line: Int64
    tile_line: Int64
    root: Int64
    output: Int64


def _fetch_parts(
    step: Step, units: Units, tiles: Tiles, tile_part: Runs, cut: Cut, addresses: AddressMap, look_up: LookUp
) -> FetchParts:
    count, n_tiles = len(units.sequence), len(tiles.cta)
    last = root = np.full(count, -1, np.int64)
    tile_line = np.full(n_tiles, -1, np.int64)
    runs, classes, fetches = [tile_part], [np.full(n_tiles, TrafficClass.KV)], n_tiles
    if look_up.software:
        lines = table_lines(step, tiles, cut, addresses, look_up.entry_bytes)
        last, tile_line = n_tiles + lines.last, n_tiles + lines.tile_line
        n_lines = len(lines.runs.address)
        runs.append(lines.runs)
        classes.append(np.full(n_lines, TrafficClass.METADATA))
        fetches += n_lines
        if look_up.two_level:
            root = fetches + np.arange(count)
            runs.append(single_runs(addresses.directory_base + units.sequence * 128, np.full(count, 8)))
            classes.append(np.full(count, TrafficClass.METADATA))
            fetches += count
    runs.append(output_runs(step, units, addresses, cut.kv_heads_per_cta))
    classes.append(np.where(units.splits > 1, TrafficClass.PARTIAL, TrafficClass.OUTPUT))
    return FetchParts(runs, classes, last, tile_line, root, fetches + np.arange(count))


def build_attention(
    step: Step, units: Units, cut: Cut, hw: Hardware, addresses: AddressMap, look_up: LookUp
) -> Launch:
    """The whole launch: one fetch per tile (the first one of a CTA with its query rows), then table lines, outputs."""
    tiles = cut_tiles(step, units, cut)
    kv_runs = tile_runs(step, addresses, tiles.span)
    packed = np.add.reduceat(kv_runs.size, kv_runs.ptr[:-1])
    mma = mma_format(step, cut, hw)
    work = tile_work(step, units, tiles, cut, mma, packed, hw)
    q_address, q_bytes = query_runs(step, units, addresses, cut.kv_heads_per_cta)
    tile_part = prepend_runs(kv_runs, tiles.ptr[:-1], q_address, q_bytes)
    parts = _fetch_parts(step, units, tiles, tile_part, cut, addresses, look_up)
    entries = _assist_entries(tiles, step, addresses, look_up.entry_bytes) if look_up.assist else None
    in_order = cut.profile.grid_order == "seq_head_split"
    return Launch(
        name="attention",
        ctas=CtaTable(
            tile_ptr=tiles.ptr,
            sequence=units.sequence.astype(np.int32),
            last_line=parts.last_line.astype(np.int32),
            root=parts.root.astype(np.int32),
            output=parts.output.astype(np.int32),
        ),
        work=work,
        tile_line=parts.tile_line.astype(np.int32),
        fetches=fetch_table(parts.runs, parts.classes, writes_from=int(parts.output[0]), entries=entries),
        buffer_bytes=cut.stages * int(work.packed_bytes.max(initial=0)),
        ctas_per_sm=cut.ctas_per_sm,
        mma=mma,
        prologue_clk=cut.profile.prologue_clk,
        epilogue_clk=cut.profile.epilogue_clk,
        token_issue_clk=_token_issue_clk(cut.profile, step.geometry.head_dim),
        barrier_clk=cut.profile.barrier_clk,
        loads_operands=cut.profile.mma_operands == "register",
        scale_bytes=scale_bytes(step, tiles, cut),
        scheduling=cut.profile.scheduling,
        item_clk=cut.profile.item_clk,
        start_order=None if in_order else start_order(units, cut.profile.grid_order),
        streams=2 if cut.profile.overlap == "pingpong" else 1,
    )


def _assist_entries(tiles: Tiles, step: Step, addresses: AddressMap, entry_bytes: int) -> Runs:
    """Block-table entries of each tile, for the hardware walkers: one run of entries per tile."""
    first = tiles.span.lo // step.page_tokens
    count = -(-tiles.span.hi // step.page_tokens) - first
    row = step.table_ptr[tiles.span.sequence]
    owner, rank = repeat_index(count)
    address = addresses.table_base + (row[owner] + first[owner] + rank) * entry_bytes
    return Runs(pointer(count), address, np.full(len(address), entry_bytes))


def fetch_table(
    parts: list[Runs], classes: list[NDArray[np.int64]], writes_from: int, entries: Runs | None = None
) -> FetchTable:
    runs = join_runs(parts)
    fetches = len(runs.ptr) - 1
    table = FetchTable(
        run_ptr=runs.ptr,
        run_addr=runs.address,
        run_bytes=runs.size.astype(np.int32),
        kind=(np.arange(fetches) >= writes_from).astype(np.uint8),
        cls=np.concatenate(classes).astype(np.uint8),
    )
    if entries is None:
        return table
    pad = np.full(fetches + 1 - len(entries.ptr), len(entries.address))
    return replace(table, entry_ptr=np.concatenate([entries.ptr, pad]), entry_addr=entries.address)


def scale_bytes(step: Step, tiles: Tiles, cut: Cut) -> int:
    """Scale metadata among the bytes that the tiles fetch."""
    g = step.geometry
    dims = (g.head_dim,) if g.latent else (g.head_dim, g.value_dim)
    per_token = np.array([sum(KV_STORAGE[f].scale_bytes_for(d) for d in dims) for f in step.formats])
    pieces = tiles.pieces
    return int((pieces.tokens * per_token[step.frame_format[pieces.frame]]).sum()) * cut.kv_heads_per_cta


def _token_issue_clk(profile: KernelProfile, head_dim: int) -> float:
    """Issue slots of a token: copies, fragment loads and MMA instructions grow with the values of its row."""
    return profile.tile_issue_clk / profile.tile_tokens[0] * head_dim / ISSUE_HEAD_DIM
