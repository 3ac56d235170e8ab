"""Bandwidth against bytes in flight: threads with one load each, which read once from memory.

Blocks: as many of them as the occupancy allows are resident on each SM; a block is started (`launch.cta_ns`), loads,
adds, and makes room for the next. Loops: the warps stay and load again and again, each on its own. So the bandwidth at
low occupancy is bytes in flight over latency and turn-over (Little's law).
"""

from dataclasses import dataclass

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.latency import l2_trip_ns
from sim.micro.driver import Benchmark, Crew, Outcome, fetch_table, plain_loads

LOAD_BYTES = 8
WARP = 32
BLOCK_CLK = 75
"""Instructions of a block beside its load: index, addition, exit; assumed."""
LOOP_CLK = 100
"""From a load's arrival to the next one of the same warp in our own loop (validation/gpu, `gather_plain`), as compiled
for sm_90: a look-up that hits L1, 32 clocks as measured, and some 14 dependent instructions of 4 to 6.
"""
LOOKUP_BYTES = 8 * 65536
"""Of that loop's data, found through one 32-byte sector of its table: 8 runs of 64 KiB. A look-up in another sector
than the warp's last one goes to L2, where warps of other SMs have brought it.
"""
MOST_THREADS = 256
"""Of a block; fewer where fewer are resident."""
SPREAD_NS = 1000
"""First starts; without it all slots would wait for memory, and then leave it idle, at the same time."""
TURNS = 24
"""Loads that each slot works off, a quarter of them before the window."""
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


@dataclass(frozen=True)
class Loads:
    """What a thread does. loop: it loads again and again; otherwise its block ends after the load."""

    load_bytes: int = LOAD_BYTES
    loop: bool = False


ONE_EACH = Loads()


def inflight(hw: Hardware, threads: int, sms: int | None = None, loads: Loads = ONE_EACH) -> Benchmark:
    """`threads` resident threads on the chip, shared out among `sms` (none: all) SMs."""
    taking_part = sms or hw.sm.count
    per_sm = max(1, threads // taking_part)
    slots = -(-per_sm // (WARP if loads.loop else MOST_THREADS))
    slot_bytes = per_sm // slots * loads.load_bytes
    launch_ns, issue_ns = (0.0, _loop_ns(hw, threads * loads.load_bytes)) if loads.loop else _block_ns(hw)
    crew = Crew(taking_part, slots, launch_ns, issue_ns, SPREAD_NS)
    count = crew.workers * TURNS
    addresses = np.arange(count, dtype=np.int64) * slot_bytes
    table = fetch_table(addresses, slot_bytes)
    return Benchmark(plain_loads(hw), table, crew, count * slot_bytes, warm_up=count // 4)


def _block_ns(hw: Hardware) -> tuple[float, float]:
    return hw.launch.cta_ns, BLOCK_CLK / hw.sm.clock_ghz


def _loop_ns(hw: Hardware, bytes_a_turn: int) -> float:
    """All loads of a turn together move on by `bytes_a_turn`."""
    new_sectors = min(1.0, bytes_a_turn / LOOKUP_BYTES)
    return LOOP_CLK / hw.sm.clock_ghz + new_sectors * l2_trip_ns(hw)


def inflight_point(bench: Benchmark, outcome: Outcome, loads: Loads = ONE_EACH) -> InflightPoint:
    resident = bench.crew.workers * int(bench.table.run_bytes[0])
    return InflightPoint(resident // loads.load_bytes, resident / 1024, outcome.window.gb_s)
