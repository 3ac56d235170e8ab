"""How long the tiles of a kernel wait for the block table that it does not load ahead.

FlashInfer's threads load the page of each row they copy, then copy it. A 128-byte line of 32 indices is new to a tile
of 64 tokens at every tile with pages of one token, and at one tile in eight with pages of 16; between, L1 has it.
"""

from sim.config.kernel_profile import KernelProfile
from sim.lowering.attention_tiles import TABLE_LINE_BYTES

INDEX_BYTES = 4


def barrier_clk(
    profile: KernelProfile, page_tokens: int, tile_tokens: int, index_bytes: int = INDEX_BYTES
) -> float:
    """Clocks of a tile that no unit of the SM is busy with: its barriers, and its share of trips for table lines.

    Lines of one tile are loaded at once, so that a tile pays one trip at most.
    """
    lines = tile_tokens * index_bytes / (page_tokens * TABLE_LINE_BYTES)
    return profile.barrier_clk + profile.table_wait_clk * min(1.0, lines)
