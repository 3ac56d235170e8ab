"""Channels with queues of different lengths at tile grain: late and early segments, what must not depend on them."""

import math

import numpy as np

from sim.coarse import columns as c
from sim.coarse import state as layout
from sim.coarse.jit import entry
from sim.coarse.path import SPREAD, channel_delay, note_due
from sim.coarse.units import SM_COLS

CHANNEL_PS = 20_000
SEED = 16807


def delays(queued: int, count: int = 4000) -> np.ndarray:
    p, g = np.zeros(c.SCALARS, np.int64), np.zeros(layout.SHARED, np.int64)
    p[c.CHANNEL], g[layout.G_RANDOM] = CHANNEL_PS, SEED
    delay = entry(channel_delay.py_func)
    return np.array([delay(p, g, queued) for _ in range(count)])


def test_segments_come_as_often_sooner_as_later_within_the_spread_of_a_random_queue() -> None:
    """25 blocks wait: the root is 5 blocks. A uniform draw's mean is 0, give or take its width / sqrt(3 x 4000)."""
    found = delays(25 * CHANNEL_PS)
    width = SPREAD * 5 * CHANNEL_PS
    assert 0.99 * width < np.abs(found).max() <= width
    assert abs(found.mean()) < 3 * width / math.sqrt(3 * len(found))


def test_no_segment_comes_before_memory_can_have_served_it() -> None:
    """A tenth of a block waits: the root of that is more than all of the wait."""
    assert delays(CHANNEL_PS // 10).min() >= -(CHANNEL_PS // 10)
    assert not delays(0).any()


def test_a_port_notes_its_segments_in_the_order_in_which_they_come_back() -> None:
    p = np.zeros(c.SCALARS, np.int64)
    p[c.CREDITS] = 4
    grid = layout.Grid(p, *[np.zeros(1, np.int64)] * (len(layout.Grid._fields) - 1))
    rows = {name: np.zeros(8, np.int64) for name in layout.State._fields} | {
        "sms": np.zeros(SM_COLS, np.int64)
    }
    state = layout.State(**rows)
    state.sms[layout.P_RHEAD] = 3  # the ring goes round its end
    for size, at in ((1, 500), (2, 900), (3, 200), (4, 700)):
        note_due.py_func(grid, state, 0, size, at)
    ring = [3, 0, 1, 2]
    assert state.due[ring].tolist() == [200, 500, 700, 900]
    assert state.sizes[ring].tolist() == [3, 1, 4, 2]
    assert (state.sms[layout.P_RCOUNT], state.sms[layout.P_INFLIGHT]) == (4, 10)
