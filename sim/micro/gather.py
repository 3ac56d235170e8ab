"""Gather: runs of one length at random places, as KV pages are read; and the same behind a block table.

Each SM keeps several fetches of a few runs in flight. Every run costs its set-up (`gather.issue_clk`); bytes are
moved in whole sectors, so that runs shorter than a sector move more than was asked for.
"""

from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.fetches import TrafficClass
from sim.micro.driver import ONE_LOAD, PS_PER_NS, Benchmark, Crew, Int64, Outcome, fetch_table, plain_loads

RUN_BYTES = (64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536)
FETCH_BYTES = 8192
"""Of one fetch, unless a single run is longer."""
SLOTS = 4
POOL_GIB = 4
"""Where the runs of a characterisation lie; less where memory is smaller."""
TRAFFIC_MIB = 48
FETCHES_PER_SLOT = 6
TABLE_STEPS = 1024
ENTRY_BYTES = 4
ENTRY_CELL_BYTES = 512
"""Entries lie at least this far apart, so that no two share an access to memory."""
PAGE_BYTES = (512, 2048, 8192, 32768)
PAIR_STEPS = 8192
"""Of a chase of single words, fewer where there are few pages: a quarter of them."""
MOST_PAGES = 1 << 20
"""Of such a chase: 4 MiB of entries."""
GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True)
class GatherPoint:
    """The wanted bytes per time, and what had to be moved for them."""

    gb_s: float
    overfetch: float
    """Bytes moved, in whole sectors, per byte wanted."""
    row_hits: float
    """Accesses to memory that found their row open."""


@dataclass(frozen=True)
class TablePoint:
    """The time of one step: a table entry, then the page it names."""

    step_ns: float
    entry_ns: float
    """The part of the table entry."""


def pool_mib(hw: Hardware) -> float:
    """Where a characterisation gathers from."""
    return min(POOL_GIB, hw.hbm.capacity_gib) * GIB / MIB


def gather(hw: Hardware, run_bytes: int, pool_mib: float, seed: int, sms: int | None = None) -> Benchmark:
    """SMs (none: all) read runs of one length, each aligned to its length, no run again before all were read."""
    crew = Crew(sms or hw.sm.count, SLOTS)
    runs = max(1, FETCH_BYTES // run_bytes)
    count = max(TRAFFIC_MIB * MIB // (runs * run_bytes), FETCHES_PER_SLOT * crew.workers)
    addresses = places(pool_mib, count * runs, run_bytes, seed)
    distinct = min(count * runs, cells_of(pool_mib, run_bytes)) * run_bytes
    return Benchmark(hw, fetch_table(addresses, run_bytes, runs), crew, distinct)


def gather_point(outcome: Outcome) -> GatherPoint:
    count = outcome.whole.counters
    return GatherPoint(
        gb_s=outcome.window.gb_s,
        overfetch=count["requested"] / count["wanted"],
        row_hits=count["row_hits"] / max(1, count["trains"]),
    )


def table_chase(hw: Hardware, page_bytes: int, pool_mib: float, seed: int, look_up: bool = True) -> Benchmark:
    """One SM loads an entry, then the page it names, and so on: the entry's latency is exposed in each step. Entries
    lie far apart, pages too. look_up: false leaves the entries out.
    """
    cell = max(page_bytes, ENTRY_CELL_BYTES)
    addresses = places(pool_mib, 2 * TABLE_STEPS, cell, seed)
    table = fetch_table(addresses if look_up else addresses[1::2].copy(), page_bytes)
    if look_up:
        table.run_bytes[::2] = ENTRY_BYTES
        table.cls[::2] = TrafficClass.METADATA
    steps = min(TABLE_STEPS, cells_of(pool_mib, cell) // 2)
    distinct = steps * (page_bytes + (ENTRY_BYTES if look_up else 0))
    return Benchmark(hw, table, ONE_LOAD, distinct)


def word_chase(hw: Hardware, page_bytes: int, pool_mib: float, seed: int) -> Benchmark:
    """One SM loads a 4-byte entry of a dense table, then the first word of the page it names, and so on, by plain
    loads. Entries that share a sector with an earlier one are in L2: the more, the fewer pages the pool has.
    """
    pages = min(MOST_PAGES, cells_of(pool_mib, page_bytes))
    rng = np.random.default_rng(seed)
    steps = min(PAIR_STEPS, pages // 4)
    entries = rng.choice(pages, steps, replace=False).astype(np.int64) * ENTRY_BYTES
    first_page = -(-pages * ENTRY_BYTES // page_bytes) * page_bytes
    words = first_page + rng.choice(pages, steps, replace=False).astype(np.int64) * page_bytes
    table = fetch_table(np.stack([entries, words], axis=1).ravel(), ENTRY_BYTES)
    table.cls[::2] = TrafficClass.METADATA
    return Benchmark(plain_loads(hw), table, ONE_LOAD, 2 * steps * ENTRY_BYTES)


def table_point(outcome: Outcome) -> TablePoint:
    """Of the steps behind the first one."""
    entries, pages = outcome.arrivals_ps[::2], outcome.arrivals_ps[1::2]
    steps = len(pages) - 1
    return TablePoint(
        step_ns=int(pages[-1] - pages[0]) / steps / PS_PER_NS,
        entry_ns=int((entries[1:] - pages[:-1]).sum()) / steps / PS_PER_NS,
    )


def cells_of(pool_mib: float, size: int) -> int:
    return round(pool_mib * MIB) // size


def places(pool_mib: float, count: int, size: int, seed: int) -> Int64:
    """[count] multiples of `size` in a pool in random order, none again before all had their turn."""
    rng, cells = np.random.default_rng(seed), cells_of(pool_mib, size)
    laps = [rng.choice(cells, min(cells, count - at), replace=False) for at in range(0, count, cells)]
    return np.concatenate(laps).astype(np.int64) * size
