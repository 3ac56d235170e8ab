"""The first FlashAttention (arXiv:2205.14135, algorithm 1): KV blocks outside, query rows inside.

One CTA owns one head of one sequence, so that batch x heads is all the parallelism there is. For every KV block, which
stays in SRAM, it walks all query rows; their unfinished outputs (FP32) are written to memory and read back for the next
KV block. Warps split the KV block: each computes part of every output row, and the parts meet in shared memory
(FlashAttention-2, arXiv:2307.08691, sections 3.1 to 3.3, names these three as what it changed). Under a causal mask,
query rows before the block are skipped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.lowering.attention import OUTPUT_BYTES, PARTIAL_BYTES, fetch_table
from sim.lowering.attention_tiles import QUERY_BYTES
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.operands import mma_format
from sim.lowering.runs import Runs, TileSpan, prepend_runs, repeat_index, single_runs, tile_runs
from sim.memory.addresses import AddressMap
from sim.memory.fetches import TrafficClass

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Passes:
    """[P] (CTA, KV block) pairs in order, and [T] tiles: the query row groups of each pass.

    ptr: [C + 1] tiles of each CTA; first: the tile of each pass that also brings the KV block.
    """

    cta: Int64
    lo: Int64
    hi: Int64
    first: Int64
    pass_of: Int64
    row: Int64
    rows: Int64
    ptr: Int64


def kv_passes(step: Step, cut: Cut) -> Passes:
    """Every CTA's KV blocks, and for each the groups of m_tile query rows that see any of it."""
    heads, m_tile = step.geometry.q_heads, cut.profile.m_tile
    count = step.sequences * heads
    context = np.repeat(step.context.astype(np.int64), heads)
    q_len = np.repeat(step.q_len.astype(np.int64), heads)
    cta, block = repeat_index(-(-context // cut.tile_tokens))
    lo = block * cut.tile_tokens
    unseen = np.maximum(0, lo - (context - q_len)[cta]) if step.geometry.causal else np.zeros_like(lo)
    skipped = np.minimum(unseen, q_len[cta] - 1) // m_tile
    groups = -(-q_len[cta] // m_tile) - skipped
    pass_of, rank = repeat_index(groups)
    row = (skipped[pass_of] + rank) * m_tile
    owner = cta[pass_of]
    return Passes(
        cta=cta,
        lo=lo,
        hi=np.minimum(lo + cut.tile_tokens, context[cta]),
        first=np.cumsum(groups) - groups,
        pass_of=pass_of,
        row=row,
        rows=np.minimum(m_tile, q_len[owner] - row),
        ptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owner, minlength=count))]),
    )


def exchange_clk(rows: int, cut: Cut, value_dim: int, hw: Hardware) -> float:
    """Clocks in which the warps' parts of `rows` output rows go through shared memory: written once, read once."""
    return 2 * cut.profile.warps * rows * value_dim * PARTIAL_BYTES / hw.sm.sram_bytes_per_clk


def _work(step: Step, passes: Passes, cut: Cut, mma: str, packed: Int64) -> TileWork:
    g, profile = step.geometry, cut.profile
    tokens = (passes.hi - passes.lo)[passes.pass_of]
    rows = -(-passes.rows // profile.m_align) * profile.m_align
    scores = rows * tokens
    zero = np.zeros_like(scores)
    return TileWork(
        tokens=tokens.astype(np.int32),
        computed=tokens.astype(np.int32),
        token_first=passes.lo[passes.pass_of].astype(np.int32),
        packed_bytes=packed,
        unpack_values=zero,
        qk_flops=2 * scores * g.head_dim,
        pv_flops=2 * scores * g.value_dim,
        sram_bytes=2 * profile.warps * rows * g.head_dim * QUERY_BYTES,
        exps=scores,
        alu_ops=np.rint(scores * profile.softmax_ops_per_score).astype(np.int64),
    )


def _reads(step: Step, passes: Passes, addresses: AddressMap) -> tuple[Runs, Int64]:
    """Runs of each tile: the KV block (first of a pass), the query rows, their unfinished output (later blocks).

    Also the bytes that a tile holds in its stage buffer: the KV block, of the tile that brings it.
    """
    g = step.geometry
    group = g.q_heads // g.kv_heads
    sequence, head = passes.cta // g.q_heads, passes.cta % g.q_heads
    kv = tile_runs(step, addresses, TileSpan(sequence, passes.lo, passes.hi, head // group, 1))
    row = _rows(step, passes)
    query = single_runs(
        addresses.query_base + row * g.head_dim * QUERY_BYTES, passes.rows * g.head_dim * QUERY_BYTES
    )
    later = np.flatnonzero(passes.lo[passes.pass_of] > 0)
    partial = g.value_dim * PARTIAL_BYTES
    reads = prepend_runs(
        query, later, addresses.partial_base + row[later] * partial, passes.rows[later] * partial
    )
    owner = np.concatenate([repeat_index(np.diff(reads.ptr))[0], np.repeat(passes.first, np.diff(kv.ptr))])
    order = np.argsort(owner, kind="stable")
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owner, minlength=len(row)))])
    held = passes.rows * g.head_dim * QUERY_BYTES
    held[passes.first] += np.add.reduceat(kv.size, kv.ptr[:-1])
    return Runs(
        ptr, np.concatenate([reads.address, kv.address])[order], np.concatenate([reads.size, kv.size])[order]
    ), held


def _rows(step: Step, passes: Passes) -> Int64:
    """[T] first row of each tile in [sequence, head, row]."""
    q_len = np.repeat(step.q_len.astype(np.int64), step.geometry.q_heads)
    start = np.cumsum(q_len) - q_len
    first: Int64 = start[passes.cta[passes.pass_of]] + passes.row
    return first


def build_kv_outer(step: Step, cut: Cut, hw: Hardware, addresses: AddressMap) -> Launch:
    """The launch: every tile writes the rows it took, in FP32 until the last KV block that they see."""
    g, profile = step.geometry, cut.profile
    passes = kv_passes(step, cut)
    reads, held = _reads(step, passes, addresses)
    mma = mma_format(step, cut, hw)
    work = _work(step, passes, cut, mma, held)
    tiles, count = len(passes.row), len(passes.ptr) - 1
    row = _rows(step, passes)
    final = passes.hi[passes.pass_of] >= _last_seen(step, passes)
    partial = addresses.partial_base + row * g.value_dim * PARTIAL_BYTES
    output = addresses.output_base + row * g.value_dim * OUTPUT_BYTES
    size = passes.rows * g.value_dim * np.where(final, OUTPUT_BYTES, PARTIAL_BYTES)
    write = np.arange(tiles, 2 * tiles, dtype=np.int32)
    last = passes.ptr[1:] - 1
    none = np.full(count, -1, np.int32)
    return Launch(
        name="attention",
        ctas=CtaTable(
            tile_ptr=passes.ptr,
            sequence=(np.arange(count) // g.q_heads).astype(np.int32),
            last_line=none,
            root=none,
            output=write[last],
        ),
        work=work,
        tile_line=np.full(tiles, -1, np.int32),
        tile_output=np.where(np.isin(np.arange(tiles), last), np.int32(-1), write).astype(np.int32),
        fetches=fetch_table(
            [reads, single_runs(np.where(final, output, partial), size)],
            [
                np.full(tiles, TrafficClass.KV),
                np.where(final, TrafficClass.OUTPUT, TrafficClass.PARTIAL),
            ],
            writes_from=tiles,
        ),
        buffer_bytes=cut.stages * int(held.max()),
        ctas_per_sm=cut.ctas_per_sm,
        mma=mma,
        code_trips=profile.code_trips,
        prologue_clk=profile.prologue_clk,
        epilogue_clk=profile.epilogue_clk,
        token_issue_clk=profile.tile_issue_clk / profile.tile_tokens[0],
        barrier_clk=profile.barrier_clk + exchange_clk(profile.m_tile, cut, g.value_dim, hw),
    )


def _last_seen(step: Step, passes: Passes) -> Int64:
    """[T] KV tokens that the last row of each tile sees: after the block that holds them its output is final."""
    owner = passes.cta[passes.pass_of] // step.geometry.q_heads
    context, q_len = step.context.astype(np.int64)[owner], step.q_len.astype(np.int64)[owner]
    seen: Int64 = context - q_len + passes.row + passes.rows if step.geometry.causal else context
    return seen
