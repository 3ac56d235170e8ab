"""Which bytes of a sample start in L2, when the whole launch would find a share of them there."""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.lowering.runs import repeat_index

Int64 = NDArray[np.int64]


def readers(launch: Launch, hw: Hardware) -> Int64:
    """[T] the SM that reads each tile, as the first of its partition: all there share an L2."""
    count, partitions = hw.sm.count, hw.l2.partitions
    turn = np.argsort(launch.order)
    group = np.repeat(turn, np.diff(launch.ctas.tile_ptr)) % count * partitions // count
    return -(-group * count // partitions)


def found_before(objects: Int64, hits: Int64) -> Int64:
    """[O] share of each object that L2 holds before a launch: what all of its readers together miss was not there, as
    who comes first brings it for those after. objects, hits: [T] of the whole launch."""
    missing = np.bincount(objects, ONE - hits).astype(np.int64)
    return np.maximum(0, ONE - missing)


def resident_ranges(launch: Launch, hit_q16: Int64, query_q16: Int64, hw: Hardware) -> Int64:
    """[N, 3] (address, bytes, reader): of each tile's granules the share that it would hit, drawn at random
    (the same ones in every run). hit_q16: [T] of its KV, alike for all that read the same; query_q16: [C] of the rows
    that a CTA reads before its first tile. Tables start in memory, as in a whole warm run."""
    fetches, granule = launch.fetches, hw.hbm.interleave_bytes
    tile, _ = repeat_index(np.diff(fetches.run_ptr[: launch.tiles + 1]))
    start, size = fetches.run_addr[: len(tile)], fetches.run_bytes[: len(tile)].astype(np.int64)
    share = hit_q16[tile]
    share[fetches.run_ptr[launch.ctas.tile_ptr[:-1]]] = query_q16
    first = start // granule
    run, rank = repeat_index((start + size - 1) // granule - first + 1)
    low = np.maximum(start[run], (first[run] + rank) * granule)
    high = np.minimum(start[run] + size[run], (first[run] + rank + 1) * granule)
    drawn = np.random.default_rng(0).random(len(run)) < (share / ONE)[run]
    reader = readers(launch, hw)[tile[run]]
    return np.stack([low[drawn], (high - low)[drawn], reader[drawn]], axis=1)
