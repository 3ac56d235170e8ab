"""Time of an attention kernel at tile grain: what the search ranks by and what a sampled run extrapolates with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from kernels_ref.trace import Step
from sim.coarse.channels import with_channels
from sim.coarse.contents import tile_contents, with_foreign
from sim.coarse.grid import Grid, attention_grid, grid_of_launch
from sim.coarse.hits import (
    Reuse,
    first_found,
    held,
    is_read_once,
    object_policies,
    taken_in,
    tile_reuse,
)
from sim.coarse.machine import Memory, Timing, run_grid
from sim.coarse.repeated import groups_of, repeated_timing
from sim.coarse.sets import block_sets
from sim.coarse.shares import ONE
from sim.coarse.shortened import is_long, long_timing
from sim.coarse.slices import with_slices
from sim.config.hardware import Hardware
from sim.launch_times import code_ps, following_ps, launch_gap_ps
from sim.lowering.attention_tiles import LookUp
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.units import Units
from sim.memory.addresses import AddressMap


@dataclass(frozen=True)
class Problem:
    """A kernel with its mapping on a machine. `lower` makes a launch of some CTAs; how: who launches; look_up: how CTAs
    find block-table entries."""

    step: Step
    cut: Cut
    hw: Hardware
    addresses: AddressMap
    lower: Callable[[Units], Launch]
    how: str
    memory: Memory
    look_up: LookUp


@dataclass(frozen=True)
class Coarse:
    """A kernel at tile grain."""

    grid: Grid
    reuse: Reuse
    combine: Grid | None


@dataclass(frozen=True)
class CoarseTime:
    """attention: of the first launch, from the start of the run; end_ps: of the last one."""

    attention: Timing
    end_ps: int


def attention_grid_of(problem: Problem, units: Units) -> Grid:
    """The attention launch of the CTAs `units`."""
    return attention_grid(problem.step, units, problem.cut, problem.hw, problem.lower)


def build_coarse(problem: Problem, units: Units, grid: Grid) -> Coarse:
    """The kernel around its attention launch: warm the cache, add the split reduction."""
    p = problem
    combine = build_combine(p.step, units, p.cut, p.addresses)
    read = tile_contents(p.step, units, grid, p.cut)
    objects = read.objects
    if not is_read_once(objects):
        grid = with_slices(p.step, units, grid, p.cut, p.addresses, objects, p.hw)
    if p.memory.channels and grid.sample.tiles_per_look_up > 0:
        grid = with_channels(p.step, units, grid, p.cut, p.addresses, objects, p.hw)
    grid = with_foreign(p.step, units, p.cut, grid, read.foreign)
    policies = object_policies(p.step, units, grid, p.cut, p.hw, objects)
    lie = partial(block_sets, p.step, units, grid, p.cut, p.hw, p.addresses, objects)
    return Coarse(
        grid=grid,
        reuse=tile_reuse(objects, policies, grid, p.cut, p.hw, lie, warm=p.memory.warm),
        combine=None if combine is None else grid_of_launch(combine, p.step.formats, p.hw),
    )


def coarse_time(problem: Problem, kernel: Coarse) -> CoarseTime:
    """Run the launches one after the other; partial results are found in L2, as far as they have not left it."""
    formats, hw, memory = problem.step.formats, problem.hw, problem.memory
    lost = memory.lost * (1 - first_found(kernel.grid, kernel.reuse, hw.sm.count * problem.cut.ctas_per_sm))
    code = partial(code_ps, hw, lost=lost, zero_latency=memory.zero_latency)
    gap = launch_gap_ps(hw, problem.how) + code(kernel.grid.sample.code_trips)
    takes_in = taken_in(kernel.grid, kernel.reuse)

    def run(grid: Grid, reuse: Reuse) -> Timing:
        return run_grid(grid, reuse, formats, hw, memory, gap, takes_in)

    first = _from_a_part(problem, kernel, run) or run(kernel.grid, kernel.reuse)
    if kernel.combine is None:
        return CoarseTime(first, first.end)
    sample = kernel.combine.sample
    gap, _ = following_ps(hw, problem.how, at_once=sample.follows_at_once, early=sample.launched_early)
    tiles = kernel.combine.tiles
    left = first.written / max(1, int(kernel.grid.output_ptr[-1]))
    found = Reuse(np.zeros(tiles, np.int64), np.full(tiles, round(ONE * (1 - left)), np.int64))
    gap += code(sample.code_trips, early=sample.launched_early)
    last = run_grid(kernel.combine, found, formats, hw, memory, first.end + gap)
    return CoarseTime(first, last.end)


def _from_a_part(problem: Problem, kernel: Coarse, run: Callable[[Grid, Reuse], Timing]) -> Timing | None:
    """The time of a long attention launch from shorter ones; None where all of it must run."""
    grid, reuse, hw = kernel.grid, kernel.reuse, problem.hw
    if is_long(grid, reuse, problem.step.formats):
        return long_timing(grid, run)
    form = groups_of(grid, reuse, held(hw), hw.sm.count * problem.cut.ctas_per_sm)
    return None if form is None else repeated_timing(grid, reuse, form, run)
