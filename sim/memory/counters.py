"""Counters of the memory plane: name, unit, sentence; one slot each in the kernel's counter array."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.memory.fetches import TrafficClass
from sim.memory.layout import COUNTER_BASE
from sim.memory.params import Param
from sim.memory.regions import DataClass


class Counter(NamedTuple):
    """One declared counter."""

    name: str
    unit: str
    text: str


COUNTERS = (
    Counter("wanted", "B", "bytes of the runs as asked"),
    Counter("requested", "B", "bytes requested from L2, whole sectors"),
    Counter("l2_hit", "B", "requested bytes found in L2 or already on their way to it"),
    Counter("l2_miss", "B", "requested bytes read from behind L2"),
    Counter("l2_read", "B", "requested bytes of reads"),
    Counter("l2_write", "B", "requested bytes of writes"),
    Counter("l2_far", "B", "requested bytes that a partition asked the home slice in another one for"),
    Counter("hbm_read", "B", "bytes read from device memory"),
    Counter("hbm_write", "B", "bytes written to device memory"),
    Counter("llc_hit", "B", "L2 misses found in the last-level cache"),
    Counter("chunks", "1", "requests that SM ports issued"),
    Counter("trains", "1", "trains that device memory served"),
    Counter("activates", "1", "rows opened"),
    Counter("row_hits", "1", "trains that found their row open"),
    Counter("refreshes", "1", "refreshes that closed a bank or a channel"),
    Counter("turnarounds", "1", "changes between reading and writing"),
    Counter("mshr_stalls", "1", "misses that waited for a free MSHR"),
    Counter("merges", "1", "requests that waited for a line already in flight"),
    Counter("evictions_dirty", "1", "lines written back"),
    Counter("noc_busy", "ps", "sum of the SM ingress ports' busy time"),
    Counter("l2_busy", "ps", "sum of the slices' busy time"),
    Counter("hbm_busy", "ps", "sum of the channels' data-bus time"),
    Counter("tlb_l1_misses", "1", "requests whose page was not in the SM's TLB"),
    Counter("tlb_l2_misses", "1", "page walks"),
    Counter("block_table_lookups", "1", "block-table entries looked up by the assist"),
    Counter("assist_sm_hits", "1", "entries found in the SM's translation cache"),
    Counter("assist_shared_hits", "1", "entries found in the shared translation cache"),
    Counter("assist_walks", "1", "entries read from the block table by walkers"),
    Counter("requested_walks", "B", "bytes that block-table walkers requested"),
    *(
        Counter(f"requested_{c.name.lower()}", "B", f"requested bytes of class {c.name}")
        for c in TrafficClass
    ),
    Counter(
        "hbm_ecc", "B", "check bits that inline ECC read from or wrote to device memory, beside the data"
    ),
    Counter("l2_pins", "1", "tags pinned"),
    Counter("l2_pins_refused", "1", "tags taken as normal since the set's share for pins was held"),
    *(
        Counter(f"l2_{what}_{c.name.lower()}", "B", f"{text} whose residency class is {c.name.lower()}")
        for what, text in (("read", "requested bytes of reads"), ("hit", "requested bytes found in L2"))
        for c in DataClass
    ),
)
RESIDENCY_COUNTERS = tuple(counter.name for counter in COUNTERS[-2 * len(DataClass) - 2 :])
"""Nothing is in them where the L2 takes all data alike."""
INDEX = {counter.name: COUNTER_BASE + i for i, counter in enumerate(COUNTERS)}
"""Cell of each counter."""


MOVED = ("hbm_read", "hbm_write", "hbm_ecc", "l2_read", "l2_write", "l2_hit", "l2_miss", "wanted")


def moved_bytes(counters: Mapping[str, int]) -> dict[str, int]:
    """Of named counters, the bytes that a result shows."""
    return {name: counters[name] for name in MOVED if name in counters}


def as_dict(values: NDArray[np.int64]) -> dict[str, int]:
    """Counters of a plane's memory as plain integers by name; those of residency where the L2 knows classes, those of
    inline ECC where there is some.
    """
    named = {name: int(values[cell]) for name, cell in INDEX.items()}
    if not values[Param.RESIDENCY]:
        for name in RESIDENCY_COUNTERS:
            del named[name]
    if not values[Param.ECC_SHIFT]:
        del named["hbm_ecc"]
    return named
