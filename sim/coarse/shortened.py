"""The time of a long launch at tile grain from two of its shortened forms, where time is linear in length.

Where nothing is found in L2, all tiles of a CTA but the last are alike, and long CTAs spend their time in a steady
course: a launch whose CTAs have a share of their tiles takes a + b x tiles. Three lengths tell whether it does; if not,
or if CTAs are short or meet again in L2, all tiles run.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.coarse.grid import Grid
from sim.coarse.hits import Reuse, nothing_found
from sim.coarse.machine import Timing
from sim.lowering.runs import pointer, repeat_index

MOST_TILES = 16_384
"""Of the longest form that runs."""
FORMS = (4, 2, 1)
"""The forms have MOST_TILES over these."""
LEAST_GAIN = 2
"""A launch that is not longer than this many times the longest form runs whole."""
LEAST_TILES = 4
"""Of the median CTA in the shortest form: its buffers fill once and it comes to rest."""
CURVED = 0.02
"""Two slopes that differ by more are no line; what is extrapolated was off by a quarter of their difference."""

RunGrid = Callable[[Grid, Reuse], Timing]


def shorten(grid: Grid, share: float) -> Grid:
    """Each CTA with a `share` of its tiles: the first one, and the last of the others."""
    counts = np.diff(grid.tile_ptr)
    kept = np.maximum(1, np.rint(counts * share).astype(np.int64))
    cta, rank = repeat_index(kept)
    left_out = np.where(rank > 0, (counts - kept)[cta], 0)
    tiles = grid.tile_ptr[:-1][cta] + left_out + rank
    return replace(grid, tile_ptr=pointer(kept), tile_class=grid.tile_class[tiles], blocks=grid.blocks[tiles])


def is_long(grid: Grid, reuse: Reuse, formats: tuple[str, ...]) -> bool:
    """Whether shortened forms can stand for the launch."""
    if grid.tiles <= LEAST_GAIN * MOST_TILES or len(formats) > 1:
        return False
    if reuse.cache is not None or reuse.hits.any():
        return False
    median = float(np.median(np.diff(grid.tile_ptr)))
    return median * MOST_TILES / FORMS[0] / grid.tiles >= LEAST_TILES


def long_timing(grid: Grid, run: RunGrid) -> Timing | None:
    """The launch from its forms; None where they lie on no line. Its `consumed` is that of the longest form."""
    forms = [shorten(grid, MOST_TILES / grid.tiles / divisor) for divisor in FORMS]
    times = [run(form, nothing_found(form.tiles)) for form in forms]
    tiles = [form.tiles for form in forms]
    slopes = [(times[i + 1].end - times[i].end) / (tiles[i + 1] - tiles[i]) for i in (0, 1)]
    if abs(slopes[0] / slopes[1] - 1) > CURVED:
        return None
    longest = times[-1]
    idle_slope = (longest.idle - times[-2].idle) / (tiles[-1] - tiles[-2])
    return replace(
        longest,
        end=round(longest.end + slopes[1] * (grid.tiles - tiles[-1])),
        hits=np.zeros(grid.tiles, np.int64),
        idle=max(0, round(longest.idle + idle_slope * (grid.tiles - tiles[-1]))),
        memory_ps=round(longest.memory_ps * int(grid.tile_bytes.sum()) / int(forms[-1].tile_bytes.sum())),
    )
