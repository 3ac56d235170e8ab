"""Streams: all SMs read or write a footprint in blocks, cold once, or replayed until the L2 is in its steady state.

Blocks go to whichever SM is free next, so that a block is read by one partition in one lap and by another in the
next. The laps before those that are timed only touch the L2, each block by an SM drawn at random.
"""

import math
from dataclasses import dataclass

import numpy as np

from sim.characterise.driver import Crew, Window, fetch_table, new_plane, plain_loads, work_off
from sim.config.hardware import Hardware
from sim.memory.fetches import FetchKind

BLOCK_BYTES = 4096
SLOTS = 16
"""Blocks that an SM has asked for: 64 KiB, so that its own limit on bytes in flight holds it."""
TRAFFIC_MIB = 64
"""Least traffic of the timed laps of a replay."""
WARM_LAPS = 6
SHARES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 8.0)
"""Footprints of the replay over the L2's capacity."""
COLD_MIB = 512
WRITE_MIB = 256
MIB = 1 << 20


@dataclass(frozen=True)
class StreamPoint:
    """A footprint and the bandwidth over it; GB are 10^9 bytes."""

    footprint_mib: float
    gb_s: float
    hbm_share: float
    """Bytes from or to memory per byte asked."""
    far_share: float
    """Bytes that crossed partitions per byte asked."""


def replay_footprints(hw: Hardware) -> list[float]:
    """MiB of the warm curve, from a quarter of the L2 to eight times."""
    return [share * hw.l2.capacity_mib for share in SHARES]


def replay(hw: Hardware, footprint_mib: float, seed: int) -> StreamPoint:
    """Read a footprint again and again."""
    blocks = np.arange(max(2, round(footprint_mib * MIB) // BLOCK_BYTES), dtype=np.int64)
    laps = math.ceil(TRAFFIC_MIB / footprint_mib)
    plane, env = new_plane(plain_loads(hw), fetch_table(np.tile(blocks * BLOCK_BYTES, laps), BLOCK_BYTES))
    rng = np.random.default_rng(seed)
    for _ in range(WARM_LAPS):
        plane.warm_fetches(blocks, rng.integers(0, hw.sm.count, len(blocks)))
    return _point(footprint_mib, work_off(plane, env, Crew(hw.sm.count, SLOTS)))


def read_cold(hw: Hardware) -> StreamPoint:
    """Read a large footprint once."""
    return _once(hw, COLD_MIB, FetchKind.READ)


def write(hw: Hardware) -> StreamPoint:
    """Write a footprint of many times the L2 once; what leaves the L2 is what counts."""
    return _once(hw, max(WRITE_MIB, 4 * hw.l2.capacity_mib), FetchKind.WRITE)


def _once(hw: Hardware, footprint_mib: float, kind: FetchKind) -> StreamPoint:
    """Reads from a cold L2; writes behind those that fill it."""
    addresses = np.arange(round(footprint_mib * MIB) // BLOCK_BYTES, dtype=np.int64) * BLOCK_BYTES
    plane, env = new_plane(plain_loads(hw), fetch_table(addresses, BLOCK_BYTES, kind=kind))
    warm_up = len(addresses) // (2 if kind is FetchKind.WRITE else 8)
    return _point(footprint_mib, work_off(plane, env, Crew(hw.sm.count, SLOTS), warm_up))


def _point(footprint_mib: float, window: Window) -> StreamPoint:
    count = window.counters
    return StreamPoint(
        footprint_mib=footprint_mib,
        gb_s=window.gb_s,
        hbm_share=(count["hbm_read"] + count["hbm_write"]) / count["requested"],
        far_share=count["l2_far"] / count["requested"],
    )
