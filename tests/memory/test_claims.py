"""What a channel keeps of its visible trains is what a walk through them in order of age finds, at any instant."""

import numpy as np
import pytest
import simpy

from sim.config.hardware import Hardware
from sim.memory import hbm_claims as claims
from sim.memory import layout
from sim.memory.params import BANK_COLS, ENTRY_COLS, OFF_BANK, OFF_ENTRIES, Param, entries
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed
from tests.memory.test_plane_invariants import mixed


def channels(m: layout.Memory) -> list[layout.Memory]:
    """State of each channel, as one row."""
    start, columns = int(m[layout.AT_CHANNELS]), int(m[Param.CHAN_COLS])
    return [m[start + i * columns :][:columns] for i in range(int(m[Param.CHANNELS]))]


def row_of(m: layout.Memory, channel: layout.Memory, key: int) -> list[int]:
    """Row of the train of a key."""
    place = (key >> claims.PLACE_SHIFT) & claims.PLACE
    return list(channel[OFF_ENTRIES + place * ENTRY_COLS :][:ENTRY_COLS].tolist())


def listed(m: layout.Memory, channel: layout.Memory, key: int, following: int) -> list[list[int]]:
    """Rows of the trains of a list that begins with `key`; following: column of the next one's key."""
    rows = []
    while key != claims.NEVER:
        rows.append(row_of(m, channel, key))
        assert rows[-1][claims.E_KEY] == key
        key = rows[-1][following]
    return rows


def free_places(m: layout.Memory, channel: layout.Memory) -> list[int]:
    """Places of the rows that no train has."""
    rows = OFF_ENTRIES
    place = int(channel[layout.C_NEXT]) >> claims.PLACE_SHIFT & claims.PLACE
    places = []
    while place < entries(m):
        places.append(place)
        place = int(channel[rows + place * ENTRY_COLS + claims.E_NEXT])
    return places


def banks(rows: list[list[int]]) -> int:
    """Mask of the banks of trains."""
    mask = 0
    for row in rows:
        mask |= 1 << (row[claims.E_KEY] & claims.BANK)
    return mask


@pytest.mark.parametrize("page", ["open", "closed", "adaptive"])
@pytest.mark.parametrize("cap", [1, 64])
def test_masks_and_lists_of_banks_are_those_of_the_queues(small: Hardware, page: str, cap: int) -> None:
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
            seen = 0
            for direction in (0, 1):
                rows = listed(m, channel, int(channel[layout.C_OLDEST + direction]), claims.E_YOUNGER)
                keys = [row[claims.E_KEY] for row in rows]
                assert keys == sorted(keys)
                closed = banks([row for row in rows if row[claims.E_READY] == claims.NEVER])
                held = banks([row for row in rows if row[claims.E_READY] != claims.NEVER])
                assert channel[layout.C_CLOSED + direction] == closed
                assert channel[layout.C_HELD + direction] == held
                both += bool(closed) and bool(held)
                for bank in range(int(m[Param.BANKS])):
                    first = OFF_BANK + bank * BANK_COLS + claims.B_FIRST + direction
                    own = listed(m, channel, int(channel[first]), claims.E_NEXT)
                    assert own == [row for row in rows if row[claims.E_KEY] & claims.BANK == bank]
                seen += len(rows)
            assert channel[layout.C_TRAINS] == seen
            free = free_places(m, channel)
            assert len(free) == len(set(free)) == entries(m) - seen
    assert both > 20, "too few instants with trains that wait and trains that hit"
