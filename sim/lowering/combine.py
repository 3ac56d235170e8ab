"""Split-KV reduction: read the partial outputs of every split, rescale by their log-sum-exp, write the result.

One CTA takes up to COMBINE_ROWS output rows of one group; it reads the log-sum-exps of its splits first, which
decide the weights, and then one FP32 row per split (Flash-Decoding; FlashAttention's combine kernel works on small row
blocks). A kernel of its own pays the entry cost of its framework's kernels again.
"""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.lowering.attention import OUTPUT_BYTES, PARTIAL_BYTES, fetch_table
from sim.lowering.cut import Cut
from sim.lowering.launch import CtaTable, Launch, TileWork
from sim.lowering.runs import Runs, repeat_index, single_runs
from sim.lowering.units import Units
from sim.memory.addresses import AddressMap
from sim.memory.fetches import TrafficClass

COMBINE_ROWS = 8
COMBINE_CTAS_PER_SM = 8
LSE_BYTES = 4
OPS_PER_VALUE = 2
"""FP32 multiply and add for each partial value."""


def combine_starts(units: Units, cut: Cut) -> NDArray[np.int64]:
    """First combine CTA of each split group, in the order of the groups' first splits."""
    first = np.flatnonzero((units.split == 0) & (units.splits > 1))
    blocks = -(-units.rows[first] * cut.kv_heads_per_cta // COMBINE_ROWS)
    starts: NDArray[np.int64] = np.cumsum(blocks) - blocks
    return starts


def build_combine(step: Step, units: Units, cut: Cut, addresses: AddressMap) -> Launch | None:
    """The second kernel of a split launch, or None when nothing was split."""
    first = np.flatnonzero((units.split == 0) & (units.splits > 1))
    if not first.size:
        return None
    value_dim = step.geometry.value_dim
    row_bytes = (value_dim + 1) * PARTIAL_BYTES
    rows = units.rows * cut.kv_heads_per_cta
    offset = np.cumsum(rows * row_bytes) - rows * row_bytes
    blocks = -(-rows[first] // COMBINE_ROWS)
    owner, block = repeat_index(blocks)
    leader = first[owner]
    row_first = block * COMBINE_ROWS
    row_count = np.minimum(COMBINE_ROWS, rows[leader] - row_first)
    splits = units.splits[leader]
    cta, split = repeat_index(splits)
    source = leader[cta] + split
    address = addresses.partial_base + offset[source] + row_first[cta] * row_bytes
    ptr = np.zeros(len(leader) + 1, np.int64)
    np.cumsum(splits, out=ptr[1:])
    reads = Runs(ptr, address, row_count[cta] * (row_bytes - LSE_BYTES))
    weights = Runs(ptr, address + row_count[cta] * (row_bytes - LSE_BYTES), row_count[cta] * LSE_BYTES)
    output = addresses.output_base + (units.output_row[leader] + row_first) * value_dim * OUTPUT_BYTES
    writes = single_runs(output, row_count * value_dim * OUTPUT_BYTES)
    count = len(leader)
    partial = np.full(count, TrafficClass.PARTIAL)
    classes = [partial, partial, np.full(count, TrafficClass.OUTPUT)]
    own_kernel = cut.profile.combine == "kernel"
    none = np.full(count, -1, np.int32)
    zero = np.zeros(count, np.int64)
    packed = splits * row_count * row_bytes
    return Launch(
        name="combine",
        ctas=CtaTable(
            tile_ptr=np.arange(count + 1, dtype=np.int64),
            sequence=units.sequence[leader].astype(np.int32),
            head=units.head[leader].astype(np.int32),
            split=none,
            rows=row_count.astype(np.int32),
            first_line=none,
            last_line=none,
            root=np.arange(count, 2 * count, dtype=np.int32),
            output=np.arange(2 * count, 3 * count, dtype=np.int32),
        ),
        work=TileWork(
            tokens=splits.astype(np.int32),
            token_first=zero.astype(np.int32),
            packed_bytes=packed,
            unpack_values=zero,
            qk_flops=zero,
            pv_flops=zero,
            sram_bytes=zero,
            exps=splits * row_count,
            alu_ops=OPS_PER_VALUE * splits * row_count * value_dim,
        ),
        tile_line=none,
        fetches=fetch_table([reads, weights, writes], classes, writes_from=2 * count),
        buffer_bytes=int(packed.max()),
        ctas_per_sm=COMBINE_CTAS_PER_SM,
        mma="fp16",
        prologue_clk=cut.profile.prologue_clk if own_kernel else 0,
        epilogue_clk=0,
        token_issue_clk=cut.profile.combine_split_clk,
        barrier_clk=0,
        follows_at_once=not own_kernel,
    )
