"""What an identical run before read and wrote, in its order: a replay finds in L2 what is left of that."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.lowering.runs import repeat_index

Int64 = NDArray[np.int64]


def warming_order(launches: Sequence[Launch], offsets: Sequence[int], hw: Hardware) -> tuple[Int64, Int64]:
    """(fetch, SM) of one run in grid order: CTAs breadth first over the slots, tiles in turn, each behind the lines of
    the block table that its CTA reads for it. offsets: the first fetch of each launch."""
    fetches: list[Int64] = []
    sms: list[Int64] = []
    for launch, offset in zip(launches, offsets, strict=True):
        ctas, turn = launch.ctas, np.argsort(launch.order)
        cta, rank = repeat_index(np.diff(ctas.tile_ptr))
        wave = turn[cta] // (hw.sm.count * launch.ctas_per_sm)
        order = np.lexsort((turn[cta], rank, wave))
        reads = np.stack([*new_lines(launch), np.arange(launch.tiles)])
        parts = [(reads[:, order].T, cta[order]), (ctas.output, np.arange(ctas.count))]
        if launch.tile_output is not None:
            parts.append((launch.tile_output[order], cta[order]))
        for asked, of in parts:
            there = asked >= 0
            fetches.append(asked[there].astype(np.int64) + offset)
            readers = np.broadcast_to(of[:, None], asked.shape) if asked.ndim > 1 else of
            sms.append(turn[readers[there]] % hw.sm.count)
    return np.concatenate(fetches), np.concatenate(sms)


def new_lines(launch: Launch) -> tuple[Int64, Int64]:
    """[T] each: the first table level and the block-table line that a tile's CTA reads for it, -1 where it has them."""
    cta, rank = repeat_index(np.diff(launch.ctas.tile_ptr))
    line = launch.tile_line.astype(np.int64)
    known = (rank > 0) & (line == np.roll(line, 1))
    return np.where(rank == 0, launch.ctas.root[cta], -1), np.where(known, -1, line)
