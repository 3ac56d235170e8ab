"""Time by cause of tiles on SMs that a CTA has for itself: nothing overlaps there, so sums are the account."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.causes import CAUSES
from sim.device import wait
from sim.device.chain import Chain
from sim.device.recorder import Rows, StampsOf, joined

Sums = NDArray[np.int64]


PART_WAITS = 1 << 12
"""Waits that are cut at once."""


def tile_sums(tiles: Sequence[Rows], chains: Sequence[Chain], stamps_of: StampsOf) -> Sums:
    """[SMs, causes] ps of the waits and chains in each SM's `Recorder.tiles` ([T, 5])."""
    every, sm = joined(tiles)
    runs = np.zeros((len(tiles), len(chains)), np.int64)
    np.add.at(runs, (sm, every[:, 4]), 1)
    sums = runs @ np.array([_durations(chain) for chain in chains], np.int64).reshape(-1, len(CAUSES))
    waited = np.flatnonzero(every[:, 2] > every[:, 1])
    for at in range(0, len(waited), PART_WAITS):
        part = waited[at : at + PART_WAITS]
        _add_waits(sums, sm[part], every[part], stamps_of)
    return sums


def _add_waits(sums: Sums, sm: Rows, waits: Rows, stamps_of: StampsOf) -> None:
    parts, index = wait.cut(stamps_of(waits[:, 0]), waits[:, 1], waits[:, 2], waits[:, 3] > 0)
    np.add.at(sums, (sm[index], parts[:, 0]), parts[:, 2] - parts[:, 1])


def _durations(chain: Chain) -> Sums:
    """[causes] ps of a chain on free units."""
    times = np.zeros(len(CAUSES), np.int64)
    for step in chain.steps:
        times[step.code] += step.duration
    return times
