"""Sequences a power of two apart that CTAs read in step: L2 keeps what was read last, of all of them alike."""

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed, drive, table

LINE, LINES, SEQUENCES = 128, 512, 32


@pytest.mark.parametrize("apart", [1 << 16, 1 << 18, 1 << 20, 1 << 23])
def test_the_second_half_of_all_sequences_is_kept_and_not_all_of_the_last_ones(
    small: Hardware, apart: int
) -> None:
    """32 x 64 KiB through 1 MiB of 64 sets, which are stepped through once in 256 KiB: a set takes 32 lines, in at most
    8 groups of up to four, and keeps the last 16. If sequences begin anywhere among the sets, a line at place x of its
    sequence stays if at most 3 of 7 other groups come later: with 1 - x each that is 0.86 on average from x = 1/2 on.
    Were all lines of a set read in one step, it would keep the last 16 sequences and nothing of the others."""
    pieces = table([[(s * apart + p * LINE, LINE)] for p in range(LINES) for s in range(SEQUENCES)])
    order = np.arange(LINES * SEQUENCES).reshape(LINES, SEQUENCES)
    held = np.zeros((2, 2))

    def prepare(plane: MemoryPlane) -> None:
        plane.warm_fetches(order.reshape(-1), np.zeros(order.size, np.int64))
        for half, lines in enumerate(np.split(order, 2)):
            for group, asked in enumerate(np.split(lines, 2, axis=1)):
                held[half, group] = plane.share_held(asked.reshape(-1), np.zeros(asked.size, np.int64))

    hw = changed(small, hbm__hash=True)
    drive(hw, pieces, lambda f: 0, prepare=prepare)
    assert held.mean() == pytest.approx(0.5, abs=0.03)
    assert (held[1] > 0.7).all()
    assert (held[0] < 0.3).all()


def test_a_contiguous_range_as_large_as_l2_stays_whole(small: Hardware) -> None:
    """Each turn is rotated as a whole, so that every set has as many lines of 1 MiB as it has ways."""
    pieces = table([[(p * LINE, LINE)] for p in range((1 << 20) // LINE)])
    every = np.arange(pieces.fetches)
    held = []

    def prepare(plane: MemoryPlane) -> None:
        plane.warm_fetches(every, np.zeros(len(every), np.int64))
        held.append(plane.share_held(every, np.zeros(len(every), np.int64)))

    drive(changed(small, hbm__hash=True), pieces, lambda f: 0, prepare=prepare)
    assert held == [1.0]
