"""Pointer chase: one SM, one 32-byte load at a time, each address known when the one before is here.

The chain visits every block of a footprint once per lap in random order, so that neither rows nor pages help. A
footprint inside the L2 near the SM shows the near hit; one that fits in all partitions but not in one shows far hits
and misses mixed; one of several times the L2 shows memory with a miss in the SM's TLB; one beyond the reach of the
shared TLB, where memory is large enough for it, shows page walks.
"""

from dataclasses import dataclass

import numpy as np

from sim.characterise.driver import Int64, Window, chain, fetch_table, new_plane, plain_loads
from sim.config.hardware import Hardware
from sim.memory.params import Param, build

LOAD_BYTES = 32
STEPS = 4096
"""Loads that are timed."""
SHARES = (0.1, 0.25, 0.4, 0.6, 0.75, 0.88, 1.1, 1.5, 2.5, 4.0)
"""Footprints over the L2's capacity."""
NEAR, SECOND, MEMORY = 0.25, 0.88, 4.0
"""Footprints of the plateaus, as shares of the L2's capacity."""
MIB = 1 << 20


@dataclass(frozen=True)
class ChasePoint:
    """A footprint and the time of one load."""

    footprint_mib: float
    latency_ns: float
    hbm_share: float
    """Loads that memory served."""
    far_share: float
    """Loads that the near partition asked another one for."""
    walk_share: float
    """Loads that waited for a page walk."""


def chase(hw: Hardware, footprint_mib: float, seed: int) -> ChasePoint:
    """A warm chase over a footprint, one load per L2 tag."""
    loads = plain_loads(hw)
    granule = 1 << int(build(loads)[Param.GRANULE_SHIFT])
    blocks = np.random.default_rng(seed).permutation(round(footprint_mib * MIB) // granule) * granule
    plane, env = new_plane(loads, fetch_table(blocks[:STEPS], LOAD_BYTES))
    lap = np.stack([blocks, np.full_like(blocks, granule)], axis=1)
    plane.warm(lap)
    plane.warm(lap)
    return _point(footprint_mib, chain(plane, env))


def chase_pages(hw: Hardware) -> ChasePoint | None:
    """A chase of one load per page over all memory, page after page, once round before it is timed; None where the
    TLB reaches it all.
    """
    page = hw.tlb.page_kib * 1024
    pages = min(int(hw.hbm.capacity_gib * 2**30) // page, 2 * hw.tlb.l2_entries)
    if pages <= hw.tlb.l2_entries:
        return None
    plane, env = new_plane(plain_loads(hw), fetch_table(_page_loads(np.arange(pages), page), LOAD_BYTES))
    return _point(pages * page / MIB, chain(plane, env, first=pages))


def _page_loads(order: Int64, page: int) -> Int64:
    """Addresses of one lap and of the timed loads; the second lap reads another block of each page than the first."""
    first = order * page + (order * 4096) % page
    return np.concatenate([first, first[:STEPS] ^ (page >> 1)])


def _point(footprint_mib: float, window: Window) -> ChasePoint:
    count = window.counters
    loads = count["requested"] // LOAD_BYTES
    return ChasePoint(
        footprint_mib=footprint_mib,
        latency_ns=window.time_ns / loads,
        hbm_share=count["hbm_read"] / count["requested"],
        far_share=count["l2_far"] / count["requested"],
        walk_share=count["tlb_l2_misses"] / loads,
    )
