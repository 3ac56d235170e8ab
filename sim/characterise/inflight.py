"""Bandwidth against bytes in flight: blocks of threads with one 8-byte load each, read once from memory.

As many blocks as the occupancy allows are resident on each SM; a block is started (`launch.cta_ns`), loads, adds, and
makes room for the next. So the bandwidth at low occupancy is bytes in flight over latency and turn-over (Little's law).
"""

from dataclasses import dataclass

import numpy as np

from sim.characterise.driver import Crew, fetch_table, new_plane, plain_loads, work_off
from sim.config.hardware import Hardware

LOAD_BYTES = 8
WARP = 32
BLOCK_CLK = 75
"""Instructions of a block beside its load: index, addition, exit; assumed."""
MOST_THREADS = 256
"""Of a block; fewer where fewer are resident."""
SPREAD_NS = 1000
"""First starts; without it all slots would wait for memory, and then leave it idle, at the same time."""
TURNS = 24
"""Blocks that each slot works off, a quarter of them before the window."""
OCCUPANCIES = (0.008, 0.031, 0.0625, 0.125, 0.25, 0.375, 0.5, 0.6875, 0.875, 1.0)


@dataclass(frozen=True)
class InflightPoint:
    """Threads resident on the chip, their bytes, and the bandwidth that they reach."""

    threads: int
    inflight_kib: float
    gb_s: float


def thread_counts(hw: Hardware) -> list[int]:
    """Resident threads on the chip, from a half warp to all warps on each SM."""
    return [hw.sm.count * max(1, round(share * hw.sm.max_warps * WARP)) for share in OCCUPANCIES]


def inflight(hw: Hardware, threads: int) -> InflightPoint:
    """Bandwidth with `threads` resident threads on the chip."""
    per_sm = max(1, threads // hw.sm.count)
    slots = -(-per_sm // MOST_THREADS)
    block_bytes = per_sm // slots * LOAD_BYTES
    count = hw.sm.count * slots * TURNS
    addresses = np.arange(count, dtype=np.int64) * block_bytes
    plane, env = new_plane(plain_loads(hw), fetch_table(addresses, block_bytes))
    turn_ns = hw.launch.cta_ns + BLOCK_CLK / hw.sm.clock_ghz
    window = work_off(plane, env, Crew(hw.sm.count, slots, turn_ns, SPREAD_NS), count // 4)
    resident = hw.sm.count * slots * block_bytes
    return InflightPoint(resident // LOAD_BYTES, resident / 1024, window.gb_s)
