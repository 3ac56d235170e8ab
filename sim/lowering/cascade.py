"""Cascade decoding: a prefix that all sequences share is attended once, for the query rows of all of them together.

Two attention kernels and a merge (FlashInfer's multi-level cascade, Hydragen arXiv:2402.05099). The prefix kernel packs
the rows of whole sequences into its row blocks, so that each KV tile of the prefix is fetched once per row block
instead of once per sequence; the suffix kernel is ordinary split decoding behind the prefix; the merge rescales the
partial results of both. Query rows of several sequences count as one contiguous read.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.lowering.attention import PARTIAL_BYTES, build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.combine import LSE_BYTES, Merge, blocks_of, merge_launch
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.runs import pointer, repeat_index
from sim.lowering.split_rules import Grid, chunk_tokens
from sim.lowering.units import Units, attention_units, unsplit_ctas
from sim.memory.addresses import AddressMap

Int64 = NDArray[np.int64]


def shared_tokens(step: Step) -> int:
    """Tokens of whole leading pages that every sequence has in common, all before the first new token; 0 for one."""
    if step.sequences < 2:
        return 0
    past = int((step.context - step.q_len).min()) // step.page_tokens
    rows = step.table[step.table_ptr[:-1, None] + np.arange(past)]
    same = (rows == rows[0]).all(axis=0)
    return int(past if same.all() else np.argmin(same)) * step.page_tokens


@dataclass(frozen=True)
class RowBlocks:
    """[N] row blocks of the prefix kernel: `tokens` new tokens from the `q_first`-th one of sequence `first` on, and a
    KV-head group. Blocks of a KV-head group follow each other `groups` apart."""

    first: Int64
    q_first: Int64
    tokens: Int64
    group: Int64
    groups: int

    def holding(self, sequence: Int64, q_first: Int64) -> Int64:
        """Which of the blocks of one KV-head group hold these new tokens."""
        width = int(max(self.q_first.max(), q_first.max())) + 1
        keys = (self.first * width + self.q_first)[:: self.groups]
        found: Int64 = np.searchsorted(keys, sequence * width + q_first, side="right") - 1
        return found


def row_blocks(step: Step, cut: Cut) -> RowBlocks:
    """Whole sequences, as many as the kernel's row tile takes; or parts of each, cut as the suffix kernel cuts it,
    where not one fits."""
    q_len = step.q_len.astype(np.int64)
    most = max(1, cut.profile.m_tile // (step.geometry.q_heads // step.geometry.kv_heads))
    each = most // int(q_len.max())
    if each:
        first = np.arange(0, step.sequences, each, dtype=np.int64)
        q_first, tokens = np.zeros_like(first), np.add.reduceat(q_len, first)
    else:
        first, part = repeat_index(-(-q_len // most))
        q_first = part * most
        tokens = np.minimum(most, q_len[first] - q_first)
    groups = step.geometry.kv_heads // cut.kv_heads_per_cta
    block, group = repeat_index(np.full(len(first), groups))
    return RowBlocks(first[block], q_first[block], tokens[block], group, groups)


def _chunks(step: Step, cut: Cut, hw: Hardware, blocks: Int64, tokens: Int64) -> Int64:
    """[B] KV tokens of a CTA: by the kernel's own rule, or by a given number of splits of the longest."""
    if not cut.chunks:
        tiles = -(-int(tokens.max()) // cut.tile_tokens)
        return np.full(len(tokens), -(-tiles // cut.splits) * cut.tile_tokens)
    grid = Grid(
        blocks=blocks,
        tokens=tokens,
        head_dim=step.geometry.head_dim,
        tile_tokens=cut.tile_tokens,
        page_tokens=step.page_tokens,
        sms=hw.sm.count,
        max_splits=cut.profile.max_splits,
        min_tokens=cut.profile.min_split_tokens,
    )
    return chunk_tokens(grid, cut.profile.split)


def prefix_units(step: Step, cut: Cut, hw: Hardware, prefix: int) -> Units:
    """CTAs of the prefix kernel; all read the pages of sequence 0. `group` numbers the row blocks."""
    blocks = row_blocks(step, cut)
    chunk = int(_chunks(step, cut, hw, np.array([len(blocks.first)]), np.array([prefix]))[0])
    pieces = -(-prefix // chunk)
    owner, split = repeat_index(np.full(len(blocks.first), pieces))
    per_head = step.geometry.q_heads // step.geometry.kv_heads
    q_start = np.cumsum(step.q_len.astype(np.int64)) - step.q_len
    head = blocks.group * cut.kv_heads_per_cta
    rows_before = blocks.q_first * per_head * cut.kv_heads_per_cta
    lo = split * chunk
    return Units(
        sequence=np.zeros(len(owner), np.int64),
        head=head[owner],
        rows=(blocks.tokens * per_head)[owner],
        head_group=blocks.group[owner],
        q_first=blocks.q_first[owner],
        q_count=blocks.tokens[owner],
        output_row=(q_start[blocks.first] * step.geometry.q_heads + head * per_head + rows_before)[owner],
        lo=lo,
        hi=np.minimum(lo + chunk, prefix),
        split=split,
        splits=np.full(len(owner), pieces + 1),
        group=owner,
        half=np.zeros(len(owner), np.int64),
        turn=np.zeros(len(owner), np.int64),
    )


def suffix_units(step: Step, cut: Cut, hw: Hardware, prefix: int) -> Units:
    """CTAs behind the prefix, split by the kernel's own rule for what is left."""
    left = step.context.astype(np.int64) - prefix
    blocks = unsplit_ctas(step, cut.profile, cut.kv_heads_per_cta)
    chunks = _chunks(step, cut, hw, blocks, left)
    return attention_units(step, replace(cut, chunks=tuple(chunks.tolist())), first=prefix)


def _merge(step: Step, cut: Cut, before: Units, after: Units, starts: tuple[Int64, Int64]) -> Merge:
    """Which partial rows each merge CTA reads: those of its sequence in the prefix's pieces, and in its own."""
    merged = blocks_of(np.flatnonzero(after.split == 0), after, cut)
    leader, first = merged.leader, merged.first
    blocks = row_blocks(step, cut)
    per_head = step.geometry.q_heads // step.geometry.kv_heads
    holding = blocks.holding(after.sequence[leader], after.q_first[leader])
    row_block = holding * blocks.groups + after.head_group[leader]
    q_start = np.cumsum(step.q_len.astype(np.int64)) - step.q_len
    first_token = q_start[blocks.first] + blocks.q_first
    offset = q_start[after.sequence[leader]] + after.q_first[leader] - first_token[row_block]
    pieces = int(before.split.max()) + 1
    counts = pieces + after.splits[leader]
    cta, rank = repeat_index(counts)
    row_bytes = step.geometry.value_dim * PARTIAL_BYTES + LSE_BYTES
    in_prefix = rank < pieces
    shared = starts[0][np.where(in_prefix, row_block[cta] * pieces + rank, 0)]
    own = starts[1][np.where(in_prefix, 0, leader[cta] + rank - pieces)]
    shift = first[cta] + np.where(in_prefix, offset[cta] * per_head * cut.kv_heads_per_cta, 0)
    return Merge(
        sequence=after.sequence[leader],
        output_row=after.output_row[leader] + first,
        rows=merged.count,
        ptr=pointer(counts),
        address=np.where(in_prefix, shared, own) + shift * row_bytes,
    )


def _partial_bytes(step: Step, cut: Cut, units: Units) -> Int64:
    row = step.geometry.value_dim * PARTIAL_BYTES + LSE_BYTES
    size: Int64 = units.rows * cut.kv_heads_per_cta * row
    return size


def build_cascade(step: Step, cut: Cut, hw: Hardware, addresses: AddressMap, look_up: LookUp) -> list[Launch]:
    """The prefix kernel, the suffix kernel and their merge."""
    prefix = shared_tokens(step)
    before, after = prefix_units(step, cut, hw, prefix), suffix_units(step, cut, hw, prefix)
    sizes = _partial_bytes(step, cut, before), _partial_bytes(step, cut, after)
    base = addresses.partial_base
    behind = base + int(sizes[0].sum())
    starts = base + np.cumsum(sizes[0]) - sizes[0], behind + np.cumsum(sizes[1]) - sizes[1]
    merged = replace(after, splits=after.splits + int(before.split.max()) + 1)
    kernels = [
        build_attention(step, before, cut, hw, addresses, look_up),
        build_attention(step, merged, cut, hw, replace(addresses, partial_base=behind), look_up),
    ]
    merge = merge_launch(step, _merge(step, cut, before, after, starts), cut, addresses)
    # the same code again
    return [kernels[0], replace(kernels[1], name="suffix", code_trips=0), merge]


def needs_prefix(step: Step, profile: KernelProfile) -> str | None:
    """Why a cascade cannot run this step, or None."""
    if profile.algorithm != "cascade":
        return None
    heads = step.geometry.q_heads // step.geometry.kv_heads
    if heads > profile.m_tile:
        return f"its row blocks hold {profile.m_tile} query heads of a KV head, not {heads}"
    if shared_tokens(step):
        return None
    return f"it needs a prefix of a whole page ({step.page_tokens} tokens) that two or more sequences share"
