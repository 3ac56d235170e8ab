"""An L2 in two partitions that keep copies of each other's data."""

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed, drive, table
from tests.memory.test_plane_invariants import assert_balanced, mixed

NEAR_NS = 10 + 32 / 128 + 2 * 50 + 40 + 32 / (1024 / 8)
"""Port 10.25, network 50 there and back, slice 40, 32 bytes at an eighth of 1024 GB/s."""
EXTRA_NS = 30
FAR_BLOCK = 4 * 512
"""Of eight slices the first four are near SM 0; blocks of 512 bytes go round them."""


@pytest.fixture(scope="module")
def halves(small: Hardware) -> Hardware:
    return changed(small, l2__partitions=2, l2__far_copies=True, noc__far_extra_ns=EXTRA_NS)


def test_a_far_hit_costs_the_crossing_there_and_back_and_the_next_one_is_near(halves: Hardware) -> None:
    """SM 3 reads a block of its own half; SM 0 gets it from there, then from its own copy."""
    fetches = table([[(FAR_BLOCK, 32)]] * 3)

    def prepare(plane: MemoryPlane) -> None:
        plane.warm([(FAR_BLOCK, 512)], sm=3)

    outcome = drive(halves, fetches, lambda f: 0, prepare=prepare)
    times = [time for time, _ in outcome.seen]
    assert times[0] == pytest.approx((NEAR_NS + 2 * EXTRA_NS) * 1000, abs=10)
    assert times[1] - times[0] == pytest.approx(NEAR_NS * 1000, abs=10)
    assert outcome.counter("l2_far") == 32
    assert outcome.counter("hbm_read") == 0


def test_a_far_miss_costs_the_crossing_on_top_of_a_near_miss(halves: Hardware) -> None:
    near = drive(halves, table([[(0, 32)]]), lambda f: 0)
    far = drive(halves, table([[(FAR_BLOCK, 32)]]), lambda f: 0)
    assert far.end - near.end == 2 * EXTRA_NS * 1000


def test_both_partitions_read_memory_once_between_them(halves: Hardware) -> None:
    outcome = drive(halves, table([[(FAR_BLOCK, 512)], [(FAR_BLOCK, 512)]]), lambda f: 3 * f)
    assert outcome.counter("hbm_read") == 512
    assert outcome.counter("merges") == 1


def test_a_write_drops_the_other_partitions_copy(halves: Hardware) -> None:
    """SM 0 reads its copy a nanosecond before SM 3's write is at the home; the second read has to go there."""
    fetches = table([[(FAR_BLOCK, 32)], [(FAR_BLOCK, 32)], [(FAR_BLOCK, 32)]], writes=[1])

    def prepare(plane: MemoryPlane) -> None:
        plane.warm([(FAR_BLOCK, 32)], sm=0)

    outcome = drive(halves, fetches, lambda f: 3 if f == 1 else 0, prepare=prepare)
    assert outcome.counter("l2_far") == 32
    assert outcome.counter("hbm_read") == 0


def test_one_sm_has_half_of_the_capacity_near_and_the_rest_far(halves: Hardware) -> None:
    """1 MiB in two halves, in order of use: 448 KiB are all near; 768 KiB read in a circle never are, and what the
    other half owns is found there while what the own half owns is not.
    """
    for kib, far, missed in ((448, 0.0, 0.0), (768, 0.5, 0.5)):
        blocks = np.arange(kib * 2) * 512
        fetches = table([[(int(b), 512)] for b in blocks])

        def prepare(plane: MemoryPlane, blocks: np.ndarray = blocks) -> None:
            plane.warm([(int(b), 512) for b in np.tile(blocks, 3)])

        outcome = drive(halves, fetches, lambda f: 0, prepare=prepare)
        requested = outcome.counter("requested")
        assert outcome.counter("l2_far") / requested == pytest.approx(far, abs=0.02)
        assert outcome.counter("hbm_read") / requested == pytest.approx(missed, abs=0.02)


def test_a_congested_mix_balances_whatever_the_mshrs(halves: Hardware) -> None:
    for mshrs in (1, 8):
        hw = changed(halves, l2__mshrs_per_slice=mshrs, noc__interpartition_gb_s=64, l2__replacement="nru")
        fetches = mixed(4)
        outcome = drive(hw, fetches, lambda f: f % 4, depth=3)
        assert len(outcome.seen) == fetches.fetches
        assert_balanced(outcome, fetches)


def test_nru_is_between_lru_and_random_on_a_circle(small: Hardware) -> None:
    """1.5 times the capacity: nothing is left under LRU, 42% under random replacement (h = exp(-1.5 (1 - h)))."""
    fetches = table([[(at, 4096)] for at in range(0, 3 << 19, 4096)])
    order = np.tile(np.arange(fetches.fetches), 6)
    hits = {}
    for policy in ("lru", "nru", "random"):

        def prepare(plane: MemoryPlane) -> None:
            plane.warm_fetches(order, np.zeros(len(order), np.int64))

        outcome = drive(changed(small, l2__replacement=policy), fetches, lambda f: 0, prepare=prepare)
        hits[policy] = outcome.counter("l2_hit") / outcome.counter("requested")
    assert hits["lru"] == 0
    assert hits["random"] == pytest.approx(0.417, abs=0.03)
    assert 0.0 <= hits["nru"] < hits["random"] - 0.1


def test_a_flood_of_requests_does_not_idle_memory_while_partitions_wait_for_each_other(
    h100: Hardware,
) -> None:
    """All SMs ask for 192 KiB at once, five times what the MSHRs hold. A request from the other partition goes first
    at its home slice: behind those of that slice's own SMs it would keep an MSHR of its own partition all that time.
    """
    size = 64 * 1024
    fetches = table([[(f * size, size)] for f in range(3 * 132)])
    flooded = changed(h100, sm__max_inflight_kib=228)
    copies, none = (
        drive(changed(flooded, l2__far_copies=kept), fetches, lambda f: f % 132, depth=3)
        for kept in (True, False)
    )
    assert copies.counter("l2_far") == pytest.approx(0.5 * 3 * 132 * size, rel=0.02)
    assert copies.end < 1.02 * none.end
