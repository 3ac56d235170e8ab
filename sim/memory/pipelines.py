"""The software pipelines of a launch (`pipeline`), as Python begins them and reads their record."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.memory import kernel
from sim.memory.build import aligned
from sim.memory.params import LINE_CELLS
from sim.memory.pipeline_layout import (
    ASK_COLS,
    AT_ROWS,
    AT_TILES,
    AT_WAITS,
    AT_WORK,
    PL_AT,
    PL_END,
    PL_LAST_LINE,
    PL_RING,
    PL_ROOT,
    PL_TILE,
    PS_ASKED,
    PS_ASKS,
    PS_BUFFER,
    PS_COLS,
    PS_FETCH,
    PS_HEADER,
    PS_KEEP,
    PS_SMS,
    PS_TILES,
    PS_WAITS,
    T_COLS,
    T_HERE,
    TILE_COLS,
    UNKNOWN,
    WAIT_COLS,
    Pipes,
)

Int64 = NDArray[np.int64]
GATES = 3
"""Block-table fetches that may be asked for at once: the root, a line, the one behind it."""


@dataclass(frozen=True)
class TileWork:
    """What the CTAs of a launch do with its tiles, [T] each; numbers of fetches are those of the launch."""

    tile_ptr: Int64
    """[C + 1] tiles of each CTA."""
    bytes: Int64
    line: Int64
    """Block-table line that names a tile's pages, -1: none. Within a CTA they do not decrease."""
    duration_ps: Int64
    chain: Int64
    write: Int64
    """Fetch that is written when the tile is computed, -1: none; only where no tile needs a line."""
    first_fetch: int
    buffer_bytes: int

    @property
    def stages(self) -> int:
        """Tiles that may be in a CTA's buffers at once, at most."""
        fit = self.buffer_bytes // max(1, int(self.bytes.min(initial=self.buffer_bytes)))
        return max(1, min(fit, int(np.diff(self.tile_ptr).max(initial=1))))

    @property
    def gates(self) -> int:
        """Gates that CTAs may wait for, at most: of each its root, its first line and every other one."""
        return 2 * len(self.tile_ptr) + int(np.count_nonzero(np.diff(self.line)))


class Pipelines:
    """One for each SM. keep: whether the stamps of all fetches are kept."""

    def __init__(self, work: TileWork, sms: int, keep: bool) -> None:
        tiles = len(work.bytes)
        asks = 2 * work.stages + GATES
        columns = -(-(PL_RING + asks * ASK_COLS) // LINE_CELLS) * LINE_CELLS
        sizes = (PS_HEADER, sms * columns, tiles * T_COLS, tiles * TILE_COLS, work.gates * WAIT_COLS)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.cells: Pipes = aligned(int(starts[-1]))
        p = self.cells
        p[[AT_ROWS, AT_WORK, AT_TILES, AT_WAITS]] = starts[1:-1]
        p[PS_SMS], p[PS_COLS], p[PS_ASKS] = sms, columns, asks
        p[PS_FETCH], p[PS_BUFFER], p[PS_KEEP] = work.first_fetch, work.buffer_bytes, keep
        table = p[starts[2] : starts[3]].reshape(tiles, T_COLS)
        values = (work.bytes, work.line, work.duration_ps, work.chain, work.write)
        for column, value in enumerate(values):
            table[:, column] = value
        table[:, T_HERE] = UNKNOWN

    def begin(self, sm: int, tiles: tuple[int, int], root: int, last_line: int, now: int) -> None:
        """Let an SM work through tiles [first, end), at least one. root: block-table fetch that their lines need (-1:
        none); last_line: behind which no line is asked for ahead."""
        p, r = self.cells, self._row(sm)
        p[r + PL_TILE], p[r + PL_END] = tiles
        p[r + PL_ROOT], p[r + PL_LAST_LINE] = root, last_line
        kernel.start(p, r, now)

    def reached(self, sm: int) -> int:
        """ps up to which it is known what an SM did."""
        return int(self.cells[self._row(sm) + PL_AT])

    def take(self) -> tuple[Int64, Int64]:
        """What was computed, [N, TILE_COLS], and waits for gates meanwhile, [M, WAIT_COLS]; both begin anew."""
        tiles = self._record(AT_TILES, PS_TILES, TILE_COLS)
        return tiles, self._record(AT_WAITS, PS_WAITS, WAIT_COLS)

    @property
    def asked(self) -> int:
        """Fetches that are asked for and not yet handed to their ports."""
        return int(self.cells[PS_ASKED])

    @property
    def recorded(self) -> int:
        """Tiles that were computed and not yet taken."""
        return int(self.cells[PS_TILES])

    def _row(self, sm: int) -> int:
        return int(self.cells[AT_ROWS] + sm * self.cells[PS_COLS])

    def _record(self, at: int, count: int, columns: int) -> Int64:
        rows, start = int(self.cells[count]), int(self.cells[at])
        self.cells[count] = 0
        return self.cells[start : start + rows * columns].reshape(rows, columns).copy()


def no_pipelines() -> Pipes:
    """Of a plane that has none."""
    return np.zeros(PS_HEADER, np.int64)
