"""A launch at tile grain: which class of equal tiles each tile of each CTA belongs to, without its byte runs.

Tiles of one format that cover equal tokens with equal query rows cost the same wherever they lie, so one CTA of each
kind is lowered in full and lends its tiles to all of its kind. With formats mixed by age every tile is lowered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse import columns as c
from sim.coarse.ecc import further_check_bits
from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.device.stage_times import stage_times
from sim.lowering.attention import output_bytes
from sim.lowering.attention_tiles import QUERY_BYTES, TABLE_LINE_BYTES, tile_counts
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.runs import pointer, repeat_index
from sim.lowering.units import Units, start_order, take_units

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
PS_PER_NS = 1000
INDEX_BYTES = 4
ENTRIES_PER_LINE = TABLE_LINE_BYTES // INDEX_BYTES
"""Block-table entries in a line, of 4 bytes; where they have 8, two lines count as one."""
LENT = 3
"""Tiles that a CTA lends to its kind: the first one, whose fetch brings the query too, one of the middle, the last."""

Lower = Callable[[Units], Launch]


@dataclass(frozen=True)
class Grid:
    """tile_ptr [C + 1], tile_class [T], classes [K, CLASS_COLS], query [C] number of the rows that a CTA reads before
    its first tile (the splits of one output read the same), query_ptr [Q + 1] their bytes, behind those of the output;
    output_ptr [C + 1] bytes written by all CTAs before; `sample` is a lowered launch that has the constants of the
    whole one."""

    tile_ptr: Int64
    tile_class: Int32
    classes: Int64
    query: Int64
    query_ptr: Int64
    output_ptr: Int64
    sample: Launch
    copies: Int64
    """[tiles of `sample`] how many tiles of the grid each stands for."""
    order: Int64
    """[C] CTAs as they start."""
    blocks: Int64
    """[T] number of the blocks of inline ECC that each tile shares with those of other heads; -1: it shares none."""
    tables: Int64
    """[C] number of the line of the block table that each CTA reads first; -1: it reads none."""
    sequence: Int64
    """[C] of each CTA."""
    slices: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """Where several CTAs read a tile, slices of L2: [places x listed] of the blocks of all classes, wherever they lie;
    then those of the blocks of what is read more than once."""
    slices_of: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """[O] from which cell of `slices` on those of each object follow; -1: it lies anywhere."""
    channels: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """Where blocks wait each at its own channel of memory, those of the blocks of all classes (`channels`)."""
    begins: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """[O x pools] channel of the first block of each object."""
    lines: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    """[lines of the block table x (channel, partition that is home to it, slice there)]."""
    listed: int = 0

    @property
    def tiles(self) -> int:
        return len(self.tile_class)

    @property
    def ctas(self) -> int:
        return len(self.query)

    @property
    def query_bytes(self) -> Int64:
        """[C] bytes of the query rows that each CTA reads."""
        size: Int64 = np.diff(self.query_ptr)[self.query]
        return size

    @cached_property
    def tile_bytes(self) -> Int64:
        """[T] KV bytes of each tile."""
        sizes: Int64 = self.classes[:, c.BYTES].take(self.tile_class)
        return sizes

    @property
    def product_ps(self) -> int:
        """Time of all tiles' products, of one stream."""
        return int((self.classes[:, c.QK] + self.classes[:, c.PV]).take(self.tile_class).sum())

    @cached_property
    def memory_bytes(self) -> NDArray[np.float64]:
        """[T] bytes of a contiguous stream for which memory works as long as for each tile, all of it missing in L2
        and its check bits shared with no other."""
        added = self.classes[:, c.CHECK_BITS].take(self.tile_class)
        sizes: NDArray[np.float64] = self.tile_bytes * (1 + added / ONE)
        return sizes


def fetch_bytes(launch: Launch) -> Int64:
    """[F] bytes of each fetch."""
    size: Int64 = np.add.reduceat(launch.fetches.run_bytes.astype(np.int64), launch.fetches.run_ptr[:-1])
    return size


def port_ps(launch: Launch, hw: Hardware) -> Int64:
    """[F] cost of each fetch at the SM's port: a descriptor per run, then address generation by bytes."""
    clk = PS_PER_NS / hw.sm.clock_ghz
    runs, size = np.diff(launch.fetches.run_ptr), fetch_bytes(launch)
    per_run = hw.gather.engine_clk if hw.gather.engine else hw.gather.issue_clk
    cost: Int64 = np.rint((runs * per_run + size / hw.gather.bytes_per_clk) * clk).astype(np.int64)
    return cost


def line_cost(launch: Launch, hw: Hardware) -> tuple[int, int]:
    """(bytes, ps at the port) of the largest look-up in the block table; nothing where CTAs look nothing up."""
    lines = launch.tile_line[launch.tile_line >= 0]
    if len(lines) == 0:
        return 0, 0
    return int(fetch_bytes(launch)[lines].max()), int(port_ps(launch, hw)[lines].max())


def launch_classes(launch: Launch, formats: tuple[str, ...], hw: Hardware) -> Int64:
    """[T, CLASS_COLS] of every tile of a lowered launch."""
    times = stage_times(launch, formats, hw)
    table = np.zeros((launch.tiles, c.CLASS_COLS), np.int64)
    table[:, c.BYTES] = launch.work.packed_bytes
    table[:, c.PORT] = port_ps(launch, hw)[: launch.tiles]
    table[:, c.CHECK_BITS] = further_check_bits(launch, hw)[: launch.tiles]
    for column, values in (
        (c.ISSUE, times.issue),
        (c.UNPACK, times.unpack),
        (c.READ, times.read),
        (c.QK, times.qk),
        (c.QK_STALL, times.qk_stall),
        (c.EXP, times.exp),
        (c.ALU, times.alu),
        (c.PV, times.pv),
        (c.PV_STALL, times.pv_stall),
    ):
        table[:, column] = values
    return table


def grid_of_launch(launch: Launch, formats: tuple[str, ...], hw: Hardware) -> Grid:
    """A launch that was lowered in full."""
    classes, index = np.unique(launch_classes(launch, formats, hw), axis=0, return_inverse=True)
    writes = np.maximum(0, launch.ctas.output)
    return Grid(
        tile_ptr=launch.ctas.tile_ptr,
        tile_class=index.reshape(-1).astype(np.int32),
        classes=classes,
        query=np.zeros(launch.ctas.count, np.int64),
        query_ptr=np.zeros(2, np.int64),
        output_ptr=pointer(np.where(launch.ctas.output >= 0, fetch_bytes(launch)[writes], 0)),
        sample=launch,
        copies=np.ones(launch.tiles, np.int64),
        order=launch.order,
        blocks=np.full(launch.tiles, -1, np.int64),
        tables=np.full(launch.ctas.count, -1, np.int64),
        sequence=launch.ctas.sequence.astype(np.int64),
    )


def attention_grid(step: Step, units: Units, cut: Cut, hw: Hardware, lower: Lower) -> Grid:
    """The grid of an attention launch. `lower` makes a launch of some of its CTAs."""
    written = pointer(output_bytes(step, units, cut))
    query, query_ptr = query_rows(units, cut.kv_heads_per_cta * step.geometry.head_dim * QUERY_BYTES)
    query_ptr += written[-1]
    if len(step.formats) > 1:
        grid = grid_of_launch(lower(units), step.formats, hw)
        tables = table_lines(step, units, grid.sample)
        return replace(grid, query=query, query_ptr=query_ptr, tables=tables)
    counts = tile_counts(units, cut)
    last = units.hi - units.lo - (counts - 1) * cut.tile_tokens
    lent = np.minimum(counts, LENT)
    kinds, kind = np.unique(np.stack([units.rows, last, lent], axis=1), axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    first = np.full(len(kinds), -1, np.int64)
    first[kind[::-1]] = np.arange(len(kind))[::-1]
    short = take_units(units, first)
    short.hi[:] = short.lo + (kinds[:, 2] - 1) * cut.tile_tokens + kinds[:, 1]
    sample = lower(short)
    classes = launch_classes(sample, step.formats, hw)
    ptr = pointer(counts)
    begin, end = sample.ctas.tile_ptr[:-1], sample.ctas.tile_ptr[1:]
    tile_class = np.repeat(np.maximum(begin, end - 2)[kind], counts).astype(np.int32)
    tile_class[ptr[:-1]] = begin[kind]
    tile_class[ptr[1:] - 1] = end[kind] - 1
    copies = np.bincount(tile_class, minlength=sample.tiles).astype(np.int64)
    order = start_order(units, cut.profile.grid_order)
    blocks = tile_blocks(units, cut, hw, sample, counts)
    tables = table_lines(step, units, sample)
    return Grid(
        tile_ptr=ptr,
        tile_class=tile_class,
        classes=classes,
        query=query,
        query_ptr=query_ptr,
        output_ptr=written,
        sample=sample,
        copies=copies,
        order=order,
        blocks=blocks,
        tables=tables,
        sequence=units.sequence,
    )


def query_rows(units: Units, row_bytes: int) -> tuple[Int64, Int64]:
    """([C] number of the query rows that each CTA reads, [Q + 1] their bytes): those of its output block."""
    _, first, number = np.unique(units.group, return_index=True, return_inverse=True)
    return number.reshape(-1).astype(np.int64), pointer(units.rows[first] * row_bytes)


def tile_blocks(units: Units, cut: Cut, hw: Hardware, sample: Launch, counts: Int64) -> Int64:
    """[T] number of the blocks of inline ECC that a tile reads: tiles of neighbouring heads have the same ones where a
    head's piece of a token is shorter than a block; -1: no other tile has them. counts: [C] tiles of each CTA."""
    piece = int(sample.fetches.run_bytes[: sample.fetches.run_ptr[1]].min())
    heads = hw.hbm.inline_ecc_bytes // (piece * cut.kv_heads_per_cta)
    if heads < 2:
        return np.full(int(counts.sum()), -1, np.int64)
    cta, rank = repeat_index(counts)
    token = units.lo[cta] + rank * cut.tile_tokens
    keys = (units.sequence[cta], units.head[cta] // heads, token)
    numbers: Int64 = np.unique(
        np.ravel_multi_index(keys, [int(key.max()) + 1 for key in keys]), return_inverse=True
    )[1]
    return numbers


def table_lines(step: Step, units: Units, sample: Launch) -> Int64:
    """[C] number of the line of the block table that has a CTA's first entry, where CTAs wait for further ones those
    between them counted too; -1: `sample` looks nothing up."""
    if not (sample.tile_line >= 0).any() and len(sample.fetches.entry_addr) == 0:
        return np.full(len(units.sequence), -1, np.int64)
    entry = step.table_ptr[units.sequence] + units.lo // step.page_tokens
    lines: Int64 = entry // ENTRIES_PER_LINE
    if sample.tiles_per_look_up:
        lines = lines - int(lines.min())
    else:
        lines = np.unique(lines, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return lines


def last_lines(grid: Grid) -> NDArray[np.int64]:
    """[C] number of the last line of the block table that each CTA may ask for."""
    sample = grid.sample
    if not sample.tiles_per_look_up:
        return grid.tables
    further: NDArray[np.int64] = np.diff(grid.tile_ptr) // sample.tiles_per_look_up * sample.lines_per_look_up
    return further + grid.tables
