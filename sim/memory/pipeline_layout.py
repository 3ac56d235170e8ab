"""What software pipelines know (`pipeline`), in an array of their own: what they compute differs from launch to launch.

A header, a row for each SM, a row for each tile of the launch, then the record of what was computed and waited for.
"""

import numpy as np
from numpy.typing import NDArray

Pipes = NDArray[np.int64]

# Header. PS_ASKED: fetches in the rings of all SMs; PS_FETCH: number of the launch's first fetch; PS_KEEP: stamps of
# all fetches are kept; PS_COLS: cells of an SM's row; PS_ASKS: places of its ring; PS_TILES, PS_WAITS: rows of the
# record; AT_: where the parts begin.
(
    PS_SMS,
    PS_ASKED,
    PS_FETCH,
    PS_BUFFER,
    PS_KEEP,
    PS_COLS,
    PS_ASKS,
    PS_TILES,
    PS_WAITS,
    AT_ROWS,
    AT_WORK,
    AT_TILES,
    AT_WAITS,
) = range(13)
PS_HEADER = 16

# An SM's row. PL_TILE, PL_NEXT, PL_END: the tile to be computed next, that to be asked for next, behind the last one;
# PL_HELD: bytes of buffers in use; PL_AT: when the last tile was done, or since when the next one is waited for;
# PL_STARVED: whether all buffers were out then, UNKNOWN until that can be said. PL_SHUT: when the gate before PL_NEXT
# was found shut or not known to be open, UNKNOWN: there is none; PL_ON_ROOT: whether it is the root's. Of the root (-1:
# none), the line in use and the one ahead of it: number and when it was here. PL_ASKED, PL_FIRST: fetches in the ring
# of what is asked for from some instant on, place of the first.
(
    PL_TILE,
    PL_NEXT,
    PL_END,
    PL_HELD,
    PL_AT,
    PL_STARVED,
    PL_SHUT,
    PL_ON_ROOT,
    PL_ROOT,
    PL_ROOT_AT,
    PL_LINE,
    PL_LINE_AT,
    PL_AHEAD,
    PL_AHEAD_AT,
    PL_OPEN,
    PL_LAST_LINE,
    PL_FIRST,
    PL_ASKED,
    PL_RING,
) = range(19)
# A place of the ring: fetch, when, whether its stamps are kept.
ASK_FETCH, ASK_AT, ASK_KEPT, ASK_COLS = range(4)
# A tile: bytes, block-table line (-1: none), ps that it is computed, number of its chain, fetch that it writes when it
# is done (-1: none), when it is here.
T_BYTES, T_LINE, T_PS, T_CHAIN, T_WRITE, T_HERE, T_COLS = range(7)
# Record of a tile: SM, fetch, since when it was waited for, when it began, whether all buffers were out, its chain.
TILE_COLS = 6
# Record of a wait for a gate in which nothing could be computed: SM, whether it was for entries of a line, begin, end.
WAIT_COLS = 4

NOT_ASKED, UNKNOWN = -2, -1
NO_LINE = -2
"""Of PL_LINE, PL_AHEAD, PL_OPEN: none yet (-1 is a tile's that has none)."""
