"""Split-KV reduction: read the partial outputs of every split, rescale by their log-sum-exp, write the result.

One CTA takes up to `combine_rows` output rows of one group; it reads the log-sum-exps of its splits first, which
decide the weights, and then one FP32 row per split (Flash-Decoding; FlashAttention's combine kernel works on small row
blocks, others on single rows). A kernel of its own pays the entry cost of its framework's kernels again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.lowering.attention import OUTPUT_BYTES, PARTIAL_BYTES, fetch_table
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.runs import Runs, pointer, repeat_index, single_runs
from sim.lowering.units import Units
from sim.memory.addresses import AddressMap
from sim.memory.fetches import FetchTable, TrafficClass

Int64 = NDArray[np.int64]

COMBINE_CTAS_PER_SM = 8
LSE_BYTES = 4
OPS_PER_VALUE = 2
"""FP32 multiply and add for each partial value."""


@dataclass(frozen=True)
class Blocks:
    """[B] combine CTAs: rows [first, first + count) of the output of `leader`, the first split of its group."""

    leader: Int64
    first: Int64
    count: Int64


def combine_blocks(units: Units, cut: Cut) -> Blocks:
    """The row blocks of every group that was split, group after group."""
    return blocks_of(np.flatnonzero((units.split == 0) & (units.splits > 1)), units, cut)


def blocks_of(leaders: Int64, units: Units, cut: Cut) -> Blocks:
    """The row blocks of the groups whose first splits are `leaders`."""
    rows = units.rows[leaders] * cut.kv_heads_per_cta
    most = cut.profile.combine_rows
    owner, block = repeat_index(-(-rows // most))
    first = block * most
    return Blocks(leaders[owner], first, np.minimum(most, rows[owner] - first))


def combine_starts(units: Units, cut: Cut) -> Int64:
    """First combine CTA of each split group, in the order of the groups' first splits."""
    starts: Int64 = np.flatnonzero(combine_blocks(units, cut).first == 0)
    return starts


@dataclass(frozen=True)
class Merge:
    """[B] merge CTAs: output rows, and [N] partial rows that each reads (`ptr` [B + 1], address of the first row)."""

    sequence: Int64
    output_row: Int64
    rows: Int64
    ptr: Int64
    address: Int64

    @property
    def partials(self) -> Int64:
        """[B] partial results of each row."""
        return np.diff(self.ptr)


def split_merge(step: Step, units: Units, blocks: Blocks, cut: Cut, addresses: AddressMap) -> Merge:
    """The splits of each block's output; partial results lie CTA after CTA."""
    row_bytes = step.geometry.value_dim * PARTIAL_BYTES + LSE_BYTES
    size = units.rows * cut.kv_heads_per_cta * row_bytes
    start = addresses.partial_base + np.cumsum(size) - size
    splits = units.splits[blocks.leader]
    cta, split = repeat_index(splits)
    return Merge(
        sequence=units.sequence[blocks.leader],
        output_row=units.output_row[blocks.leader] + blocks.first,
        rows=blocks.count,
        ptr=pointer(splits),
        address=start[blocks.leader[cta] + split] + blocks.first[cta] * row_bytes,
    )


def _fetches(step: Step, merge: Merge, addresses: AddressMap) -> FetchTable:
    """Per CTA: the partial rows of its splits, their log-sum-exps, the output; in this order over all CTAs."""
    value_dim, count = step.geometry.value_dim, len(merge.rows)
    value_bytes = value_dim * PARTIAL_BYTES
    rows = np.repeat(merge.rows, merge.partials)
    output = addresses.output_base + merge.output_row * value_dim * OUTPUT_BYTES
    partial = np.full(count, TrafficClass.PARTIAL)
    return fetch_table(
        [
            Runs(merge.ptr, merge.address, rows * value_bytes),
            Runs(merge.ptr, merge.address + rows * value_bytes, rows * LSE_BYTES),
            single_runs(output, merge.rows * value_dim * OUTPUT_BYTES),
        ],
        [partial, partial, np.full(count, TrafficClass.OUTPUT)],
        writes_from=2 * count,
    )


def build_combine(step: Step, units: Units, cut: Cut, addresses: AddressMap) -> Launch | None:
    """The second kernel of a split launch, or None when nothing was split, or clusters have merged it."""
    if cut.clustered:
        return None
    blocks = combine_blocks(units, cut)
    if not len(blocks.leader):
        return None
    return merge_launch(step, split_merge(step, units, blocks, cut, addresses), cut, addresses)


def merge_launch(step: Step, merge: Merge, cut: Cut, addresses: AddressMap) -> Launch:
    """The kernel that merges partial results."""
    count = len(merge.rows)
    partials = merge.partials * merge.rows
    value_dim = step.geometry.value_dim
    own_kernel = cut.profile.merges_in_a_kernel
    none, zero = np.full(count, -1, np.int32), np.zeros(count, np.int64)
    packed = partials * (value_dim * PARTIAL_BYTES + LSE_BYTES)
    return Launch(
        name="combine",
        ctas=CtaTable(
            tile_ptr=np.arange(count + 1, dtype=np.int64),
            sequence=merge.sequence.astype(np.int32),
            last_line=none,
            root=np.arange(count, 2 * count, dtype=np.int32),
            output=np.arange(2 * count, 3 * count, dtype=np.int32),
        ),
        work=TileWork(
            tokens=merge.partials.astype(np.int32),
            computed=merge.partials.astype(np.int32),
            token_first=zero.astype(np.int32),
            packed_bytes=packed,
            unpack_values=zero,
            qk_flops=zero,
            pv_flops=zero,
            sram_bytes=zero,
            exps=partials,
            alu_ops=OPS_PER_VALUE * partials * value_dim,
        ),
        tile_line=none,
        fetches=_fetches(step, merge, addresses),
        buffer_bytes=int(packed.max()),
        ctas_per_sm=COMBINE_CTAS_PER_SM,
        mma="fp16",
        prologue_clk=cut.profile.combine_clk,
        epilogue_clk=0,
        token_issue_clk=cut.profile.combine_split_clk,
        barrier_clk=0,
        follows_at_once=not own_kernel,
        launched_early=cut.profile.combine == "early_kernel",
        code_trips=USUAL_CODE_TRIPS if own_kernel else 0,
    )
