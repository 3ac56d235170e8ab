"""Launches as the event loop and the memory plane take them."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.device.chain import chains_of
from sim.device.job import Job
from sim.device.stage_times import ps_per_clk, stage_times
from sim.lowering.launch import Launch
from sim.memory.fetches import FetchTable


def join_tables(tables: Sequence[FetchTable]) -> tuple[FetchTable, list[int]]:
    """One table for a whole run, and the number of the first fetch of each part."""
    if len(tables) == 1:
        return tables[0], [0]
    fetches = np.cumsum([0] + [t.fetches for t in tables])
    runs = np.cumsum([0] + [len(t.run_addr) for t in tables])
    entries = np.cumsum([0] + [len(t.entry_addr) for t in tables])
    joined = FetchTable(
        run_ptr=_join_ptr([t.run_ptr for t in tables], runs),
        run_addr=np.concatenate([t.run_addr for t in tables]),
        run_bytes=np.concatenate([t.run_bytes for t in tables]),
        kind=np.concatenate([t.kind for t in tables]),
        cls=np.concatenate([t.cls for t in tables]),
        entry_ptr=_join_ptr([_full_ptr(t) for t in tables], entries),
        entry_addr=np.concatenate([t.entry_addr for t in tables]),
        entry_ends=np.concatenate([t.lists + e for t, e in zip(tables, entries[:-1], strict=True)]),
    )
    return joined, [int(f) for f in fetches[:-1]]


def _full_ptr(table: FetchTable) -> np.ndarray:
    return table.entry_ptr if len(table.entry_ptr) > 1 else np.zeros(table.fetches + 1, np.int64)


def _join_ptr(ptrs: list[np.ndarray], offsets: np.ndarray) -> np.ndarray:
    shifted = [p[1:] + o for p, o in zip(ptrs, offsets[:-1], strict=True)]
    return np.concatenate([np.zeros(1, np.int64), *shifted])


PART_TILES = 1 << 14
"""Tiles whose stages are timed at once: as lists these take ten times the memory of all that is kept of them."""


@dataclass(frozen=True)
class Program:
    """A launch as it is run, without what only those who lower it need. order: its CTAs as they start."""

    name: str
    job: Job
    order: list[int]
    scheduling: str
    ctas_per_sm: int
    item_ps: int
    search_ps: int
    sequence: list[int]
    """[C] of each CTA."""
    follows_at_once: bool
    launched_early: bool
    code_trips: float


def make_program(
    launch: Launch, formats: tuple[str, ...], hw: Hardware, fetch_offset: int, first_chain: int
) -> Program:
    """fetch_offset: of its first fetch among those of the run; first_chain: number of its first chain."""
    return Program(
        name=launch.name,
        job=make_job(launch, formats, hw, fetch_offset, first_chain),
        order=launch.order.tolist(),
        scheduling=launch.scheduling,
        ctas_per_sm=launch.ctas_per_sm,
        item_ps=round(launch.item_clk * ps_per_clk(hw)),
        search_ps=round(launch.search_clk * ps_per_clk(hw)),
        sequence=launch.ctas.sequence.tolist(),
        follows_at_once=launch.follows_at_once,
        launched_early=launch.launched_early,
        code_trips=launch.code_trips,
    )


def make_job(
    launch: Launch, formats: tuple[str, ...], hw: Hardware, fetch_offset: int, first_chain: int
) -> Job:
    ctas, times = launch.ctas, stage_times(launch, formats, hw, slice(0))
    parts = (slice(at, at + PART_TILES) for at in range(0, launch.tiles, PART_TILES))
    chains, chain_of = chains_of((stage_times(launch, formats, hw, part) for part in parts), first_chain)
    return Job(
        tile_ptr=_integers(ctas.tile_ptr),
        tile_line=_integers(launch.tile_line),
        tile_bytes=_integers(launch.work.packed_bytes),
        last_line=_integers(ctas.last_line),
        root=_integers(ctas.root),
        output=_integers(ctas.output),
        tile_output=_integers(np.zeros(0) if launch.tile_output is None else launch.tile_output),
        fetch_offset=fetch_offset,
        buffer_bytes=launch.buffer_bytes,
        alone=launch.ctas_per_sm == 1 and launch.streams == 1 and not launch.runs_ahead,
        streams=launch.streams,
        runs_ahead=launch.runs_ahead,
        prologue_ps=times.prologue,
        epilogue_ps=times.epilogue,
        chains=chains,
        chain_of=chain_of,
    )


def _integers(values: np.ndarray) -> "array[int]":
    """Python integers in half the memory where they fit."""
    small = not len(values) or (values.min() >= -(1 << 31) and values.max() < 1 << 31)
    code = "i" if small else "q"
    return array(code, values.astype(code).tobytes())
