"""Data cross the link between partitions in order of time, one link for each direction; on paper."""

import pytest

from sim.config.hardware import Hardware
from tests.memory.conftest import changed, drive, table
from tests.memory.test_plane_throughput import stream

BLOCK, LINK_GB_S = 512, 16
TURN_PS = BLOCK * 1000 // LINK_GB_S
NEAR_BLOCK, FAR_BLOCK = 0, 4 * BLOCK
"""Of eight slices the first four are near SMs 0 and 2, the others near SMs 1 and 3; blocks go round them."""


@pytest.fixture(scope="module")
def halves(small: Hardware) -> Hardware:
    return changed(small, l2__partitions=2, noc__far_extra_ns=30)


def ends(hw: Hardware, accesses: list[tuple[int, int]], writes: list[int]) -> list[int]:
    """When each of (SM, address), all at time 0, is complete."""
    fetches = table([[(addr, BLOCK)] for _, addr in accesses], writes=writes)
    seen = drive(hw, fetches, lambda f: accesses[f][0], depth=2).seen
    return [time for time, _ in sorted(seen, key=lambda s: s[1])]


def linked(hw: Hardware, **values: object) -> Hardware:
    return changed(hw, noc__interpartition_gb_s=LINK_GB_S, **values)


@pytest.mark.parametrize("tlb_ns", [0, 20])
@pytest.mark.parametrize("copies", [False, True])
def test_a_far_write_waits_for_the_one_before_it(halves: Hardware, tlb_ns: int, copies: bool) -> None:
    """SMs 0 and 2 write to two slices of the other half at once: the second block has to let the first pass."""
    hw = changed(halves, tlb__l2_latency_ns=tlb_ns, l2__far_copies=copies)
    accesses = [(0, FAR_BLOCK), (2, FAR_BLOCK + BLOCK)]
    alone, together = ends(hw, accesses, [0, 1]), ends(linked(hw), accesses, [0, 1])
    assert alone[0] == alone[1]
    assert together == [alone[0], alone[1] + TURN_PS]


def test_writes_of_opposite_directions_and_near_ones_do_not_wait(halves: Hardware) -> None:
    accesses = [(0, FAR_BLOCK), (3, NEAR_BLOCK), (2, NEAR_BLOCK + BLOCK), (1, FAR_BLOCK + BLOCK)]
    writes = list(range(len(accesses)))
    assert ends(linked(halves), accesses, writes) == ends(halves, accesses, writes)


def test_half_of_a_written_stream_is_far_so_that_it_moves_at_twice_the_link(small: Hardware) -> None:
    hw = linked(small, l2__partitions=2, gather__issue_clk=0, noc__write_bytes_per_clk=128)
    for sms, directions in ((1, 1), (4, 2)):
        fetches = stream(512 << 10)
        fetches.kind[:] = 1
        outcome = drive(hw, fetches, lambda f, sms=sms: f % sms, depth=4)
        assert outcome.gb_s("l2_write") == pytest.approx(2 * directions * LINK_GB_S, rel=0.1)
        assert outcome.gb_s("l2_write") <= 2 * directions * LINK_GB_S * 1.01


@pytest.mark.parametrize(("reader", "turns"), [(3, 2), (2, 1)])
def test_reads_and_writes_share_the_link_in_whose_direction_both_move(
    halves: Hardware, reader: int, turns: int
) -> None:
    """SM 0 writes 64 KiB to the other half. SM 3 reads as much from SM 0's half, over the same link; what SM 2 reads
    from the other half comes over the other one.
    """
    far = [(8 * i + 4 + k) * BLOCK for i in range(32) for k in range(4)]
    read = [addr - FAR_BLOCK for addr in far] if reader == 3 else [addr + (1 << 18) for addr in far]
    fetches = table([[(addr, BLOCK)] for addr in far + read], writes=list(range(len(far))))
    hw = linked(halves, gather__issue_clk=0)
    end = drive(hw, fetches, lambda f: 0 if f < len(far) else reader, depth=32).end
    busy = turns * len(far) * TURN_PS
    assert busy < end < 1.1 * busy + 500_000
