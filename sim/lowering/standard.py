"""Standard attention, which materialises the scores: S = Q K^T, P = softmax(S), O = P V, three dependent launches.

This is what FlashAttention replaced (arXiv:2205.14135, algorithm 0): S and P, in 16 bit and for every query head,
go to memory and come back, N x N each. The products are tiled GEMMs (m_tile x tile_tokens of S per CTA, with the
whole head dimension in one step; m_tile x value_dim of O per CTA in steps of k_tile tokens), the softmax takes
softmax_rows whole rows per CTA and holds them in registers. Queries and outputs lie as [head, row, dim] and the cache
is read in place, as contiguous tensors are: there is no block-table look-up. A causal mask is applied to the scores
and saves nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.errors import InputError
from sim.lowering.attention import fetch_table
from sim.lowering.candidates import Candidate
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.occupancy import KIB, Footprint, register_bytes
from sim.lowering.runs import Runs, TileSpan, join_runs, repeat_index, single_runs, tile_runs
from sim.memory.addresses import AddressMap, align_up
from sim.memory.fetches import TrafficClass

Int64 = NDArray[np.int64]

VALUE_BYTES = 2
"""Queries, scores, probabilities and outputs are 16 bit."""
ROW_ALIGN = 8
"""Rows of the score matrix start at multiples of 16 bytes, as vectorised loads need them."""
K_PART, V_PART = (0,), (1,)


@dataclass(frozen=True)
class Matrices:
    """[M] score matrices, one per sequence and query head: rows x columns, `pitch` values from row to row."""

    sequence: Int64
    kv_head: Int64
    rows: Int64
    columns: Int64
    pitch: Int64
    query_row: Int64
    """First row in [head, row, dim]."""
    scores: Int64
    probabilities: Int64
    """Addresses."""


@dataclass(frozen=True)
class Blocks:
    """[B] row blocks of the matrices: rows [first, first + rows) of `matrix`."""

    matrix: Int64
    first: Int64
    rows: Int64


def score_bytes(step: Step) -> int:
    """Bytes of one of the two materialised matrices over all sequences and query heads."""
    pitch = -(-step.context.astype(np.int64) // ROW_ALIGN) * ROW_ALIGN
    return int((pitch * step.q_len).sum()) * step.geometry.q_heads * VALUE_BYTES


def matrices(step: Step, addresses: AddressMap) -> Matrices:
    g = step.geometry
    sequence = np.repeat(np.arange(step.sequences), g.q_heads)
    head = np.tile(np.arange(g.q_heads), step.sequences)
    q_len, columns = step.q_len.astype(np.int64), step.context.astype(np.int64)[sequence]
    pitch = -(-columns // ROW_ALIGN) * ROW_ALIGN
    rows = q_len[sequence]
    size = rows * pitch * VALUE_BYTES
    scores = align_up(addresses.partial_base) + np.cumsum(size) - size
    return Matrices(
        sequence=sequence,
        kv_head=head // (g.q_heads // g.kv_heads),
        rows=rows,
        columns=columns,
        pitch=pitch,
        query_row=np.cumsum(rows) - rows,
        scores=scores,
        probabilities=scores + align_up(int(size.sum())),
    )


def row_blocks(m: Matrices, rows: int) -> Blocks:
    matrix, rank = repeat_index(-(-m.rows // rows))
    first = rank * rows
    return Blocks(matrix, first, np.minimum(rows, m.rows[matrix] - first))


def _strided(address: Int64, rows: Int64, size: Int64, stride: Int64) -> Runs:
    """`rows` runs of `size` bytes, `stride` apart, for each fetch."""
    owner, rank = repeat_index(rows)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows)])
    return Runs(ptr, address[owner] + rank * stride[owner], size[owner])


def _both(first: Runs, second: Runs) -> Runs:
    """Fetches that take the runs of both."""
    joined = join_runs([first, second])
    fetches = len(first.ptr) - 1
    owner = np.concatenate([repeat_index(np.diff(r.ptr))[0] for r in (first, second)])
    order = np.argsort(owner, kind="stable")
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owner, minlength=fetches))])
    return Runs(ptr, joined.address[order], joined.size[order])


def _padded(rows: Int64, profile: KernelProfile) -> Int64:
    return -(-rows // profile.m_align) * profile.m_align


def _work(tokens: Int64, packed: Int64, **operations: Int64) -> TileWork:
    zero = np.zeros(len(tokens), np.int64)
    names = ("unpack_values", "qk_flops", "pv_flops", "sram_bytes", "exps", "alu_ops")
    return TileWork(
        tokens=tokens.astype(np.int32),
        computed=tokens.astype(np.int32),
        token_first=zero.astype(np.int32),
        packed_bytes=packed,
        **{name: operations.get(name, zero) for name in names},
    )


def _resident(sram: int, profile: KernelProfile, hw: Hardware) -> int:
    """CTAs per SM with `sram` bytes of operands each. Raises InputError when not one fits."""
    per_cta = sram + round(hw.sm.sram_reserved_kib_per_cta * KIB)
    registers = register_bytes(profile, hw.sm)
    fits = min(
        hw.sm.sram_kib * KIB // per_cta,
        hw.sm.regfile_kib * KIB // registers,
        hw.sm.max_ctas,
        hw.sm.max_warps // profile.warps,
    )
    if fits < 1:
        raise InputError(
            f"workload.kernel: {profile.name}: {per_cta / KIB:.1f} KiB SRAM and {registers / KIB:.0f} KiB registers "
            f"per CTA; {hw.name} has {hw.sm.sram_kib} and {hw.sm.regfile_kib} KiB per SM"
        )
    return fits


def _launch(
    name: str, profile: KernelProfile, work: TileWork, tile_ptr: Int64, sequence: Int64, reads: Runs, writes: Runs,
    mma: str, hw: Hardware, stages: int, classes: tuple[TrafficClass, TrafficClass],
) -> Launch:  # fmt: skip
    """One of the three: tile t is fetch t, the CTAs' outputs follow."""
    tiles, count = len(work.tokens), len(sequence)
    none = np.full(count, -1, np.int32)
    buffer = stages * int(work.packed_bytes.max())
    held = 0 if name == "softmax" else buffer
    return Launch(
        name=name,
        ctas=CtaTable(
            tile_ptr=tile_ptr,
            sequence=sequence.astype(np.int32),
            last_line=none,
            root=none,
            output=np.arange(tiles, tiles + count, dtype=np.int32),
        ),
        work=work,
        tile_line=np.full(tiles, -1, np.int32),
        fetches=fetch_table(
            [reads, writes], [np.full(tiles, classes[0]), np.full(count, classes[1])], writes_from=tiles
        ),
        buffer_bytes=buffer,
        ctas_per_sm=_resident(held, profile, hw),
        mma=mma,
        code_trips=profile.code_trips,
        prologue_clk=profile.prologue_clk,
        epilogue_clk=profile.epilogue_clk,
        token_issue_clk=profile.tile_issue_clk / profile.tile_tokens[0],
        barrier_clk=profile.barrier_clk,
    )


def _score_launch(step: Step, m: Matrices, cut: Cut, hw: Hardware, addresses: AddressMap, mma: str) -> Launch:
    """S: one CTA per m_tile x tile_tokens block, both operands read once with their whole head dimension."""
    profile, dim = cut.profile, step.geometry.head_dim
    rows_of = row_blocks(m, profile.m_tile)
    block, column_block = repeat_index(-(-m.columns[rows_of.matrix] // cut.tile_tokens))
    matrix, first, rows = rows_of.matrix[block], rows_of.first[block], rows_of.rows[block]
    lo = column_block * cut.tile_tokens
    hi: Int64 = np.minimum(lo + cut.tile_tokens, m.columns[matrix])
    query = single_runs(
        addresses.query_base + (m.query_row[matrix] + first) * dim * VALUE_BYTES, rows * dim * VALUE_BYTES
    )
    keys = tile_runs(step, addresses, TileSpan(m.sequence[matrix], lo, hi, m.kv_head[matrix], 1), K_PART)
    padded = _padded(rows, profile)
    operands = 2 * (padded + cut.tile_tokens) * dim * VALUE_BYTES
    pitch = m.pitch[matrix] * VALUE_BYTES
    return _launch(
        "scores", profile,
        _work(
            hi - lo, (rows + hi - lo) * dim * VALUE_BYTES,
            qk_flops=2 * padded * (hi - lo) * dim, sram_bytes=2 * operands,
        ),
        np.arange(len(matrix) + 1), m.sequence[matrix],
        _both(query, keys),
        _strided(m.scores[matrix] + first * pitch + lo * VALUE_BYTES, rows, (hi - lo) * VALUE_BYTES, pitch),
        mma, hw, 1, (TrafficClass.KV, TrafficClass.PARTIAL),
    )  # fmt: skip


def _softmax_launch(m: Matrices, cut: Cut, hw: Hardware, mma: str) -> Launch:
    """P: whole rows in, whole rows out."""
    profile = cut.profile
    blocks = row_blocks(m, profile.softmax_rows)
    pitch = m.pitch[blocks.matrix] * VALUE_BYTES
    size = blocks.rows * pitch
    values = blocks.rows * m.columns[blocks.matrix]
    alu = np.rint(values * profile.softmax_ops_per_score).astype(np.int64)
    return _launch(
        "softmax", profile, _work(blocks.rows, size, exps=values, alu_ops=alu),
        np.arange(len(size) + 1), m.sequence[blocks.matrix],
        single_runs(m.scores[blocks.matrix] + blocks.first * pitch, size),
        single_runs(m.probabilities[blocks.matrix] + blocks.first * pitch, size),
        mma, hw, 1, (TrafficClass.PARTIAL, TrafficClass.PARTIAL),
    )  # fmt: skip


def _output_launch(
    step: Step, m: Matrices, cut: Cut, hw: Hardware, addresses: AddressMap, mma: str
) -> Launch:
    """O: one CTA per m_tile rows, P and V in steps of k_tile tokens."""
    profile, dim = cut.profile, step.geometry.value_dim
    blocks = row_blocks(m, profile.m_tile)
    block, k_step = repeat_index(-(-m.columns[blocks.matrix] // profile.k_tile))
    matrix, first, rows = blocks.matrix[block], blocks.first[block], blocks.rows[block]
    lo = k_step * profile.k_tile
    hi: Int64 = np.minimum(lo + profile.k_tile, m.columns[matrix])
    pitch = m.pitch[matrix] * VALUE_BYTES
    start = m.probabilities[matrix] + first * pitch + lo * VALUE_BYTES
    weights = _strided(start, rows, (hi - lo) * VALUE_BYTES, pitch)
    values = tile_runs(step, addresses, TileSpan(m.sequence[matrix], lo, hi, m.kv_head[matrix], 1), V_PART)
    padded = _padded(rows, profile)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(block))])
    output = addresses.output_base + (m.query_row[blocks.matrix] + blocks.first) * dim * VALUE_BYTES
    return _launch(
        "output", profile,
        _work(
            hi - lo, (rows + dim) * (hi - lo) * VALUE_BYTES,
            pv_flops=2 * padded * (hi - lo) * dim, sram_bytes=4 * (padded + dim) * (hi - lo) * VALUE_BYTES,
        ),
        ptr, m.sequence[blocks.matrix], _both(weights, values),
        single_runs(output, blocks.rows * dim * VALUE_BYTES),
        mma, hw, cut.stages, (TrafficClass.PARTIAL, TrafficClass.OUTPUT),
    )  # fmt: skip


def build_standard(step: Step, cut: Cut, hw: Hardware, addresses: AddressMap) -> list[Launch]:
    """The three launches in order. Raises InputError where S and P do not fit device memory."""
    size, room = 2 * score_bytes(step), hw.hbm.capacity_gib * KIB**3
    if addresses.end + size > room:
        raise InputError(
            f"workload.kernel: {cut.profile.name}: {size / KIB**3:.1f} GiB of scores beside"
            f" {addresses.end / KIB**3:.1f} GiB; {hw.name} has {room / KIB**3:g} GiB"
        )
    mma = "bf16" if step.formats == ("bf16",) and "bf16" in hw.sm.tensor_flop_per_clk else "fp16"
    m = matrices(step, addresses)
    return [
        _score_launch(step, m, cut, hw, addresses, mma),
        _softmax_launch(m, cut, hw, mma),
        _output_launch(step, m, cut, hw, addresses, mma),
    ]


def standard_candidate(step: Step, profile: KernelProfile, hw: Hardware) -> Candidate:
    """The profile's one mapping, with the storage of its product with V (the deepest of the three)."""
    stage = (profile.m_tile + step.geometry.value_dim) * profile.k_tile * VALUE_BYTES
    registers = register_bytes(profile, hw.sm)
    reserved = round(hw.sm.sram_reserved_kib_per_cta * KIB)
    stages = profile.stages[0]
    resident = _resident(stages * stage, profile, hw)
    fits = Footprint(
        stage_bytes=stage,
        stages=stages,
        query_bytes=0,
        expanded_bytes=0,
        table_bytes=0,
        reserved_bytes=reserved,
        register_bytes=registers,
        sram_limit_bytes=hw.sm.sram_kib * KIB,
        fit_sram=hw.sm.sram_kib * KIB // (stages * stage + reserved),
        fit_registers=hw.sm.regfile_kib * KIB // registers,
        fit_slots=min(hw.sm.max_ctas, hw.sm.max_warps // profile.warps),
    )
    return Candidate(Cut(profile, profile.tile_tokens[0], stages, 1, resident, 1), fits)
