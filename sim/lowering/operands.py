"""Operands of the two products of attention: the format in which they are multiplied, and who loads them how often."""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.formats import KV_STORAGE
from sim.lowering.cut import Cut

Int64 = NDArray[np.int64]

WGMMA_ROWS = 64
"""Rows of one warpgroup MMA: each reads the K (or V) tile from shared memory once (PTX wgmma)."""
TCGEN05_ROWS = 128
"""Rows of one MMA that accumulates in tensor memory (PTX tcgen05.mma)."""
FRAGMENT_ROWS = 16
"""Rows of one warp's MMA (PTX mma.sync m16n8k16). Columns come in steps of 8."""


def mma_format(step: Step, cut: Cut, hw: Hardware) -> str:
    """FP8 KV goes to the tensor cores as it is where both kernel and chip can; all else is computed in 16 bit."""
    kinds = {KV_STORAGE[fmt].mma for fmt in step.formats}
    direct = all(fmt in cut.profile.direct_mma for fmt in step.formats)
    if direct and len(kinds) == 1 and (kind := next(iter(kinds))) in hw.sm.tensor_flop_per_clk:
        return kind
    return "bf16" if kinds == {"bf16"} and "bf16" in hw.sm.tensor_flop_per_clk else "fp16"


def operand_reads(rows: Int64, profile: KernelProfile, hw: Hardware) -> Int64:
    """[T] times that shared memory is read for K (or V) of a tile with `rows` padded query rows.

    wgmma reads it for each 64 rows, tcgen05 (chips with tensor memory) for each 128. Of mma.sync, whose fragments lie
    in registers, each warp with rows of its own loads all of it; a warp with several 16-row fragments uses what it
    loaded for all of them. Queries padded to less than 16 can only be columns: then tokens are the rows, and each is
    read once whatever the number of queries.
    """
    if profile.m_align < FRAGMENT_ROWS:
        return np.ones_like(rows)
    if profile.mma_operands == "sram":
        return -(-rows // (TCGEN05_ROWS if hw.sm.tmem_kib else WGMMA_ROWS))
    return np.clip(-(-rows // FRAGMENT_ROWS), 1, profile.warps)
