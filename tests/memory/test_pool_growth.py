"""After the request pool grew, the ports go on as if it had been larger, and nothing else is taken for a port."""

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory import build, kernel
from sim.memory.layout import AT_CREDITS, AT_PORTS, P_BLOCKED, PORT_COLS, Q_GROW
from tests.memory.conftest import drive, table


def test_what_lies_behind_the_last_port_is_not_resumed(small: Hardware) -> None:
    """Sections begin at cache lines: behind the ports lie some cells that belong to none, or the credits."""
    m = build.new_memory(small, table([[(0, 32)]]))
    behind = int(m[AT_PORTS]) + small.sm.count * PORT_COLS
    assert behind <= m[AT_CREDITS] < behind + PORT_COLS
    m[behind + P_BLOCKED] = 1
    m[Q_GROW] = 1
    before = m.copy()
    kernel.resume(m)
    before[Q_GROW] = 0
    assert np.array_equal(m, before)


def test_results_do_not_depend_on_when_the_pool_grows(
    small: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of one sector, of which 4 ports of 64 KiB have 8192 out, twice the first rows."""
    fetches = table([[(at * 4096 + run * 96, 32) for run in range(40)] for at in range(400)])
    grew = drive(small, fetches, lambda f: f % 4, depth=100)
    assert build.pool_rows(grew.plane._memory) > build.first_rows(grew.plane._memory)
    monkeypatch.setattr(build, "FIRST_POOL", 1 << 15)
    large = drive(small, fetches, lambda f: f % 4, depth=100)
    assert build.pool_rows(large.plane._memory) == (1 << 15) + 400
    assert grew.seen == large.seen
    assert np.array_equal(grew.plane.stamps, large.plane.stamps)
