"""Gather: runs of one length at random places, as KV pages are read; and the same behind a block table.

Each SM keeps several fetches of a few runs in flight. Every run costs its set-up (`gather.issue_clk`); bytes are
moved in whole sectors, so that runs shorter than a sector move more than was asked for.
"""

from dataclasses import dataclass

import numpy as np

from sim.characterise.driver import Crew, Int64, chain, fetch_table, new_plane, work_off
from sim.config.hardware import Hardware

RUN_BYTES = (64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536)
FETCH_BYTES = 8192
"""Of one fetch, unless a single run is longer."""
SLOTS = 4
POOL_GIB = 4
"""Where the runs lie; less where memory is smaller."""
TRAFFIC_MIB = 48
TABLE_STEPS = 1024
ENTRY_BYTES = 4
PAGE_BYTES = (512, 2048, 8192, 32768)
GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True)
class GatherPoint:
    """A run length, the wanted bytes per time, and what had to be moved for them."""

    run_bytes: int
    gb_s: float
    overfetch: float
    """Bytes moved, in whole sectors, per byte wanted."""
    row_hits: float
    """Accesses to memory that found their row open."""


@dataclass(frozen=True)
class TablePoint:
    """A page's bytes and the time of one step: a table entry, then the page it names."""

    page_bytes: int
    step_ns: float
    entry_ns: float
    """The part of the table entry."""


def gather(hw: Hardware, run_bytes: int, seed: int) -> GatherPoint:
    """All SMs read runs of one length, each aligned to its length, no run twice."""
    runs = max(1, FETCH_BYTES // run_bytes)
    count = max(TRAFFIC_MIB * MIB // (runs * run_bytes), 6 * hw.sm.count * SLOTS)
    addresses = _places(hw, count * runs, run_bytes, seed)
    plane, env = new_plane(hw, fetch_table(addresses, run_bytes, runs))
    window = work_off(plane, env, Crew(hw.sm.count, SLOTS))
    c = plane.counters
    return GatherPoint(
        run_bytes, window.gb_s, c["requested"] / c["wanted"], c["row_hits"] / max(1, c["trains"])
    )


def table_chase(hw: Hardware, page_bytes: int, seed: int) -> TablePoint:
    """Nothing is prefetched: the entry's latency is exposed in each step. Entries lie far apart, pages too."""
    places = _places(hw, 2 * TABLE_STEPS, max(page_bytes, 512), seed)
    table = fetch_table(places, page_bytes)
    table.run_bytes[::2] = ENTRY_BYTES
    plane, env = new_plane(hw, table)
    step = chain(plane, env).time_ns / TABLE_STEPS
    plane, env = new_plane(hw, fetch_table(places[::2].copy(), ENTRY_BYTES))
    return TablePoint(page_bytes, step, chain(plane, env).time_ns / TABLE_STEPS)


def _places(hw: Hardware, count: int, size: int, seed: int) -> Int64:
    """Distinct random multiples of `size` in the pool."""
    pool = min(POOL_GIB * GIB, int(hw.hbm.capacity_gib * GIB))
    cells = max(count, pool // size)
    return np.random.default_rng(seed).choice(cells, count, replace=False).astype(np.int64) * size
