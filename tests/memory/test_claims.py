"""What a channel has counted of its visible trains is what a walk through its queues finds, at any instant."""

import numpy as np
import pytest
import simpy

from sim.config.hardware import Hardware
from sim.memory import hbm_claims as claims
from sim.memory import layout
from sim.memory.params import BANK_COLS, ENTRY_COLS, Param
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed
from tests.memory.test_plane_invariants import mixed

QUEUES = ((layout.C_READS, Param.OFF_READS), (layout.C_WRITES, Param.OFF_WRITES))


def channels(m: layout.Memory) -> list[layout.Memory]:
    """State of each channel, as one row."""
    start, columns = int(m[layout.AT_CHANNELS]), int(m[Param.CHAN_COLS])
    return [m[start + i * columns :][:columns] for i in range(int(m[Param.CHANNELS]))]


def walked(
    m: layout.Memory, channel: layout.Memory, direction: int
) -> tuple[int, int, dict[int, tuple[int, int]]]:
    """Banks waited for, banks hit, and by bank how many trains of a queue wait and hit."""
    counter, offset = QUEUES[direction]
    entries = channel[int(m[offset]) :][: int(channel[counter]) * ENTRY_COLS].reshape(-1, ENTRY_COLS)
    closed = held = 0
    trains: dict[int, tuple[int, int]] = {}
    for entry in entries.tolist():
        bank, hit = entry[claims.E_BANK], entry[claims.E_READY] < claims.NEVER
        waits, hits = trains.get(bank, (0, 0))
        trains[bank] = (waits + (not hit), hits + hit)
        closed |= 0 if hit else 1 << bank
        held |= 1 << bank if hit else 0
    return closed, held, trains


@pytest.mark.parametrize("page", ["open", "closed", "adaptive"])
@pytest.mark.parametrize("cap", [1, 64])
def test_masks_and_counts_are_those_of_the_queues(small: Hardware, page: str, cap: int) -> None:
    hw = changed(
        small, hbm__page_policy=page, hbm__starvation_cap=cap, hbm__refresh="per_bank", l2__capacity_mib=0.25
    )
    env = simpy.Environment(initial_time=0)
    table = mixed(5, count=300, span=1 << 22)
    plane = MemoryPlane(env, hw, table)
    for fetch in range(table.fetches):
        plane.submit(fetch % hw.sm.count, fetch)
    both = 0
    for until in np.linspace(300_000, 6_000_000, 20, dtype=int).tolist():
        env.run(until=until)
        m = plane._memory
        for channel in channels(m):
            for direction in (0, 1):
                closed, held, trains = walked(m, channel, direction)
                assert channel[layout.C_CLOSED + direction] == closed
                assert channel[layout.C_HELD + direction] == held
                both += bool(closed) and bool(held)
                for bank in range(int(m[Param.BANKS])):
                    packed = int(channel[int(m[Param.OFF_BANK]) + bank * BANK_COLS + claims.B_TRAINS])
                    packed >>= claims.DIRECTION * direction
                    seen = (packed & claims.COUNT, packed >> claims.HITS & claims.COUNT)
                    assert seen == trains.get(bank, (0, 0))
    assert both > 20, "too few instants with trains that wait and trains that hit"
