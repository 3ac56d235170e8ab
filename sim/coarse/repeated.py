"""The time of a long launch of alike groups of CTAs at tile grain, from its first few groups.

A prefill of prompts of one length takes one head of one sequence after the other: groups of CTAs with equal tiles,
which meet each other's KV in L2 and no other group's. Once all SMs are busy, each group adds the same time: that
between tiles whole groups apart, in the steady part of a run of the first few. Its halves tell whether it is steady;
if not, or if groups differ, all of them run. Where a group has many waves of CTAs a start and an end are small parts of
one, and three of them will do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.coarse import tags
from sim.coarse.grid import Grid
from sim.coarse.hits import Reuse, different
from sim.coarse.machine import Timing

Int64 = NDArray[np.int64]

BEFORE, AFTER = 6, 4.5
"""Waves of CTAs before the steady part, which follow a start in step, and after it, where SMs run out of work."""
HALF = 3.75
"""Waves in each half of the steady part at least, which is of whole groups."""
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


@dataclass(frozen=True)
class Form:
    """The first groups of a launch, of `period` CTAs each. first: CTAs before the steady part; half: groups in each
    half of that."""

    period: int
    groups: int
    first: int
    half: int


def form_of(period: int, slots: int) -> Form:
    """The shortest form of a launch of such groups. slots: CTAs that are resident at once."""
    first, half = BEFORE * slots, -(-round(HALF * slots) // period)
    return Form(period, 2 * half - (-(first + round(AFTER * slots)) // period), first, half)


def groups_of(grid: Grid, reuse: Reuse, held_bytes: int, slots: int) -> Form | None:
    """The form, where the first groups of a launch can stand for it; else None. slots:
    CTAs that are resident at once. What a replay finds of its own KV is left out: that has to be more than L2 holds."""
    if reuse.cache is None or grid.ctas < (BEFORE + 2 * HALF + AFTER) * LEAST_GAIN * slots:
        return None
    warm = bool((reuse.cache.tags != tags.EMPTY).any())
    if warm and different(reuse.objects) * float(grid.tile_bytes.mean()) < held_bytes:
        return None
    form = form_of(period_of(grid, reuse.objects), slots)
    return form if form.groups * LEAST_GAIN * form.period <= grid.ctas else None


def first_ctas(grid: Grid, reuse: Reuse, count: int) -> tuple[Grid, Reuse]:
    """The first CTAs of a grid that start in order, and an empty cache for them."""
    tiles = int(grid.tile_ptr[count])
    part = replace(
        grid,
        tile_ptr=grid.tile_ptr[: count + 1],
        tile_class=grid.tile_class[:tiles],
        query=grid.query[:count],
        query_ptr=grid.query_ptr[: int(grid.query[count - 1]) + 2],
        output_ptr=grid.output_ptr[: count + 1],
        order=grid.order[:count],
        blocks=grid.blocks[:tiles],
        tables=grid.tables[:count],
        sequence=grid.sequence[:count],
    )
    found = reuse.cache
    cache = None if found is None else tags.new_cache(found.p, found.keep, found.sets, found.counts)
    return part, Reuse(reuse.objects[:tiles], reuse.hits[:tiles], cache)


def repeated_timing(grid: Grid, reuse: Reuse, form: Form, run: RunGrid) -> Timing | None:
    """The launch from its first groups; None where they do not come at a steady pace. Its `consumed` is that of the
    form, its hits beyond are those of the form's steady part."""
    first = run(*first_ctas(grid, reuse, form.groups * form.period))
    tiles = int(grid.tile_ptr[form.period])
    begin = int(grid.tile_ptr[form.first])
    marks = np.sort(first.consumed)[begin - 1 + tiles * form.half * np.arange(3)]
    paces = np.diff(marks)
    if abs(paces[0] / paces[1] - 1) > CURVED:
        return None
    further = grid.ctas // form.period - form.groups
    share = further / form.groups
    # hits of the whole groups of the steady part stand for those of the further ones
    steady = slice(-(-begin // tiles), begin // tiles + 2 * form.half)
    return replace(
        first,
        end=round(first.end + further * (marks[-1] - marks[0]) / (2 * form.half)),
        hits=_lengthened(first.hits, form.groups, steady, grid.tiles),
        query_hits=_lengthened(first.query_hits, form.groups, steady, len(grid.query_ptr) - 1),
        memory_ps=round(first.memory_ps * (1 + share)),
        written=round(first.written * (1 + share)),
    )


def _lengthened(values: Int64, groups: int, steady: slice, count: int) -> Int64:
    """[count] values of a launch: those of its first `groups`, and then those of the `steady` ones again and again."""
    each = len(values) // groups
    again = values[steady.start * each : steady.stop * each]
    return np.concatenate([values, np.resize(again, count - len(values))])
