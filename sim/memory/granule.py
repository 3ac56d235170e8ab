"""How many bytes a tag of L2 covers in a run: no more than the contiguous pieces of KV that it reads.

Silicon has a tag for each line (NVIDIA: 128 bytes of four sectors), the plane one for several lines that are read
together: fewer look-ups, and the same as long as they are read together. In an NHD layout the pieces of one head are a
token long (256 bytes at head_dim 128 in 16 bits), and a tag over a whole channel-interleave block would hold the place
of the neighbouring heads', which nobody may want.
"""

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.memory.fetches import FetchKind, FetchTable, TrafficClass
from sim.memory.params import shift, whole_granule

Int64 = NDArray[np.int64]
SPARE = 8
"""A run fits granules that hold at most one part in so many more place than its lines do."""
NUMBER_BITS = 30
"""Bits that a tag has for the number of its granule (`tags`)."""
PART_RUNS = 1 << 18
"""Runs looked at together, which bounds the memory that this takes."""


def granule_bytes(hw: Hardware, table: FetchTable) -> int:
    """The largest granule that fits the runs of more than half of the bytes of KV that are read, a line if none does;
    whole where no KV is read.
    """
    line, whole = hw.l2.line_bytes, whole_granule(hw)
    end = int((table.run_addr + table.run_bytes).max(initial=1)) - 1
    sizes = [size for size in _halves(whole, line) if size == whole or end >> shift(size) < 1 << NUMBER_BITS]
    fitting = np.zeros(len(sizes), np.int64)
    total = 0
    read = np.repeat((table.kind == FetchKind.READ) & (table.cls == TrafficClass.KV), np.diff(table.run_ptr))
    for at in range(0, len(read), PART_RUNS):
        part = slice(at, at + PART_RUNS)
        start, size = table.run_addr[part][read[part]], table.run_bytes[part][read[part]].astype(np.int64)
        total += int(size.sum())
        most = _place(start, size, line) * (SPARE + 1)
        fitting += [int(size[_place(start, size, g) * SPARE <= most].sum()) for g in sizes]
    if not total:
        return whole
    return next((g for g, share in zip(sizes, fitting.tolist(), strict=True) if 2 * share > total), sizes[-1])


def _halves(whole: int, line: int) -> list[int]:
    """Granules from whole down to a line."""
    return [whole >> step for step in range(max(0, shift(whole) - shift(line)) + 1)]


def _place(start: Int64, size: Int64, granule: int) -> Int64:
    """[N] bytes of the granules that each run touches."""
    return ((start + size - 1) // granule - start // granule + 1) * granule
