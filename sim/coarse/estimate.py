"""Time of an attention kernel at tile grain: what the search ranks by and what a sampled run extrapolates with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse.grid import Grid, attention_grid, grid_of_launch
from sim.coarse.hits import tile_hits
from sim.coarse.machine import Memory, Timing, run_grid
from sim.config.hardware import Hardware
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.units import Units
from sim.machine import launch_gap_ps
from sim.memory.addresses import AddressMap

ALL = 1 << 16


@dataclass(frozen=True)
class Coarse:
    """A kernel at tile grain. hits: [T] share of each tile found in L2 (or the cache behind it), in 1/65536."""

    grid: Grid
    hits: NDArray[np.int32]
    combine: Grid | None


@dataclass(frozen=True)
class CoarseTime:
    """attention: of the first launch, from the start of the run; end_ps: of the last one."""

    attention: Timing
    end_ps: int


def build_coarse(
    step: Step,
    units: Units,
    cut: Cut,
    hw: Hardware,
    addresses: AddressMap,
    lower: Callable[[Units], Launch],
    *,
    warm: bool,
) -> Coarse:
    """Lower a kernel to tile grain and walk the cache."""
    grid = attention_grid(step, units, cut, hw, lower)
    combine = build_combine(step, units, cut, addresses)
    return Coarse(
        grid=grid,
        hits=tile_hits(step, units, grid, cut, hw, warm=warm),
        combine=None if combine is None else grid_of_launch(combine, step.formats, hw),
    )


def coarse_time(
    kernel: Coarse,
    formats: tuple[str, ...],
    hw: Hardware,
    memory: Memory,
    how: str,
) -> CoarseTime:
    """Run the launches one after the other; partial results are found in L2."""
    first = run_grid(kernel.grid, kernel.hits, formats, hw, memory, launch_gap_ps(hw, how))
    if kernel.combine is None:
        return CoarseTime(first, first.end)
    gap = 0 if kernel.combine.sample.follows_at_once else launch_gap_ps(hw, how)
    found = np.full(kernel.combine.tiles, ALL, np.int32)
    return CoarseTime(first, run_grid(kernel.combine, found, formats, hw, memory, first.end + gap).end)
