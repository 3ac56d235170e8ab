"""Tiers: a link takes as long as its latency, bandwidth and access rate say; pages arrive once, in order of use."""

from typing import Any

import pytest

from sim.causes import WAIT
from sim.cli.job import simulate
from sim.config.hardware import Tier
from sim.config.load import load_hardware, load_workload
from sim.errors import InputError
from sim.result import Result
from sim.tiers.link import TierLink

US = 1_000_000
"""Picoseconds."""


def link(**values: Any) -> TierLink:
    base: dict[str, Any] = {"kind": "ssd", "capacity_gib": 100, "bandwidth_gb_s": 10, "latency_ns": 1000}
    return TierLink(Tier(**base | values))


def test_one_read_takes_latency_plus_its_bytes_over_the_bandwidth() -> None:
    # 40,960 B at 10 GB/s are 4.096 us, behind 1 us of latency.
    assert link().read(0, 40_960) == round(5.096 * US)


def test_reads_at_once_share_the_bandwidth_and_hide_each_others_latency() -> None:
    tier = link()
    ends = [tier.read(0, 40_960) for _ in range(4)]
    assert ends == [round((1 + 4.096 * n) * US) for n in (1, 2, 3, 4)]


def test_small_reads_move_whole_accesses() -> None:
    tier = link(access_bytes=4096)
    tier.read(0, 100)
    assert tier.moved_bytes == 4096


def test_the_access_rate_limits_small_reads() -> None:
    # A million accesses a second: one start per us, whatever the bandwidth.
    tier = link(iops=1_000_000, bandwidth_gb_s=1000, access_bytes=512, queue_depth=1000)
    ends = [tier.read(0, 512) for _ in range(11)]
    assert ends[10] - ends[0] == pytest.approx(10 * US, rel=0.01)


def test_the_queue_depth_limits_reads_in_flight() -> None:
    # Depth one: each read starts when the one before has ended.
    tier = link(queue_depth=1)
    assert tier.read(0, 40_960) * 3 == pytest.approx([tier.read(0, 40_960) for _ in range(2)][1], rel=1e-6)


TIERED = ("workload.batch=2", "workload.context=4096", "workload.page_tokens=64")


def tiered(*sets: str) -> Result:
    hw = load_hardware("h200_tiered", sets).spec
    return simulate(hw, load_workload("decode_tiered", (*TIERED, *sets)).spec)


def test_half_the_pages_come_in_once_and_the_tier_bounds_the_time() -> None:
    result = tiered()
    # Half of 2 x 64 pages of 64 tokens x 8 heads x 256 values x 2 B.
    moved = 64 * 64 * 8 * 256 * 2
    assert result.bytes["tier.host.in"] == moved
    assert result.bounds_ns["tier"] == result.bound_ns
    assert result.time_ns > moved / load_hardware("h200_tiered").spec.tiers["host"].bandwidth_gb_s
    assert result.stalls is not None
    assert max(WAIT, key=result.stalls.__getitem__) == "tier"


def test_a_faster_tier_makes_the_step_faster() -> None:
    assert tiered("hw.tiers.host.bandwidth_gb_s=200").time_ns < tiered().time_ns


def test_a_tier_that_the_machine_lacks_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"found .host.; allowed: a tier of h100_sxm, which has none"):
        simulate(load_hardware("h100_sxm").spec, load_workload("decode_tiered", TIERED).spec)


def test_more_kv_than_the_tier_holds_is_bad_input() -> None:
    with pytest.raises(InputError, match="host holds"):
        tiered("hw.tiers.host.capacity_gib=0.001")
