"""What an identical run before read and wrote, in its order: a replay finds in L2 what is left of that."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.lowering.launch import Launch

Int64 = NDArray[np.int64]


def warming_order(launches: Sequence[Launch], offsets: Sequence[int], hw: Hardware) -> tuple[Int64, Int64]:
    """(fetch, SM) of one run in grid order: CTAs breadth first over the slots, tiles in turn, each behind the lines of
    the block table that its CTA reads for it. offsets: the first fetch of each launch."""
    fetches: list[Int64] = []
    sms: list[Int64] = []
    for launch, offset in zip(launches, offsets, strict=True):
        ctas, turn = launch.ctas, np.argsort(launch.order)
        cta = np.repeat(np.arange(ctas.count), np.diff(ctas.tile_ptr))
        order = _tile_order(launch, cta, turn, hw)
        reads = np.stack([*new_lines(launch, cta), np.arange(launch.tiles)])
        parts = [(reads[:, order].T, cta[order]), (ctas.output, np.arange(ctas.count))]
        if launch.tile_output is not None:
            parts.append((launch.tile_output[order], cta[order]))
        for asked, of in parts:
            there = asked >= 0
            fetches.append(asked[there].astype(np.int64) + offset)
            readers = np.broadcast_to(of[:, None], asked.shape) if asked.ndim > 1 else of
            sms.append(turn[readers[there]] % hw.sm.count)
    return np.concatenate(fetches), np.concatenate(sms)


def _tile_order(launch: Launch, cta: Int64, turn: Int64, hw: Hardware) -> Int64:
    """[T] tiles as they are read. cta: [T] of each tile; turn: [C] when each CTA starts."""
    rank = np.arange(launch.tiles) - launch.ctas.tile_ptr[cta]
    wave = turn[cta] // (hw.sm.count * launch.ctas_per_sm)
    return np.lexsort((turn[cta], rank, wave))


def new_lines(launch: Launch, cta: Int64) -> tuple[Int64, Int64]:
    """[T] each: the first table level and the block-table line that a tile's CTA reads for it, -1 where it has them."""
    first = np.arange(launch.tiles) == launch.ctas.tile_ptr[cta]
    line = launch.tile_line.astype(np.int64)
    known = ~first & (line == np.roll(line, 1))
    return np.where(first, launch.ctas.root[cta], -1), np.where(known, -1, line)
