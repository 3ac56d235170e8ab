"""The time of a long launch of alike groups of CTAs at tile grain, from its first few groups.

A prefill of prompts of one length takes one head of one sequence after the other: groups of CTAs with equal tiles,
which meet each other's KV in L2 and no other group's. Once all SMs are busy, each group adds the same time: that
between the tiles that end groups, in the steady part of a run of the first few. Its halves tell whether it is steady;
if not, or if groups differ, all of them run.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.coarse import tags
from sim.coarse.grid import Grid
from sim.coarse.hits import Reuse, different
from sim.coarse.machine import Timing

Int64 = NDArray[np.int64]

WAVES = 18
"""Of CTAs in the form at least: what follows a start in step, and comes before an end where SMs run out of work."""
FIRST, LAST = 1 / 3, 3 / 4
"""Where the steady part of a form begins and ends, in groups; rounded to whole ones."""
LEAST_GAIN = 1.5
"""A launch of no more than this many times the form's groups runs whole."""
CURVED = 0.03
"""Two halves of the steady part whose slopes differ by more are no line."""

RunGrid = Callable[[Grid, Reuse], Timing]


def period_of(grid: Grid, objects: Int64) -> int:
    """CTAs after which a grid repeats itself on KV of its own; all of them where it does not. objects: [T] number of
    the KV that each tile reads."""
    ctas, ptr = grid.ctas, grid.tile_ptr
    if not np.array_equal(grid.order, np.arange(ctas)):
        return ctas
    looks = np.stack(
        [np.diff(ptr), grid.tile_class[ptr[:-1]], grid.tile_class[ptr[1:] - 1], grid.query_bytes]
    )
    own = different(objects)
    for period in np.flatnonzero(ctas % np.arange(1, ctas // 2 + 1) == 0) + 1:
        groups = ctas // period
        if (looks.reshape(len(looks), groups, period) == looks[:, None, :period]).all() and (
            different(objects[: ptr[period]]) * groups == own
        ):
            return int(period)
    return ctas


def groups_of(grid: Grid, reuse: Reuse, held_bytes: int, slots: int) -> tuple[int, int] | None:
    """(CTAs of a group, groups of the form), where the first groups of a launch can stand for it; else None. slots:
    CTAs that are resident at once. What a replay finds of its own KV is left out: that has to be more than L2 holds."""
    if reuse.cache is None or grid.ctas < WAVES * LEAST_GAIN * slots:
        return None
    warm = bool((reuse.cache.tags != tags.EMPTY).any())
    if warm and different(reuse.objects) * float(grid.tile_bytes().mean()) < held_bytes:
        return None
    period = period_of(grid, reuse.objects)
    groups = max(6, -(-WAVES * slots // period))
    return (period, groups) if groups * LEAST_GAIN * period <= grid.ctas else None


def first_ctas(grid: Grid, reuse: Reuse, count: int) -> tuple[Grid, Reuse]:
    """The first CTAs of a grid that start in order, and an empty cache for them."""
    tiles = int(grid.tile_ptr[count])
    part = replace(
        grid,
        tile_ptr=grid.tile_ptr[: count + 1],
        tile_class=grid.tile_class[:tiles],
        query_bytes=grid.query_bytes[:count],
        output_ptr=grid.output_ptr[: count + 1],
        order=grid.order[:count],
        blocks=grid.blocks[:tiles],
        tables=grid.tables[:count],
        sequence=grid.sequence[:count],
    )
    cache = None if reuse.cache is None else tags.new_cache(reuse.cache.p, reuse.cache.keep)
    return part, Reuse(reuse.objects[:tiles], reuse.hits[:tiles], cache)


def repeated_timing(grid: Grid, reuse: Reuse, period: int, groups: int, run: RunGrid) -> Timing | None:
    """The launch from its first groups; None where they do not come at a steady pace. Its `consumed` is that of the
    form, its hits beyond are those of the form's steady part."""
    form = run(*first_ctas(grid, reuse, groups * period))
    tiles = int(grid.tile_ptr[period])
    begin, stop = round(FIRST * groups), round(LAST * groups)
    middle = (begin + stop) // 2
    ends = np.sort(form.consumed)[np.array([begin, middle, stop]) * tiles - 1]
    paces = np.diff(ends) / np.diff([begin, middle, stop])
    if abs(paces[0] / paces[1] - 1) > CURVED:
        return None
    further = grid.ctas // period - groups
    steady = form.hits[begin * tiles : stop * tiles]
    return replace(
        form,
        end=round(form.end + further * (ends[-1] - ends[0]) / (stop - begin)),
        hits=np.concatenate([form.hits, np.resize(steady, grid.tiles - len(form.hits))]),
        memory_ps=round(form.memory_ps * (1 + further / groups)),
        written=round(form.written * (1 + further / groups)),
    )
