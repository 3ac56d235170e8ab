"""Lower one attention step to a launch: tiled, online-softmax attention over a paged KV cache.

One file serves decode, verify, chunked and whole prefill: they differ in the query rows per CTA and in the causal
range of each query block (FlashAttention-2, Flash-Decoding). Padded MMA rows cost tensor and exponential time, as
they do in the real kernels, but are never counted as useful FLOPs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.lowering.attention_tiles import (
    TABLE_LINE_BYTES,
    LookUp,
    Tiles,
    lower_tiles,
    tile_counts,
    tiles_per_line,
)
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch
from sim.lowering.operands import mma_format
from sim.lowering.runs import Runs, join_runs, pointer, single_runs
from sim.lowering.units import Units, start_order
from sim.memory.addresses import AddressMap
from sim.memory.fetches import FetchTable, TrafficClass

Int64 = NDArray[np.int64]

OUTPUT_BYTES = 2
PARTIAL_BYTES = 4
ISSUE_HEAD_DIM = 128
"""Values per row at which profiles state the issue slots of a tile."""


def partial(units: Units, cut: Cut) -> NDArray[np.bool_]:
    """[C] whether a CTA leaves a partial result in memory."""
    return (units.splits > 1) & (not cut.clustered)


def output_runs(step: Step, units: Units, addresses: AddressMap, cut: Cut) -> Runs:
    """Where each CTA writes: its output rows, or its share of them as part of a cluster, or a partial result (FP32 row
    and log-sum-exp) per split."""
    width, rows = step.geometry.value_dim, units.rows * cut.kv_heads_per_cta
    partial_size = rows * (width + 1) * PARTIAL_BYTES
    size = output_bytes(step, units, cut)
    address = np.where(
        partial(units, cut),
        addresses.partial_base + np.cumsum(partial_size) - partial_size,
        addresses.output_base + units.output_row * width * OUTPUT_BYTES + units.split * size * cut.clustered,
    )
    return single_runs(address, size)


def output_bytes(step: Step, units: Units, cut: Cut) -> Int64:
    """[C] bytes that each CTA writes. The CTAs of a cluster share its output, the last ones with less of it."""
    width, rows = step.geometry.value_dim, units.rows * cut.kv_heads_per_cta
    if cut.clustered:
        share = -(-rows * width // units.splits)
        return np.clip(rows * width - units.split * share, 0, share) * OUTPUT_BYTES
    size: Int64 = np.where(units.splits > 1, (width + 1) * PARTIAL_BYTES, width * OUTPUT_BYTES)
    return rows * size


@dataclass(frozen=True)
class FetchParts:
    """Fetches of a launch in order: tiles, block-table lines, directory lines, outputs; what points at them."""

    runs: list[Runs]
    classes: list[NDArray[np.uint8]]
    last_line: Int64
    tile_line: Int64
    root: Int64
    output: Int64


def _fetch_parts(
    step: Step, units: Units, tiles: Tiles, cut: Cut, addresses: AddressMap, look_up: LookUp
) -> FetchParts:
    count, fetches = len(units.sequence), len(tiles.work.tokens)
    last = root = np.full(count, -1, np.int64)
    tile_line = np.broadcast_to(np.int64(-1), fetches)
    runs, classes = [*tiles.runs], [_all(fetches, TrafficClass.KV)]
    if tiles.lines is not None:
        lines = tiles.lines
        last, tile_line = fetches + lines.last, fetches + lines.tile_line
        n_lines = len(lines.runs.address)
        runs.append(lines.runs)
        classes.append(_all(n_lines, TrafficClass.METADATA))
        fetches += n_lines
        if look_up.two_level:
            root = fetches + np.arange(count)
            runs.append(single_runs(addresses.directory_base + units.sequence * 128, np.full(count, 8)))
            classes.append(_all(count, TrafficClass.METADATA))
            fetches += count
    runs.append(output_runs(step, units, addresses, cut))
    classes.append(np.where(partial(units, cut), TrafficClass.PARTIAL, TrafficClass.OUTPUT).astype(np.uint8))
    return FetchParts(runs, classes, last, tile_line, root, fetches + np.arange(count))


def _all(count: int, cls: TrafficClass) -> NDArray[np.uint8]:
    return np.full(count, cls, np.uint8)


def build_attention(
    step: Step, units: Units, cut: Cut, hw: Hardware, addresses: AddressMap, look_up: LookUp
) -> Launch:
    """The whole launch: one fetch per tile (the first one of a CTA with its query rows), then table lines, outputs."""
    mma = mma_format(step, cut, hw)
    tiles = lower_tiles(step, units, cut, mma, hw, addresses, look_up)
    parts = _fetch_parts(step, units, tiles, cut, addresses, look_up)
    tile_ptr = pointer(tile_counts(units, cut))
    waits = _tiles_per_look_up(step, cut, look_up)
    in_order = cut.profile.grid_order == "seq_head_split" and not cut.begun
    return Launch(
        name="attention",
        ctas=CtaTable(
            tile_ptr=tile_ptr,
            sequence=units.sequence.astype(np.int32),
            last_line=parts.last_line.astype(np.int32),
            root=parts.root.astype(np.int32),
            output=parts.output.astype(np.int32),
        ),
        work=tiles.work,
        tile_line=parts.tile_line.astype(np.int32),
        fetches=fetch_table(parts.runs, parts.classes, int(parts.output[0]), tiles.entries, tile_ptr),
        buffer_bytes=cut.stages * int(tiles.work.packed_bytes.max(initial=0)),
        ctas_per_sm=cut.ctas_per_sm,
        mma=mma,
        prologue_clk=cut.profile.prologue_clk,
        epilogue_clk=cut.profile.epilogue_clk + merge_clk(cut),
        token_issue_clk=token_issue_clk(cut.profile, step.geometry.head_dim),
        barrier_clk=cut.profile.barrier_clk,
        unpack_per_clk=cut.profile.unpack_values_per_clk,
        loads_operands=cut.profile.mma_operands == "register",
        code_trips=cut.profile.code_trips,
        scale_bytes=tiles.scale_bytes,
        tiles_per_look_up=waits,
        lines_per_look_up=max(
            1, waits * cut.tile_tokens * look_up.entry_bytes // (step.page_tokens * TABLE_LINE_BYTES)
        ),
        scheduling=cut.profile.scheduling,
        item_clk=cut.profile.item_clk,
        search_clk=0 if cut.profile.scheduling == "grid" else cut.profile.search_clk,
        runs_ahead=cut.profile.runs_ahead,
        start_order=None if in_order else start_order(units, cut.profile.grid_order),
        streams=2 if cut.profile.overlap == "pingpong" else 1,
    )


def merge_clk(cut: Cut) -> float:
    """Clocks that a CTA of a cluster takes to merge its share of the output, once it has computed its own part."""
    if not cut.clustered:
        return 0.0
    return cut.profile.cluster_clk + cut.splits * cut.profile.combine_split_clk


def fetch_table(
    parts: Sequence[Runs],
    classes: Sequence[NDArray[Any]],
    writes_from: int,
    entries: Runs | None = None,
    tile_ptr: NDArray[np.int64] | None = None,
) -> FetchTable:
    """Reads, then writes from fetch `writes_from` on. entries: the block-table entries of the first fetches, which are
    the tiles, for an assist; tile_ptr: bounds of each CTA's tiles.
    """
    runs = join_runs(parts)
    fetches = len(runs.ptr) - 1
    table = FetchTable(
        run_ptr=runs.ptr,
        run_addr=runs.address,
        run_bytes=runs.size.astype(np.int32),
        kind=np.repeat(np.array([0, 1], np.uint8), [writes_from, fetches - writes_from]),
        cls=np.concatenate(classes).astype(np.uint8),
    )
    if entries is None or tile_ptr is None:
        return table
    pad = np.full(fetches + 1 - len(entries.ptr), len(entries.address))
    return replace(
        table,
        entry_ptr=np.concatenate([entries.ptr, pad]),
        entry_addr=entries.address,
        entry_ends=entries.ptr[tile_ptr[1:]],
    )


def _tiles_per_look_up(step: Step, cut: Cut, look_up: LookUp) -> int:
    """0 where software does not look up, or ahead of its use."""
    waits = look_up.software and cut.profile.page_indices == "at_use"
    return tiles_per_line(step, cut, look_up.entry_bytes) if waits else 0


def token_issue_clk(profile: KernelProfile, head_dim: int) -> float:
    """Issue slots of a token: copies, fragment loads and MMA instructions grow with the values of its row."""
    return profile.tile_issue_clk / profile.tile_tokens[0] * head_dim / ISSUE_HEAD_DIM
