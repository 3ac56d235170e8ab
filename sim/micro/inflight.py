"""Bandwidth against bytes in flight: blocks of threads with one 8-byte load each, read once from memory.

As many blocks as the occupancy allows are resident on each SM; a block is started (`launch.cta_ns`), loads, adds, and
makes room for the next. So the bandwidth at low occupancy is bytes in flight over latency and turn-over (Little's law).
"""

from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.micro.driver import Benchmark, Crew, Outcome, fetch_table, plain_loads

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


def most_threads(hw: Hardware) -> int:
    """Resident threads of one SM."""
    return hw.sm.max_warps * WARP


def thread_counts(hw: Hardware) -> list[int]:
    """Resident threads on the chip, from a half warp to all warps on each SM."""
    return [hw.sm.count * max(1, round(share * most_threads(hw))) for share in OCCUPANCIES]


def inflight(hw: Hardware, threads: int, sms: int | None = None) -> Benchmark:
    """`threads` resident threads on the chip, shared out among `sms` (none: all) SMs."""
    taking_part = sms or hw.sm.count
    per_sm = max(1, threads // taking_part)
    slots = -(-per_sm // MOST_THREADS)
    block_bytes = per_sm // slots * LOAD_BYTES
    crew = Crew(taking_part, slots, hw.launch.cta_ns, BLOCK_CLK / hw.sm.clock_ghz, SPREAD_NS)
    count = crew.workers * TURNS
    addresses = np.arange(count, dtype=np.int64) * block_bytes
    table = fetch_table(addresses, block_bytes)
    return Benchmark(plain_loads(hw), table, crew, count * block_bytes, warm_up=count // 4)


def inflight_point(bench: Benchmark, outcome: Outcome) -> InflightPoint:
    resident = bench.crew.workers * int(bench.table.run_bytes[0])
    return InflightPoint(resident // LOAD_BYTES, resident / 1024, outcome.window.gb_s)
