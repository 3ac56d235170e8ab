"""What of some fetches L2 holds before a run."""

import pytest

from sim.config.hardware import Hardware
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed, drive, table


@pytest.mark.parametrize("partition", [False, True], ids=["one L2", "copies of the far half"])
def test_the_share_that_is_held_counts_sectors(small: Hardware, partition: bool) -> None:
    """Two fetches of 1,024 bytes, of which SM 3 has read the first and half of the second: its partition, or another
    that asks its home, finds three quarters."""
    hw = changed(small, l2__partitions=2, l2__far_copies=True) if partition else small
    shares = []

    def prepare(plane: MemoryPlane) -> None:
        plane.warm([(0, 1024), (4096, 512)], sm=3)
        for sm in (3, 0):
            shares.append(plane.share_held([0, 1], [sm, sm]))

    drive(hw, table([[(0, 1024)], [(4096, 1024)]]), lambda f: 0, prepare=prepare)
    assert shares == [0.75, 0.75]
