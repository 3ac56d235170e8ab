"""The account of waits names the resource that is short: each case is short of one, by construction."""

import numpy as np
import pytest

from sim.causes import CAUSES
from sim.config.hardware import Hardware
from sim.device import wait
from sim.memory.dram.standards import STANDARDS
from sim.memory.stamps import Stamp
from tests.memory.conftest import Outcome, changed, drive, table

HBM3 = STANDARDS["HBM3"]
AWAY_NS = 100 + HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns
"""Of a miss alone, from its look-up until its MSHR is free."""
MIB = 1 << 20


def shares(outcome: Outcome) -> dict[str, float]:
    """Parts of the time from asking to having, over all fetches; nobody is out of stage buffers."""
    s = outcome.plane.stamps
    starved = np.zeros(len(s), bool)
    parts, _ = wait.cut(s, s[:, Stamp.SUBMIT], s[:, Stamp.SM_ARRIVE], starved)
    spent = np.bincount(parts[:, 0], parts[:, 2] - parts[:, 1], len(CAUSES))
    return dict(zip(CAUSES, (spent / spent.sum()).tolist(), strict=True))


def flood(hw: Hardware) -> Outcome:
    """4 SMs with 256 KiB under way between them read 1 MiB, in pieces of 4 KiB."""
    fetches = table([[(at, 4096)] for at in range(0, MIB, 4096)])
    return drive(hw, fetches, lambda f: f % 4, depth=16)


@pytest.fixture(scope="module")
def wide(small: Hardware) -> Hardware:
    """Ports, slices and MSHRs have far more than memory (819 GB/s) needs; that serves the flood in 0.6 us."""
    return changed(
        small,
        gather__issue_clk=0,
        gather__bytes_per_clk=1024,
        noc__port_bytes_per_clk=1024,
        l2__bandwidth_gb_s=8192,
        l2__mshrs_per_slice=4096,
    )


@pytest.mark.parametrize(
    ("short_of", "cause"),
    [
        ({"hbm__peak_gb_s": 64}, "hbm_queue"),
        # MSHRs for half of what is under way
        ({"hbm__peak_gb_s": 64, "l2__mshrs_per_slice": 128}, "hbm_queue"),
        ({"l2__bandwidth_gb_s": 64}, "l2"),
        ({"l2__bandwidth_gb_s": 64, "l2__partitions": 2, "l2__far_copies": True}, "l2"),
        ({"l2__mshrs_per_slice": 1}, "l2"),
        ({"noc__port_bytes_per_clk": 16}, "noc"),
        ({"noc__interpartition_gb_s": 16, "l2__partitions": 2}, "noc"),
        ({"noc__interpartition_gb_s": 16, "l2__partitions": 2, "l2__far_copies": True}, "noc"),
        # misses that cross keep the MSHRs while they wait for the link
        (
            {
                "noc__interpartition_gb_s": 16,
                "l2__partitions": 2,
                "l2__far_copies": True,
                "l2__mshrs_per_slice": 64,
            },
            "noc",
        ),
        ({"sm__max_inflight_kib": 1}, "inflight_limit"),
        ({"tlb__page_kib": 4, "tlb__walkers": 1, "tlb__walk_ns": 400, "tlb__l2_entries": 16}, "tlb"),
        ({"gather__issue_clk": 4000}, "issue"),
    ],
)
def test_what_is_short_is_waited_for(wide: Hardware, short_of: dict[str, object], cause: str) -> None:
    found = shares(flood(changed(wide, **short_of)))
    assert found[cause] > 0.6


def test_waits_behind_a_last_level_cache_are_those_of_caches_and_not_of_memory(wide: Hardware) -> None:
    """Read twice, 1 MiB finds nothing in an L2 of 256 KiB and all of itself in a cache of 64 GB/s behind it: for 16 us,
    in which memory is idle."""
    llc = {"capacity_mib": 2, "bandwidth_gb_s": 64, "latency_ns": 80, "ways": 16}
    hw = changed(wide, llc=llc, l2__capacity_mib=0.25, l2__private=True)
    pieces = [[(at, 4096)] for at in range(0, MIB, 4096)]
    outcome = drive(hw, table(pieces * 2), lambda f: f % 4, depth=16)
    assert outcome.counter("llc_hit") == MIB
    found = shares(outcome)
    assert found["l2"] > 0.6
    assert found["hbm_queue"] < 0.1


def test_who_meets_a_miss_waits_for_what_that_waits_for(wide: Hardware) -> None:
    """Two SMs read one sector at once from an idle memory: nobody queues there, and both wait for the access."""
    stamps = drive(wide, table([[(0, 32)]] * 2), lambda f: f).plane.stamps
    assert (stamps[:, Stamp.HBM_QUEUE] == 0).all()
    for stamp in (Stamp.HBM_ENQUEUE, Stamp.HBM_DONE):
        assert stamps[0, stamp] == stamps[1, stamp], stamp


def test_who_meets_a_queueing_miss_queues_as_long_as_that_still_does(wide: Hardware) -> None:
    """A channel of 2 GB/s takes 256 ns for a block of 512 bytes. Two fetches of one SM want the last of those that are
    asked for at once: it waits for another one at least."""
    hw = changed(wide, hbm__peak_gb_s=64)
    blocks = [[(i * 32 * 512, 512)] for i in (0, 1, 2, 3, 3)]
    stamps = drive(hw, table(blocks), lambda f: min(f, 3), depth=2).plane.stamps
    ends = stamps[:, Stamp.HBM_ENQUEUE] + stamps[:, Stamp.HBM_QUEUE]
    assert stamps[4, Stamp.HBM_QUEUE] > 256_000
    assert ends[4] == ends[3]
    assert stamps[4, Stamp.HBM_DONE] == stamps[3, Stamp.HBM_DONE]


def test_the_one_mshr_of_a_slice_is_waited_for_as_long_as_the_miss_before_is_away(small: Hardware) -> None:
    """Two SMs ask one slice for sectors of two channels at once. The slice takes 32 ps for each; the second has been
    looked up 32 ps after the first, whose MSHR is free again when its miss is back."""
    hw = changed(small, l2__slices=1, l2__mshrs_per_slice=1)
    outcome = drive(hw, table([[(0, 32)], [(512, 32)]]), lambda f: f)
    second = outcome.plane.stamps[1]
    assert second[Stamp.MSHR_WAIT] == pytest.approx(AWAY_NS * 1000 - 32, abs=5)
    assert second[Stamp.HBM_QUEUE] == 0
    found = shares(outcome)
    assert found["hbm_queue"] == 0
