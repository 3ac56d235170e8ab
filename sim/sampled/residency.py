"""Which bytes of a sample start in L2, when the whole launch would find a share of them there."""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.shares import ONE
from sim.config.hardware import Hardware
from sim.lowering.launch import Launch
from sim.lowering.runs import repeat_index
from sim.warming_order import new_lines

Int64 = NDArray[np.int64]


def readers(launch: Launch, hw: Hardware) -> Int64:
    """[T] the SM that reads each tile, as the first of its partition: all there share an L2."""
    count, partitions = hw.sm.count, hw.l2.partitions
    turn = np.argsort(launch.order)
    return np.repeat(turn, np.diff(launch.ctas.tile_ptr)) % count % partitions


def found_before(objects: Int64, hits: Int64) -> Int64:
    """[O] share of each object that L2 holds before a launch: what all of its readers together miss was not there, as
    who comes first brings it for those after. objects, hits: [T] of the whole launch."""
    missing = np.bincount(objects, ONE - hits).astype(np.int64)
    return np.maximum(0, ONE - missing)


def resident_ranges(launch: Launch, hit_q16: Int64, query_q16: Int64, hw: Hardware) -> Int64:
    """[N, 3] (address, bytes, reader): of each tile's granules the share that it would hit, drawn at random
    (the same ones in every run). hit_q16: [T] of its KV, alike for all that read the same; query_q16: [C] of the rows
    that a CTA reads before its first tile. Lines of the block table have the share of the tile that needs them."""
    fetches = launch.fetches
    tile, _ = repeat_index(np.diff(fetches.run_ptr[: launch.tiles + 1]))
    share = hit_q16[tile]
    share[fetches.run_ptr[launch.ctas.tile_ptr[:-1]]] = query_q16
    reader = readers(launch, hw)
    table, needed_by = _table_runs(launch, reader)
    runs, by = np.concatenate([np.arange(len(tile)), table]), np.concatenate([tile, needed_by])
    pieces = (fetches.run_addr[runs], fetches.run_bytes[runs].astype(np.int64), reader[by])
    return _drawn(*pieces, np.concatenate([share, hit_q16[needed_by]]), hw.hbm.interleave_bytes)


def _drawn(start: Int64, size: Int64, reader: Int64, share_q16: Int64, granule: int) -> Int64:
    """[N, 3] (address, bytes, reader) of the granules of runs that are drawn with the share of each run."""
    first = start // granule
    run, rank = repeat_index((start + size - 1) // granule - first + 1)
    low = np.maximum(start[run], (first[run] + rank) * granule)
    high = np.minimum(start[run] + size[run], (first[run] + rank + 1) * granule)
    drawn = np.random.default_rng(0).random(len(run)) < (share_q16 / ONE)[run]
    return np.stack([low[drawn], (high - low)[drawn], reader[run[drawn]]], axis=1)


def _table_runs(launch: Launch, reader: Int64) -> tuple[Int64, Int64]:
    """[L] each: runs that read the block table, once for all of a reader, and a tile that needs each."""
    fetches = launch.fetches
    asked = np.stack(new_lines(launch), axis=1)
    tile, which = np.nonzero(asked >= 0)
    fetch = asked[tile, which]
    of, rank = repeat_index(fetches.run_ptr[fetch + 1] - fetches.run_ptr[fetch])
    run = fetches.run_ptr[fetch[of]] + rank
    _, first = np.unique(
        fetches.run_addr[run] * (reader.max(initial=0) + 1) + reader[tile[of]], return_index=True
    )
    return run[first], tile[of[first]]
