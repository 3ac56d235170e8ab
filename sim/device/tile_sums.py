"""Time by cause of tiles on SMs that a CTA has for itself: nothing overlaps there, so sums are the account."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.causes import CAUSES
from sim.device import wait
from sim.device.chain import Chain
from sim.device.recorder import Rows, StampsOf


def tile_sums(tiles: Sequence[Rows], chains: Sequence[Chain], stamps_of: StampsOf) -> NDArray[np.int64]:
    """[SMs, causes] ps of the waits and chains in each SM's `Recorder.tiles` ([T, 5])."""
    sms, causes = len(tiles), len(CAUSES)
    joined = np.concatenate(tiles)
    sm = np.repeat(np.arange(sms), [len(rows) for rows in tiles])
    waited = np.flatnonzero(joined[:, 2] > joined[:, 1])
    waits = joined[waited]
    parts, index = wait.cut(stamps_of(waits[:, 0]), waits[:, 1], waits[:, 2], waits[:, 3] > 0)
    sums = np.zeros((sms, causes), np.int64)
    np.add.at(sums, (sm[waited[index]], parts[:, 0]), parts[:, 2] - parts[:, 1])
    runs = np.zeros((sms, len(chains)), np.int64)
    np.add.at(runs, (sm, joined[:, 4]), 1)
    durations = np.array([_durations(chain) for chain in chains], np.int64).reshape(-1, causes)
    whole: NDArray[np.int64] = sums + runs @ durations
    return whole


def _durations(chain: Chain) -> NDArray[np.int64]:
    """[causes] ps of a chain on free units."""
    times = np.zeros(len(CAUSES), np.int64)
    for step in chain.steps:
        times[step.code] += step.duration
    return times
