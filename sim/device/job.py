"""What CTAs are given: their launch as plain integers, and what all CTAs of a run share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.device.chain import Chain
from sim.memory.pipelines import TileWork

Ints = Sequence[int]
"""Of Python integers: NumPy's scalars are slow one at a time. Arrays take a fifth of the memory of lists."""


class Memory(Protocol):
    """What a CTA needs of the memory plane: fetches at the instant `at`, the present or later. kept: their stamps are
    for the SM's record."""

    def submit(self, sm: int, fetch: int, at: int, kept: bool = False) -> simpy.Event: ...

    def run_tiles(self, sm: int, tiles: tuple[int, int], root: int, last_line: int) -> simpy.Event:
        """Fetch and compute tiles [first, end) of the launch on an SM that does nothing else (`memory.pipeline`)."""

    def tiles_reached(self, sm: int) -> int:
        """ps up to which it is known what it did of them."""


class Log(Protocol):
    """Observer of the order of work (for the functional replay); times in ps."""

    def consumed(self, now: int, cta: int, tile: int) -> None: ...

    def computed(self, ends: NDArray[np.int64], tiles: NDArray[np.int64]) -> None:
        """The same of many tiles."""

    def finished(self, now: int, cta: int) -> None: ...


@dataclass(frozen=True)
class Job:
    """A launch as plain integers, ready for the event loop; fetch numbers are those of the memory plane."""

    tile_ptr: Ints
    tile_line: Ints
    tile_bytes: Ints
    last_line: Ints
    root: Ints
    output: Ints
    tile_output: Ints
    """Empty where no tile writes."""
    fetch_offset: int
    buffer_bytes: int
    alone: bool
    """A CTA has its SM for itself, one instruction stream, and one item at a time."""
    streams: int
    runs_ahead: bool
    """Resident CTAs ask for their next item's first tiles before they finish one, and wait for no result."""
    prologue_ps: int
    epilogue_ps: int
    chains: list[Chain]
    chain_of: Ints
    """Index among `chains` of each tile's."""

    @cached_property
    def pipelined(self) -> bool:
        """Whether all that a CTA does with its tiles follows from when they arrive, so that compiled code can do it."""
        gated = max(self.root, default=-1) >= 0 or max(self.tile_line, default=-1) >= 0
        return self.alone and not (self.tile_output and gated) and self._has_lines_in_order()

    def _has_lines_in_order(self) -> bool:
        falls = np.flatnonzero(np.diff(np.array(self.tile_line, np.int64)) < 0) + 1
        return bool(np.isin(falls, self.tile_ptr).all())

    def work(self) -> TileWork:
        """All tiles, for pipelines."""
        durations, numbers = (
            np.array([getattr(chain, name) for chain in self.chains], np.int64)
            for name in ("duration", "number")
        )
        chain = np.array(self.chain_of, np.int64)
        writes = np.array(self.tile_output, np.int64) if self.tile_output else np.full(len(chain), -1)
        return TileWork(
            tile_ptr=np.array(self.tile_ptr, np.int64),
            bytes=np.array(self.tile_bytes, np.int64),
            line=np.array(self.tile_line, np.int64),
            duration_ps=durations[chain],
            chain=numbers[chain],
            write=writes,
            first_fetch=self.fetch_offset,
            buffer_bytes=self.buffer_bytes,
        )


@dataclass(frozen=True)
class Context:
    """What all CTAs of a run share."""

    env: simpy.Environment
    memory: Memory
    page_gate: Callable[[int], simpy.Event | None] | None
    """Event after which the pages of a tile are in device memory, None when they are; none: all pages are there."""
    log: Log | None
    sums: bool = False
    """Tiles of a CTA that has its SM for itself are accounted for by their sum."""
