"""What CTAs are given: their launch as plain integers, and what all CTAs of a run share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import simpy

from sim.device.chain import Chain

Ints = Sequence[int]
"""Of Python integers: NumPy's scalars are slow one at a time. Arrays take a fifth of the memory of lists."""


class Memory(Protocol):
    """What a CTA needs of the memory plane: fetches at the instant `at`, the present or later. kept: their stamps are
    for the SM's record."""

    def submit(self, sm: int, fetch: int, at: int, kept: bool = False) -> simpy.Event: ...

    def ask(self, sm: int, fetch: int, at: int, known: Callable[[int, int], None]) -> None:
        """Kept, and in place of an event `known(fetch, time)` as soon as it is known when the fetch is complete."""


class Log(Protocol):
    """Observer of the order of work (for the functional replay); times in ps."""

    def consumed(self, now: int, cta: int, tile: int) -> None: ...

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
    def durations(self) -> list[int]:
        """ps of each chain on free units."""
        return [chain.duration for chain in self.chains]

    @cached_property
    def numbers(self) -> list[int]:
        """Number of each chain among those of the run."""
        return [chain.number for chain in self.chains]


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
