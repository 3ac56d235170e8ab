"""What a kernel launch is to the device: CTAs, their tiles, and the memory work of each.

A launch is plain arrays, so that half a million tiles are cheap to build and to walk. C CTAs, T tiles,
F fetches. Tile t of the launch is fetch t; block-table lines, outputs and partial results follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.memory.fetches import FetchTable

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class TileWork:
    """Operations of each tile ([T] each), before any rate is applied."""

    tokens: Int32
    computed: Int32
    """Tokens that the tile's instructions pass over: flash kernels mask what a short tile lacks, and take as long."""
    token_first: Int32
    packed_bytes: Int64
    """Bytes that occupy the stage buffer: KV as stored, with its scales."""
    unpack_values: Int64
    """Values to expand before the MMA; 0 where the MMA reads the format as it is."""
    qk_flops: Int64
    pv_flops: Int64
    sram_bytes: Int64
    """Operand bytes that the MMAs read from shared memory."""
    exps: Int64
    alu_ops: Int64


def compact(work: TileWork) -> TileWork:
    """The same; what is equal for all tiles takes no memory."""
    return TileWork(**{name: _uniform(getattr(work, name)) for name in TileWork.__dataclass_fields__})


def join_work(parts: Sequence[TileWork]) -> TileWork:
    """The tiles of several parts, one after the other, compact."""
    return TileWork(
        **{
            name: _uniform(np.concatenate([getattr(work, name) for work in parts]))
            for name in TileWork.__dataclass_fields__
        }
    )


def _uniform(values: NDArray[Any]) -> NDArray[Any]:
    if len(values) and (values == values[0]).all():
        return np.broadcast_to(values[0], values.shape)
    return values


@dataclass(frozen=True)
class CtaTable:
    """[C] arrays; `tile_ptr` [C + 1] bounds each CTA's tiles."""

    tile_ptr: Int64
    sequence: Int32
    last_line: Int32
    """Last block-table fetch of the CTA that it asks for ahead of its use, or -1 when no software look-up is needed."""
    root: Int32
    """Fetch of the first table level (two_level layout), or -1."""
    output: Int32
    """Fetch that writes the result, or -1."""

    @property
    def count(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True)
class Launch:
    """One grid. `tile_line` [T] is the last block-table fetch that a tile needs, or -1."""

    name: str
    ctas: CtaTable
    work: TileWork
    tile_line: Int32
    fetches: FetchTable
    buffer_bytes: int
    """Stage buffers of one CTA together: its byte credits."""
    ctas_per_sm: int
    mma: str
    """Tensor-core format of both products."""
    prologue_clk: float
    epilogue_clk: float
    token_issue_clk: float
    """Issue slots per KV token of a tile, beside MMA and softmax."""
    barrier_clk: float
    unpack_per_clk: float | None = None
    """Packed values per clock and SM that the kernel's instructions expand; none: what the chip's do."""
    loads_operands: bool = False
    """The instruction stream loads MMA operands from shared memory itself, before it issues the MMA."""
    follows_at_once: bool = False
    """Done by CTAs that are already there: no second launch."""
    launched_early: bool = False
    """Its CTAs wait on their SMs for the launch before, where the chip can (programmatic dependent launch)."""
    code_trips: float = 0
    """To memory, one behind the other, for its code, parameters and descriptors where L2 holds none of them."""
    scale_bytes: int = 0
    """Scale metadata among the bytes that its tiles fetch."""
    tiles_per_look_up: int = 0
    """Tiles of a CTA between two waits for lines of the block table; 0: it asks for lines ahead, or for none."""
    lines_per_look_up: int = 1
    """Lines that it then waits for at once."""
    tile_output: Int32 | None = None
    """[T] fetch that a tile's consumer writes when it is done with it, or -1; none: no tile writes."""
    scheduling: str = "grid"
    """A CTA per work item (`grid`), or resident CTAs that take items from a `counter` or by `stride`."""
    item_clk: float = 0
    """Entry of a resident CTA's further items, in place of the prologue."""
    search_clk: float = 0
    """A resident CTA's way past a group of sequences to its next item (`sim.lowering.item_search`)."""
    runs_ahead: bool = False
    """A resident CTA asks for its next item's first tiles before it finishes one, and waits for no result."""
    start_order: Int64 | None = None
    """[C] CTAs in the order in which they start; none: as they are numbered."""
    streams: int = 1
    """Independent instruction streams of a CTA that share its tiles (2: ping-pong)."""

    @property
    def order(self) -> Int64:
        """[C] CTAs in the order in which they start."""
        return np.arange(self.ctas.count) if self.start_order is None else self.start_order

    @property
    def tiles(self) -> int:
        return len(self.work.tokens)
