"""The rate at which a machine's memory streams, measured once per machine on its own memory plane.

Rows, refresh, turnarounds and the network keep a chip below its peak by a share that differs from chip to chip. The
tile grain has one server for all of memory: this is its rate, the slope of all arrivals in the steady part (two marks
would fall between bursts of SMs in step).
"""

from functools import lru_cache

import numpy as np

from sim.config.hardware import Hardware
from sim.micro.driver import PS_PER_NS, Benchmark, Crew, fetch_table, plain_loads, run

BLOCK_BYTES = 16384
SLOTS = 4
"""Blocks that an SM has asked for: 64 KiB, so that its own limit on bytes in flight holds it."""
ROUNDS, WARM_UP = 12, 4
"""Blocks of each slot, some 80 MB in all, and how many pass before the measurement: SMs that start together queue up
at the same banks until their ways have parted."""


def streaming_gb_s(hw: Hardware) -> float:
    """10^9 bytes per second that all SMs together read from a cold range."""
    return _measured(hw.model_copy(update={"name": "-", "description": "", "sources": {}}).model_dump_json())


@lru_cache(maxsize=256)
def _measured(machine: str) -> float:
    hw = Hardware.model_validate_json(machine)
    workers = hw.sm.count * SLOTS
    blocks = np.arange(workers * ROUNDS, dtype=np.int64) * BLOCK_BYTES
    table = fetch_table(blocks, BLOCK_BYTES)
    outcome = run(Benchmark(plain_loads(hw), table, Crew(hw.sm.count, SLOTS), len(blocks) * BLOCK_BYTES))
    arrived = np.sort(outcome.arrivals_ps)[workers * WARM_UP : -workers].astype(np.float64)
    rank = np.arange(len(arrived), dtype=np.float64)
    slope_ps = np.polyfit(rank - rank.mean(), arrived - arrived.mean(), 1)[0]
    return float(BLOCK_BYTES * PS_PER_NS / slope_ps)
