"""Device memory whose rows open and close in no time: only its bus takes any (the what-if `zero_latency_hbm`)."""

import numpy as np

from sim.config.hardware import Hardware
from sim.memory.params import Param, build
from tests.memory.command_checker import RD
from tests.memory.conftest import changed, drive, table

ROWS, TRAIN = 6, 512


def test_trains_of_one_bank_follow_each_other_on_the_bus_whatever_their_rows(small: Hardware) -> None:
    """All are at the channel at once and share a bank group: a train begins tCCD_L behind the last access of the one
    before. A row that could open at the instant at which another closed was once looked for a microsecond later.
    """
    hw = changed(small, hbm__refresh="per_bank")
    p = build(hw, zero_latency=True)
    next_row = int(p[Param.CHANNELS] * p[Param.BANKS]) << int(p[Param.ROW_SHIFT])
    fetches = table([[(row * next_row, TRAIN)] for row in range(ROWS)])
    log = drive(hw, fetches, lambda f: 0, depth=ROWS, zero_latency=True, log_rows=1_000).plane.commands()
    reads = log[log[:, 2] == RD]
    accesses = TRAIN >> p[Param.ACCESS_SHIFT]
    assert len(set(reads[:, 1])) == len(set(reads[:, 3])) == 1
    assert len(set(reads[:, 4])) == ROWS
    assert np.diff(reads[:, 0]).tolist() == [(accesses - 1) * p[Param.PITCH] + p[Param.CCD_L]] * (ROWS - 1)
