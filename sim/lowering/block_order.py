"""In which order the query blocks of a sequence's heads start.

Blocks without a mask are equal, and heads follow each other (FlashAttention-3: StaticPersistentTileScheduler). Under a
causal mask a block's length grows with its number, so the order decides how well the last CTAs fill the SMs.
FlashAttention-3 starts the longest blocks of several heads first, then the next longest of the same heads:
of as many as have their K and V in 32 MiB of L2 together (hopper/tile_scheduler.hpp, size_l2).
"""

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.formats import token_bytes

Int64 = NDArray[np.int64]

SHARED_BYTES = 32 * 2**20
"""K and V of the heads of a section (FlashAttention-3 source)."""


def section_heads(step: Step) -> Int64:
    """[B] KV heads whose blocks take turns: a power of two of them, as far as their K and V fit SHARED_BYTES."""
    g = step.geometry
    per_token = max(token_bytes(fmt, 1, g.head_dim, g.value_dim, latent=g.latent) for fmt in step.formats)
    fit = np.maximum(1, SHARED_BYTES // (step.context.astype(np.int64) * per_token))
    sections: Int64 = 1 << np.floor(np.log2(fit)).astype(np.int64)
    return sections


def heads_and_blocks(
    order: str, rank: Int64, blocks: Int64, heads: int, section: Int64
) -> tuple[Int64, Int64]:
    """([C] head, [C] query block) of the CTAs `rank`, counted within their sequence as they start.

    blocks: [C] query blocks of a head; heads: of the grid; section: [C] of those that take turns.
    """
    if order != "section_longest":
        return rank // blocks, blocks - 1 - rank % blocks
    first = rank // (section * blocks) * section
    among = np.minimum(section, heads - first)
    turn, member = np.divmod(rank - first * blocks, among)
    return first + member, blocks - 1 - turn
