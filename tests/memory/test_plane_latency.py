"""One request alone costs the sum of its stages, on paper."""

import pytest
import simpy

from sim.config.hardware import Hardware
from sim.errors import InputError
from sim.memory.dram.standards import STANDARDS
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp
from tests.memory.conftest import changed, drive, table

HBM3 = STANDARDS["HBM3"]
ISSUE_NS = 10 + 32 / 128
"""Run set-up of 10 clk at 1 GHz, then 32 bytes at 128 bytes per clk."""
PAPER_NS = ISSUE_NS + 2 * 50 + 40 + 100 + HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns


def test_a_lone_sector_costs_port_network_slice_controller_and_an_empty_bank(small: Hardware) -> None:
    outcome = drive(small, table([[(4096, 32)]]), lambda f: 0)
    assert outcome.end == pytest.approx(PAPER_NS * 1000, abs=5)


def test_the_second_read_of_a_sector_costs_port_network_and_slice(small: Hardware) -> None:
    outcome = drive(small, table([[(4096, 32)], [(4096, 32)]]), lambda f: 0)
    slice_ns = 32 / (1024 / 8)
    first, second = (time for time, _ in outcome.seen)
    assert second - first == pytest.approx((ISSUE_NS + 2 * 50 + 40 + slice_ns) * 1000, abs=5)


def test_a_slice_of_the_other_partition_costs_the_extra_both_ways(small: Hardware) -> None:
    hw = changed(small, l2__partitions=2, noc__far_extra_ns=30)
    ends = {sm: drive(hw, table([[(0, 32)]]), lambda f, sm=sm: sm).end for sm in (0, 3)}
    assert ends[3] - ends[0] == 2 * 30_000


def test_a_train_ends_one_bank_group_gap_per_burst_later(small: Hardware) -> None:
    sector = drive(small, table([[(0, 32)]]), lambda f: 0)
    block = drive(small, table([[(0, 512)]]), lambda f: 0)
    issue_ns = (512 - 32) / 128
    assert block.end - sector.end == pytest.approx((15 * HBM3.tccd_l_ns + issue_ns) * 1000, abs=20)


def test_a_row_hit_saves_the_activation_and_a_conflict_adds_a_precharge(small: Hardware) -> None:
    """32 channels x 512 B is one round; a row of 1 KiB holds two rounds; 32 banks follow each other."""
    row_mate, bank_mate = 32 * 512, 32 * 512 * 2 * 32
    times = {}
    for name, second in (("hit", row_mate), ("conflict", bank_mate)):
        outcome = drive(small, table([[(0, 32)], [(second, 32)]]), lambda f: 0)
        times[name] = outcome.seen[1][0] - outcome.seen[0][0]
    alone = round(PAPER_NS * 1000)
    assert times["hit"] == pytest.approx(alone - HBM3.trcd_ns * 1000, abs=5)
    assert times["conflict"] == pytest.approx(alone + HBM3.trp_ns * 1000, abs=5)


def test_stages_of_a_lone_read_are_stamped_in_order_and_without_queueing(small: Hardware) -> None:
    stamps = drive(small, table([[(0, 32)]]), lambda f: 0).plane.stamps[0]
    order = [
        Stamp.SUBMIT,
        Stamp.ISSUE,
        Stamp.L2_ARRIVE,
        Stamp.L2_DONE,
        Stamp.HBM_ENQUEUE,
        Stamp.HBM_DONE,
        Stamp.SM_ARRIVE,
    ]
    instants = [stamps[stamp] for stamp in order]
    assert instants == sorted(instants)
    for wait in (Stamp.INFLIGHT_WAIT, Stamp.NOC_QUEUE, Stamp.L2_QUEUE, Stamp.HBM_QUEUE):
        assert stamps[wait] == 0, wait


def test_both_ways_through_the_memory_controller_belong_to_the_access(small: Hardware) -> None:
    stamps = drive(small, table([[(0, 32)]]), lambda f: 0).plane.stamps[0]
    array_ps = round((HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns) * 1000)
    assert stamps[Stamp.HBM_ENQUEUE] - stamps[Stamp.L2_DONE] == 50_000
    assert stamps[Stamp.HBM_DONE] - stamps[Stamp.HBM_ENQUEUE] == pytest.approx(array_ps + 50_000, abs=3)
    assert stamps[Stamp.SM_ARRIVE] - stamps[Stamp.HBM_DONE] == pytest.approx(50_000, abs=3)


def test_a_posted_write_completes_when_l2_has_it(small: Hardware) -> None:
    outcome = drive(small, table([[(0, 32)]], writes=[0]), lambda f: 0)
    egress_ns = 32 / small.noc.write_bytes_per_clk
    assert outcome.end == pytest.approx((ISSUE_NS + egress_ns + 2 * 50 + 40) * 1000, abs=5)
    assert outcome.counter("hbm_write") == 0


def test_a_network_shorter_than_the_lookahead_is_an_input_error(small: Hardware) -> None:
    # The schema refuses it; a copy made in code has not passed the schema.
    near = small.model_copy(update={"noc": small.noc.model_copy(update={"latency_ns": 2.4})})
    with pytest.raises(InputError, match=r"hw\.noc\.latency_ns"):
        drive(near, table([[(0, 32)]]), lambda f: 0)


def test_a_first_touch_of_a_page_pays_the_shared_tlb_and_an_unmapped_one_the_walk(small: Hardware) -> None:
    base = drive(small, table([[(0, 32)]]), lambda f: 0).end
    slow = changed(small, tlb__l2_latency_ns=30, tlb__walk_ns=400, tlb__l2_entries=1, tlb__l1_entries=1)
    near = drive(slow, table([[(0, 32)]]), lambda f: 0)
    assert near.end - base == 30_000
    assert near.plane.stamps[0, Stamp.TLB_WAIT] == 30_000
    far = drive(slow, table([[(0, 32)], [(4 << 20, 32)]]), lambda f: 0)
    assert far.plane.stamps[1, Stamp.TLB_WAIT] == 430_000
    assert far.counter("tlb_l2_misses") == 1


def test_a_fetch_asked_for_when_the_one_before_is_known_starts_at_its_instant(small: Hardware) -> None:
    """Two SMs ask for their next fetch from the answer to the one before, when nothing else is under way."""
    fetches = table([[(i * 4096, 512)] for i in range(10)])
    apart = drive(small, fetches, sm_of=lambda fetch: fetch % 2)
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, small, fetches)
    seen: list[tuple[int, int]] = []

    def known(fetch: int, time: int) -> None:
        seen.append((time, fetch))
        if fetch + 2 < fetches.fetches:
            plane.ask(fetch % 2, fetch + 2, time, known)

    for sm in range(2):
        plane.ask(sm, sm, 0, known)
    env.run()
    assert sorted(seen) == sorted(apart.seen)
