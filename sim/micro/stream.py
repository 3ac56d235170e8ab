"""Streams: all SMs read or write a footprint in blocks, pass after pass.

Blocks go to whichever SM is free next, so that a block is read by one partition in one pass and by another in the
next; or each pass is a launch of its own, whose blocks fit the chip at once, so that each has an SM that reads it in
every pass. Warm: passes before those that are timed touched the L2, each block by an SM drawn at random or by its own,
until it is in its steady state.

Launches differ in the order in which their blocks come, since SMs start a little apart. That decides what a least
recently used L2 with copies (`l2.far_copies`) keeps of a footprint just beyond it: in one order for ever it would lose
all, but a copy that is found leaves its original untouched, the first to go, and makes room for others to be found.
"""

import math
from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.fetches import FetchKind
from sim.memory.latency import l2_trip_ns
from sim.memory.plane import MemoryPlane
from sim.micro.driver import Benchmark, Crew, Outcome, Window, fetch_table, leave_cold, plain_loads

BLOCK_BYTES = 4096
OWN_BYTES = 16384
"""Where blocks have their own SMs, as much follows one another at each: a load of 16 bytes by 1024 threads."""
SLOTS = 16
"""Blocks that an SM has asked for: 64 KiB, so that its own limit on bytes in flight holds it."""
TRAFFIC_MIB = 64
"""Least traffic, where the number of passes is not given."""
BLOCKS_PER_SLOT = 4
"""And least blocks for each slot, so that there is a steady stretch."""
WARM_PASSES = 6
WARM_LAUNCHES = 20
"""Of our own harness: launches in a graph (validation/gpu, stream, replay)."""
LAUNCH_CTAS = 2
"""And CTAs that each SM starts with."""
SHARES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 8.0)
"""Footprints of the replay over the L2's capacity."""
COLD_MIB = 512
WRITE_MIB = 256
RAMP = 8
"""Of a cold read, one part in this many goes before the window; of writes half, until the L2 is full of them."""
MIB = 1 << 20


@dataclass(frozen=True)
class StreamPoint:
    """The bandwidth over a footprint; GB are 10^9 bytes."""

    gb_s: float
    hbm_share: float
    """Bytes from or to memory per byte asked."""
    far_share: float
    """Bytes that crossed partitions per byte asked."""


@dataclass(frozen=True)
class Stream:
    """What is streamed. passes: how often; none: enough for a steady stretch. sms: how many take part; none: all.
    launch: one pass, timed whole, in which each block is read by the SM that read it in all passes before.
    """

    footprint_mib: float
    passes: int | None = None
    warm: bool = False
    write: bool = False
    sms: int | None = None
    launch: bool = False

    @property
    def blocks(self) -> int:
        return round(self.footprint_mib * MIB) // BLOCK_BYTES


def replay_footprints(hw: Hardware) -> list[float]:
    """MiB of the warm curve, from a quarter of the L2 to eight times."""
    return [share * hw.l2.capacity_mib for share in SHARES]


def written_mib(hw: Hardware) -> float:
    """Many times the L2: what leaves the L2 is what counts."""
    return max(WRITE_MIB, 4 * hw.l2.capacity_mib)


def passes_of(s: Stream, hw: Hardware) -> int:
    if s.launch:
        return 1
    if s.passes is not None:
        return s.passes
    least = max(TRAFFIC_MIB * MIB / BLOCK_BYTES, BLOCKS_PER_SLOT * (s.sms or hw.sm.count) * SLOTS)
    return math.ceil(least / s.blocks)


def stream(hw: Hardware, s: Stream, seed: int) -> Benchmark:
    """Read or write a footprint of at least one block again and again."""
    blocks = np.arange(s.blocks, dtype=np.int64)
    passes = passes_of(s, hw)
    crew = Crew(s.sms or hw.sm.count, SLOTS)
    kind = FetchKind.WRITE if s.write else FetchKind.READ
    table = fetch_table(np.tile(blocks * BLOCK_BYTES, passes), BLOCK_BYTES, kind=kind)

    own = blocks * BLOCK_BYTES // OWN_BYTES % crew.sms

    def many_passes(plane: MemoryPlane) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(WARM_PASSES):
            plane.warm_fetches(blocks, rng.integers(0, crew.sms, len(blocks)))

    def many_launches(plane: MemoryPlane) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(WARM_LAUNCHES):
            order = np.argsort(blocks + rng.random(len(blocks)) * started_apart(hw))
            plane.warm_fetches(order, own[order])

    return Benchmark(
        plain_loads(hw),
        table,
        crew,
        distinct_bytes=s.blocks * BLOCK_BYTES,
        passes=passes,
        warm=leave_cold if not s.warm else many_launches if s.launch else many_passes,
        warm_up=0 if s.warm else table.fetches // (2 if s.write else RAMP),
        sm_of=np.tile(own, passes) if s.launch else None,
    )


def started_apart(hw: Hardware) -> float:
    """Blocks that the L2 serves while the CTAs of an SM start, one after the other."""
    return LAUNCH_CTAS * hw.launch.cta_ns * hw.l2.bandwidth_gb_s / BLOCK_BYTES


def stream_point(outcome: Outcome) -> StreamPoint:
    return _point(outcome.window, outcome.window.time_ns)


def launch_point(outcome: Outcome, hw: Hardware) -> StreamPoint:
    """Of a whole launch, ramps included, less the way of a first hit: what one adds to the bytes' time in L2."""
    return _point(outcome.whole, outcome.whole.time_ns - l2_trip_ns(hw))


def _point(part: Window, time_ns: float) -> StreamPoint:
    count = part.counters
    return StreamPoint(
        gb_s=part.arrived_bytes / time_ns,
        hbm_share=(count["hbm_read"] + count["hbm_write"]) / count["requested"],
        far_share=count["l2_far"] / count["requested"],
    )
