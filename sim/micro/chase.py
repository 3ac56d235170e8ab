"""Pointer chase: one SM, one 32-byte load at a time, each address known when the one before is here.

The chain visits every block of a footprint once per lap in random order, so that neither rows nor pages help. A
footprint inside the L2 near the SM shows the near hit; one that fits in all partitions but not in one shows far hits
and misses mixed; one of several times the L2 shows memory with a miss in the SM's TLB; one beyond the reach of the
shared TLB, where memory is large enough for it, shows page walks.
"""

from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.plane import MemoryPlane
from sim.micro.driver import ONE_LOAD, Benchmark, Int64, Outcome, fetch_table, leave_cold, plain_loads, run

LOAD_BYTES = 32
STEPS = 4096
"""Loads of a chase, fewer where the footprint has fewer blocks."""
SHARES = (0.1, 0.25, 0.4, 0.6, 0.75, 0.88, 1.1, 1.5, 2.5, 4.0)
"""Footprints over the L2's capacity."""
NEAR, SECOND, MEMORY = 0.25, 0.88, 4.0
"""Footprints of the plateaus, as shares of the L2's capacity."""
MIB = 1 << 20


@dataclass(frozen=True)
class ChasePoint:
    """The time of one load, and who served it."""

    latency_ns: float
    hbm_share: float
    """Loads that memory served."""
    far_share: float
    """Loads that the near partition asked another one for."""
    walk_share: float
    """Loads that waited for a page walk."""


def block_bytes(hw: Hardware) -> int:
    """What lies under one tag of the L2 where loads are this small, a line: a chase loads once from each."""
    return hw.l2.line_bytes


def chase(hw: Hardware, footprint_mib: float, seed: int, warm: bool = True) -> Benchmark:
    """One load per L2 tag of a footprint. warm: two laps went before."""
    loads = plain_loads(hw)
    block = block_bytes(loads)
    blocks = np.random.default_rng(seed).permutation(round(footprint_mib * MIB) // block) * block

    def two_laps(plane: MemoryPlane) -> None:
        lap = np.stack([blocks, np.full_like(blocks, block)], axis=1)
        plane.warm(lap)
        plane.warm(lap)

    table = fetch_table(blocks[:STEPS], LOAD_BYTES)
    touched = table.fetches * LOAD_BYTES
    return Benchmark(loads, table, ONE_LOAD, touched, warm=two_laps if warm else leave_cold)


def chase_pages(hw: Hardware) -> tuple[float, ChasePoint] | None:
    """A chase of one load per page over all memory, page after page, once round before it is timed: the MiB of its
    pages, and what it shows; None where the TLB reaches it all.
    """
    page = hw.tlb.page_kib * 1024
    pages = min(int(hw.hbm.capacity_gib * 2**30) // page, 2 * hw.tlb.l2_entries)
    if pages <= hw.tlb.l2_entries:
        return None
    table = fetch_table(_page_loads(np.arange(pages), page), LOAD_BYTES)
    bench = Benchmark(plain_loads(hw), table, ONE_LOAD, table.fetches * LOAD_BYTES, warm_up=pages)
    return pages * page / MIB, chase_point(run(bench))


def tlb_spans_mib(hw: Hardware) -> list[float]:
    """Memory spanned by a chase of one line in each page: from 8 pages by fours up to half the memory."""
    half, page_mib = hw.hbm.capacity_gib * 1024 / 2, hw.tlb.page_kib / 1024
    spans = [8 * page_mib * 4**k for k in range(16)]
    return [span for span in spans if span <= half]


def chase_lines(hw: Hardware, span_mib: float, seed: int) -> Benchmark:
    """One line at a random place in each page of a span, in random order, again and again; once round before it is
    timed, so that the lines are in L2, and translation is all that a larger span adds.
    """
    loads, page = plain_loads(hw), hw.tlb.page_kib * 1024
    line, pages, rng = hw.l2.line_bytes, round(span_mib * MIB) // page, np.random.default_rng(seed)
    lap = rng.permutation(pages) * page + rng.integers(0, page // line, pages) * line
    laps = -(-(pages + STEPS) // pages)
    table = fetch_table(np.tile(lap, laps)[: pages + STEPS], LOAD_BYTES)
    return Benchmark(loads, table, ONE_LOAD, pages * LOAD_BYTES, warm_up=pages)


def _page_loads(order: Int64, page: int) -> Int64:
    """Addresses of one lap and of the timed loads; the second lap reads another block of each page than the first."""
    first = order * page + (order * 4096) % page
    return np.concatenate([first, first[:STEPS] ^ (page >> 1)])


def chase_point(outcome: Outcome) -> ChasePoint:
    count = outcome.window.counters
    loads = count["requested"] // LOAD_BYTES
    return ChasePoint(
        latency_ns=outcome.window.time_ns / loads,
        hbm_share=count["hbm_read"] / count["requested"],
        far_share=count["l2_far"] / count["requested"],
        walk_share=count["tlb_l2_misses"] / loads,
    )
