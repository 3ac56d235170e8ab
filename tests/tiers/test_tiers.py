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


@pytest.mark.parametrize(("tier", "gb_s"), [("host", 52), ("cxl", 36), ("ssd", 29)])
def test_the_bound_is_that_of_the_tier_that_holds_the_pages(tier: str, gb_s: float) -> None:
    """16.8 MB come from one tier: a faster one beside it does not help. The fastest had bounded all of them."""
    result = tiered(f"workload.tier.name={tier}")
    moved = 64 * 64 * 8 * 256 * 2
    assert result.bounds_ns["tier"] == pytest.approx(moved / gb_s)
    assert 0.85 < result.speed_of_light <= 1


def test_a_faster_tier_makes_the_step_faster() -> None:
    assert tiered("hw.tiers.host.bandwidth_gb_s=200").time_ns < tiered().time_ns


def test_a_link_faster_than_an_sm_writes_is_used_to_the_full() -> None:
    # 64 pages of 256 KiB at 400 GB/s are 42 us. An SM's port takes 16.8 B x 1.83 GHz = 31 GB/s: written through one
    # such port an engine they would be 273 us.
    fast = ("hw.tiers.host.bandwidth_gb_s=400", "hw.copy_engine.overhead_ns=0")
    times = [tiered(*fast, f"hw.copy_engine.engines={engines}").time_ns for engines in (1, 2)]
    assert 42e3 < min(times) <= max(times) < 42e3 + 15e3


def test_a_link_as_fast_as_memory_does_not_beat_the_memory_bound() -> None:
    # Half of the KV is read from memory; the other half lands in L2 meanwhile, and is read there.
    fast = ("hw.tiers.host.bandwidth_gb_s=1e5", "hw.copy_engine.overhead_ns=0", "hw.copy_engine.engines=64")
    result = tiered(*fast)
    kv = 2 * 4096 * 8 * 256 * 2
    queries = 2 * 64 * 128 * 2
    assert result.bounds_ns["hbm"] == pytest.approx((kv / 2 + queries) / 4800, rel=0.01)


def test_every_byte_that_comes_in_is_written_once() -> None:
    # Pages of 3 tokens are pieces of 6 KiB, which no number of ports divides evenly.
    away, here = tiered("workload.page_tokens=3"), tiered("workload.page_tokens=3", "workload.tier=null")
    assert away.mapping["splits"] == here.mapping["splits"]
    assert away.bytes["l2_write"] - here.bytes["l2_write"] == away.kv["tier_bytes"]


def test_pages_before_the_window_stay_where_they_are() -> None:
    # Of 4,096 tokens the last 2,560 are seen, and the first 2,048 are away: 512 tokens of two sequences come in.
    window = "workload.model={base: llama3_70b, attention: window, window: 2560}"
    result = tiered(window)
    moved = 2 * 512 * 8 * 256 * 2
    assert result.bytes["tier.host.in"] == moved
    # Were the oldest pages, which nobody reads, copied first, those that are needed would come after 4 times the bytes.
    assert result.time_ns < 2 * result.bounds_ns["tier"]
    assert tiered(window.replace("2560", "2048")).bytes["tier.host.in"] == 0


def test_a_replay_brings_the_pages_in_again_and_finds_the_others_in_l2() -> None:
    # Half of 33.6 MB, 16.8 MB, lies in device memory, and L2 (50 MiB) keeps it from the launch before.
    cold, warm = tiered(), tiered("workload.l2_state=warm")
    assert warm.bytes["tier.host.in"] == cold.bytes["tier.host.in"]
    assert cold.bytes["hbm_read"] > 16.7e6 > 20 * warm.bytes["hbm_read"]


def test_a_tier_that_the_machine_lacks_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"found .host.; allowed: a tier of h100_sxm, which has none"):
        simulate(load_hardware("h100_sxm").spec, load_workload("decode_tiered", TIERED).spec)


def test_more_kv_than_the_tier_holds_is_bad_input() -> None:
    with pytest.raises(InputError, match="host holds"):
        tiered("hw.tiers.host.capacity_gib=0.001")
