"""Where the shared TLB holds every page of a launch, asking it takes no event of its own; all else is as with one."""

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory import build
from sim.memory.layout import Q_MAPPED
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp
from tests.memory.conftest import Run, changed, drive, table
from tests.memory.test_plane_invariants import mixed

PAGE_KIB, PAGE = 64, 1 << 16


def forget(plane: MemoryPlane) -> None:
    """Ask the shared TLB in order of time, as where pages may be missing."""
    plane._memory[Q_MAPPED] = 0


@pytest.mark.parametrize("link", [None, 200])
@pytest.mark.parametrize("latency_ns", [0, 7])
def test_every_stamp_is_as_if_the_shared_level_had_been_asked(
    small: Hardware, latency_ns: int, link: int | None
) -> None:
    """Reads and writes over 64 pages, of which an SM holds 8: many requests ask."""
    hw = changed(
        small,
        tlb__page_kib=PAGE_KIB,
        tlb__l1_entries=8,
        tlb__l2_latency_ns=latency_ns,
        l2__partitions=2,
        noc__interpartition_gb_s=link,
    )
    fetches = mixed(3)
    known = drive(hw, fetches, lambda f: f % 4, depth=2)
    asked = drive(hw, fetches, lambda f: f % 4, depth=2, prepare=forget)
    assert known.plane._memory[Q_MAPPED] == 1
    assert np.array_equal(known.plane.stamps, asked.plane.stamps)
    first, second = known.plane.counters, asked.plane.counters
    assert first["tlb_l1_misses"] > 64
    assert first["tlb_l2_misses"] == 0
    assert {k: v for k, v in first.items() if k != "windows"} == {
        k: v for k, v in second.items() if k != "windows"
    }
    waits = known.plane.stamps[:, Stamp.TLB_WAIT]
    assert set(waits.tolist()) == {0, 1000 * latency_ns}


@pytest.mark.parametrize(
    ("runs", "mapped"),
    [
        ([(page * PAGE, 64) for page in range(8)], 1),
        ([(page * PAGE, 64) for page in range(9)], 0),  # one more than the shared level has ways
        ([(PAGE - 64, 128)], 0),  # ends in a page where no run begins
        ([(PAGE - 64, 128), (PAGE + 512, 64)], 1),
        (
            [(0, 2 * PAGE + 64), (2 * PAGE, 64)],
            0,
        ),  # longer than a page: the one in the middle is no run's first
    ],
)
def test_pages_count_as_mapped_when_none_can_be_walked(small: Hardware, runs: list[Run], mapped: int) -> None:
    hw = changed(small, tlb__page_kib=PAGE_KIB, tlb__l2_entries=8)
    assert build.new_memory(hw, table([[run] for run in runs]))[Q_MAPPED] == mapped
    walks = drive(hw, table([[run] for run in runs]), lambda f: 0).counter("tlb_l2_misses")
    assert (walks == 0) == bool(mapped)
