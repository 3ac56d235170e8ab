"""The rate at which a machine's memory streams, measured once per machine on its own memory plane.

Rows, refresh, turnarounds and the network keep a chip below its peak by a share that differs from chip to chip. The
tile grain has one server for all of memory: this is its rate.
"""

from functools import lru_cache

import numpy as np

from sim.characterise.driver import Crew, fetch_table, new_plane, plain_loads, work_off
from sim.config.hardware import Hardware

BLOCK_BYTES = 16384
SLOTS = 4
"""Blocks that an SM has asked for: 64 KiB, so that its own limit on bytes in flight holds it."""
ROUNDS, WARM_UP = 12, 6
"""Blocks of each slot, some 80 MB in all, and how many pass before the measurement: SMs that start together queue up
at the same banks until their ways have parted."""


def streaming_gb_s(hw: Hardware) -> float:
    """10^9 bytes per second that all SMs together read from a cold range."""
    return _measured(hw.model_copy(update={"name": "-", "description": "", "sources": {}}).model_dump_json())


@lru_cache(maxsize=256)
def _measured(machine: str) -> float:
    hw = Hardware.model_validate_json(machine)
    blocks = np.arange(hw.sm.count * SLOTS * ROUNDS, dtype=np.int64) * BLOCK_BYTES
    plane, env = new_plane(plain_loads(hw), fetch_table(blocks, BLOCK_BYTES))
    return work_off(plane, env, Crew(hw.sm.count, SLOTS), hw.sm.count * SLOTS * WARM_UP).gb_s
