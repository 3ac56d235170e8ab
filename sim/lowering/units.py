"""CTAs of an attention launch: sequence x KV-head group x query block x KV split.

Split-KV (Flash-Decoding) divides a context into chunks: of one length for all sequences, so that a ragged batch gets
CTAs of similar length, or of the length that the kernel's own rule gives each. Query rows of one KV head share a CTA
when the kernel packs GQA.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.kernel_profile import KernelProfile
from sim.lowering.block_order import heads_and_blocks, section_heads
from sim.lowering.cut import Cut
from sim.lowering.pairs import pair_end
from sim.lowering.runs import repeat_index

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """[C] arrays. `group` numbers the outputs: CTAs of one group are the splits of one output block."""

    sequence: Int64
    head: Int64
    """First KV head."""
    rows: Int64
    """Query rows per KV head in this CTA."""
    head_group: Int64
    """Which of the grid's divisions over heads."""
    q_first: Int64
    """First new token of the query block, and how many."""
    q_count: Int64
    output_row: Int64
    """First output row. The rows of a sequence lie head group after head group, so that those of a CTA are one piece,
    which no other CTA has; as [token, head] they would be a piece per token."""
    lo: Int64
    hi: Int64
    split: Int64
    splits: Int64
    group: Int64
    half: Int64
    """Which half of its tiles a CTA loads where pairs share them (`cta_pairs`)."""
    turn: Int64
    """KV tokens for which the persistent CTA that has it by the kernel's plan works on others before."""


def take_units(units: Units, keep: Int64 | slice) -> Units:
    """The CTAs `keep` of a grid."""
    return Units(**{name: getattr(units, name)[keep] for name in Units.__dataclass_fields__})


def _head_groups(step: Step, profile: KernelProfile, kv_heads_per_cta: int) -> tuple[int, int, int]:
    """(CTA groups over heads, rows per query token in one group, blocks that one head's rows fall into)."""
    geometry = step.geometry
    per_kv_head = geometry.q_heads // geometry.kv_heads
    if not profile.pack_gqa:
        return geometry.q_heads, 1, 1
    blocks = -(-per_kv_head // profile.m_tile)
    return geometry.kv_heads // kv_heads_per_cta, -(-per_kv_head // blocks), blocks


def unsplit_ctas(step: Step, profile: KernelProfile, kv_heads_per_cta: int) -> Int64:
    """[B] CTAs of each sequence before its KV is split."""
    groups, rows_per_token, blocks = _head_groups(step, profile, kv_heads_per_cta)
    q_blocks = -(-step.q_len.astype(np.int64) // max(1, profile.m_tile // rows_per_token))
    return groups * blocks * q_blocks


ORDER_KEYS = {
    "seq_head_split": (),
    "head_seq_split": ("split", "sequence", "head_group"),
    "split_seq_head": ("head_group", "sequence", "split"),
    "split_head_seq": ("sequence", "head_group", "split"),
}
"""Sort keys of a grid order, fastest index first; none: as they are numbered (with heads in turns, `block_order`)."""


def start_order(units: Units, grid_order: str) -> Int64:
    """[C] CTAs in the order in which the block scheduler starts them; query blocks of a head stay as they are.

    Where a plan lets persistent CTAs work on several, those come last that it starts last.
    """
    keys = [getattr(units, name) for name in ORDER_KEYS[grid_order]]
    order: Int64 = np.lexsort([*keys, units.turn])
    return order


def attention_units(step: Step, cut: Cut, first: int = 0) -> Units:
    """Enumerate the CTAs, query blocks in the kernel's order (`sim.lowering.block_order`), splits innermost.

    A KV block that the causal mask cuts is read and computed whole, as far as there are tokens.

    Tokens before `first` are left out: another kernel has them.
    """
    groups, rows_per_token, blocks = _head_groups(step, cut.profile, cut.kv_heads_per_cta)
    block_tokens = max(1, cut.profile.m_tile // rows_per_token)
    q_len = step.q_len.astype(np.int64)
    q_blocks = -(-q_len // block_tokens)
    owner, rank = repeat_index(groups * blocks * q_blocks)
    sequence = owner
    per_head = q_blocks[sequence]
    section = section_heads(step)[sequence] * max(1, groups * blocks // step.geometry.kv_heads)
    order = cut.profile.block_order if step.geometry.causal else "head_longest"
    head_block, q_block = heads_and_blocks(order, rank, per_head, groups * blocks, section)
    q_first = q_block * block_tokens
    q_last = np.minimum(q_first + block_tokens, q_len[sequence])
    past = step.context.astype(np.int64)[sequence] - q_len[sequence]
    reach = pair_end(q_block, block_tokens, q_len[sequence]) if cut.profile.cta_pairs else q_last
    hi = past + (reach if step.geometry.causal else q_len[sequence])
    if step.geometry.causal and cut.profile.block_tiles > 1:
        block = cut.profile.block_tiles * cut.tile_tokens
        hi = np.minimum(-(-hi // block) * block, step.context.astype(np.int64)[sequence])
    window = step.geometry.window
    lo = np.maximum(0, past + q_first + 1 - window) if window else np.zeros_like(hi)
    lo = np.maximum(lo, first)
    q_start = np.cumsum(q_len) - q_len
    begun = np.asarray(cut.begun, np.int64)[sequence] if cut.begun else np.zeros_like(lo)
    split_owner, split, splits, chunk_lo, chunk_hi = _split(lo, hi, sequence, begun, cut)
    group_head = head_block // blocks
    head = group_head * cut.kv_heads_per_cta
    if not cut.profile.pack_gqa:
        head = group_head // (step.geometry.q_heads // step.geometry.kv_heads)
    in_token = rows_per_token * cut.kv_heads_per_cta
    before = q_start[sequence] * step.geometry.q_heads + head_block * in_token * q_len[sequence]
    output_row = before + q_first * in_token
    rows = (q_last - q_first) * rows_per_token
    return Units(
        sequence=sequence[split_owner],
        head=head[split_owner],
        rows=rows[split_owner],
        head_group=head_block[split_owner],
        q_first=q_first[split_owner],
        q_count=(q_last - q_first)[split_owner],
        output_row=output_row[split_owner],
        lo=chunk_lo,
        hi=chunk_hi,
        split=split,
        splits=splits[split_owner],
        group=split_owner,
        half=q_block[split_owner] % 2,
        turn=np.where(split == 0, begun[split_owner], 0),
    )


def _split(
    lo: Int64, hi: Int64, sequence: Int64, begun: Int64, cut: Cut
) -> tuple[Int64, Int64, Int64, Int64, Int64]:
    if cut.chunks:
        chunk = np.asarray(cut.chunks, np.int64)[sequence]
    else:
        tiles = np.maximum(1, -(-(hi - lo) // cut.tile_tokens))
        chunk = np.full(len(lo), -(-int(tiles.max(initial=1)) // cut.splits) * cut.tile_tokens)
    splits = np.maximum(1, -(-(hi - lo + begun) // chunk))
    owner, split = repeat_index(splits)
    start = (lo - begun)[owner] + split * chunk[owner]
    return owner, split, splits, np.maximum(start, lo[owner]), np.minimum(start + chunk[owner], hi[owner])
