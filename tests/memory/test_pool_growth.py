"""After the request pool grew, the ports go on, and nothing else is taken for a port."""

import numpy as np

from sim.config.hardware import Hardware
from sim.memory import build, kernel
from sim.memory.layout import AT_PORTS, AT_SLICES, P_BLOCKED, PORT_COLS, Q_GROW
from tests.memory.conftest import table


def test_what_lies_behind_the_last_port_is_not_resumed(small: Hardware) -> None:
    m = build.new_memory(small, table([[(0, 32)]]))
    behind = int(m[AT_PORTS]) + small.sm.count * PORT_COLS
    # Sections begin at cache lines: here some cells lie between.
    assert behind < m[AT_SLICES] < behind + PORT_COLS
    m[behind + P_BLOCKED] = 1
    m[Q_GROW] = 1
    before = m.copy()
    kernel.resume(m)
    before[Q_GROW] = 0
    assert np.array_equal(m, before)
