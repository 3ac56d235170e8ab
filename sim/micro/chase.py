"""Pointer chase: one SM, one 32-byte load at a time, each address known when the one before is here.

The chain visits every block of a footprint once per lap in random order, so that neither rows nor pages help. A
footprint inside the L2 near the SM shows the near hit; one that fits in all partitions but not in one shows far hits
and misses mixed; one of several times the L2 shows memory with a miss in the SM's TLB; one beyond the reach of the
shared TLB, where memory is large enough for it, shows page walks.

Or all SMs read the footprint before, as in our own harness (validation/gpu, section chase): what the timed loads ask
for is then the oldest in an L2 that both partitions fill.
"""

from collections.abc import Callable
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
WARP = 32
TOUCH_WARPS, TOUCH_ROUNDS, TOUCH_HOPS = 1024 * 256 // WARP, 3, 16384
"""Of our own harness: warps that read at a time, rounds before the timed one, loads of the chase in each."""
TOUCH_BLOCK_WARPS = 8
TOUCH_START = 0.42
"""Over how much of the time that those warps' loads take their blocks start, one after the other: eight blocks of 256
threads an SM start over 1.2 us, 262,144 loads take 2.9 us (validation/gpu, H100: block_waves; gather, plain, warm).
"""
TOUCH_BATCHES = 8
"""Parts of those reads in which SMs take turns; within one they follow one another."""
POINTER_BYTES = 8
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
    blocks, size = _blocks(hw, footprint_mib, seed)

    def two_laps(plane: MemoryPlane) -> None:
        plane.warm(_ranges(blocks, size))
        plane.warm(_ranges(blocks, size))

    return _chain(hw, blocks, two_laps if warm else leave_cold)


def chase_touched(hw: Hardware, footprint_mib: float, seed: int) -> Benchmark:
    """One load per L2 tag of a footprint that all SMs read before, in warps of 32 blocks and the list of their
    addresses, each by the same SM in every round; each round ended with a chase by one SM, and the last one's is timed.

    Warps that are there at once load in any order, those of blocks that started early earlier.
    """
    blocks, size = _blocks(hw, footprint_mib, seed)
    loads, listed = _ranges(blocks, size), int(blocks.max()) + size
    warps, list_bytes = len(blocks) // WARP, WARP * POINTER_BYTES
    reader = np.arange(warps) % TOUCH_WARPS // TOUCH_BLOCK_WARPS % hw.sm.count

    def read_by(plane: MemoryPlane, sm: int, those: Int64) -> None:
        plane.warm(_ranges(listed + those * list_bytes, list_bytes), sm)
        plane.warm(loads[(those[:, None] * WARP + np.arange(WARP)).ravel()], sm)

    def touch(plane: MemoryPlane, rng: np.random.Generator) -> None:
        turn, place = np.divmod(np.arange(warps), TOUCH_WARPS)
        when = turn + TOUCH_START * place / TOUCH_WARPS + rng.random(warps)
        for batch in np.array_split(np.argsort(when), max(1, TOUCH_BATCHES * warps // TOUCH_WARPS)):
            for sm in rng.permutation(np.unique(reader[batch])):
                read_by(plane, int(sm), batch[reader[batch] == sm])

    def rounds(plane: MemoryPlane) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(TOUCH_ROUNDS):
            touch(plane, rng)
            plane.warm(loads[:TOUCH_HOPS])
        touch(plane, rng)

    return _chain(hw, blocks, rounds)


def _blocks(hw: Hardware, footprint_mib: float, seed: int) -> tuple[Int64, int]:
    """Addresses of a footprint's blocks in the order of the chase, and their bytes."""
    size = block_bytes(plain_loads(hw))
    return np.random.default_rng(seed).permutation(round(footprint_mib * MIB) // size) * size, size


def _ranges(blocks: Int64, size: int) -> Int64:
    return np.stack([blocks, np.full_like(blocks, size)], axis=1)


def _chain(hw: Hardware, blocks: Int64, warm: Callable[[MemoryPlane], None]) -> Benchmark:
    table = fetch_table(blocks[:STEPS], LOAD_BYTES)
    return Benchmark(plain_loads(hw), table, ONE_LOAD, table.fetches * LOAD_BYTES, warm=warm)


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
