"""Streams reach what the tightest resource allows, and never more."""

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory import peaks
from sim.memory.dram.standards import STANDARDS
from sim.memory.fetches import FetchTable
from sim.memory.plane import MemoryPlane
from tests.memory.conftest import changed, drive, table

HBM3 = STANDARDS["HBM3"]


def stream(total: int, fetch: int = 16384, start: int = 0) -> FetchTable:
    return table([[(start + at, fetch)] for at in range(0, total, fetch)])


def test_a_long_stream_reaches_most_of_peak_and_never_more(h100: Hardware) -> None:
    hw = changed(h100, hbm__refresh="none")
    outcome = drive(hw, stream(96 << 20), lambda f: f % hw.sm.count, depth=4)
    share = outcome.gb_s() / peaks.peak_gb_s(hw.hbm)
    assert 0.85 < share < 1.0


def test_refresh_of_all_banks_takes_its_share_of_the_time(h100: Hardware) -> None:
    ends = {
        scheme: drive(changed(h100, hbm__refresh=scheme), stream(64 << 20), lambda f: f % 132, depth=4).end
        for scheme in ("none", "all_bank")
    }
    assert ends["none"] / ends["all_bank"] <= 1 - 350 / 3900 + 0.02


def test_refresh_of_one_bank_holds_up_no_other(small: Hardware) -> None:
    """Random sectors, a row each: a bank is away tRFCpb in tREFI, 5% of the time; its neighbours work on."""
    rng = np.random.default_rng(0)
    fetches = table([[(int(a) * 64, 64) for a in rng.integers(0, 1 << 24, 64)] for _ in range(256)])
    ends = {
        scheme: drive(
            changed(small, hbm__refresh=scheme, gather__issue_clk=1, sm__max_inflight_kib=256),
            fetches,
            lambda f: f % 4,
            depth=8,
        ).end
        for scheme in ("none", "per_bank")
    }
    away = HBM3.trfc_pb_ns / HBM3.trefi_ns
    assert ends["per_bank"] < ends["none"] * (1 + 2 * away)


def test_writes_that_wait_behind_a_finished_drain_come_in(small: Hardware) -> None:
    """A queue that one row's train fills: when it has gone, the next write, long arrived, needs no new event."""
    fetches = stream(4 << 20)
    fetches.kind[:] = 1
    outcome = drive(changed(small, hbm__queue_depth=4), fetches, lambda f: f % 4, depth=4)
    assert outcome.counter("l2_write") == 4 << 20
    assert len(outcome.seen) == fetches.fetches


@pytest.mark.parametrize("grain", ["train", "exact"])
@pytest.mark.parametrize("sector", [32, 64, 128])
@pytest.mark.parametrize(("offset", "size", "touched"), [(0, 64, 1), (0, 256, 2), (96, 64, 2), (64, 128, 2)])
def test_a_run_holds_an_mshr_for_each_line_that_it_touches(
    small: Hardware, grain: str, sector: int, offset: int, size: int, touched: int
) -> None:
    """64 runs through one slice of four MSHRs, which a miss holds for 133 ns until its first data are there;
    the rest of its data come 2.5 ns apart, up to 17.5 ns in all.
    """
    hw = changed(small, l2__slices=1, l2__mshrs_per_slice=4, l2__sector_bytes=sector, hbm__grain=grain)
    hw = changed(hw, gather__issue_clk=0, gather__bytes_per_clk=1024)
    runs = 64
    fetches = table([[(8192 * i + offset, size)] for i in range(runs)])
    away_ns = 100 + HBM3.trcd_ns + HBM3.tcl_ns + HBM3.burst_ns
    end = drive(hw, fetches, lambda f: f % 4, depth=16).end
    assert end / 1000 == pytest.approx(140 + away_ns * runs * touched / 4, rel=0.15)


def test_few_bytes_in_flight_follow_littles_law(small: Hardware) -> None:
    """2 KiB in flight at a round trip of some 290 ns: about 7 GB/s, far below any bandwidth."""
    hw = changed(small, sm__max_inflight_kib=2, gather__issue_clk=0, gather__bytes_per_clk=1000000)
    outcome = drive(hw, stream(1 << 20), lambda f: 0, depth=2)
    latency_ns = drive(hw, table([[(0, 512)]]), lambda f: 0).end / 1000
    assert outcome.gb_s() == pytest.approx(2048 / latency_ns, rel=0.06)


def test_hits_stream_at_the_slower_of_l2_and_the_ports(small: Hardware) -> None:
    """512 KiB in a 1 MiB L2, read again by 4 SMs: 4 ports x 64 B/ns, or the slices."""

    def warm(plane: MemoryPlane) -> None:
        plane.warm([(0, 512 << 10)])

    for l2, expected in ((1024, 256), (128, 128)):
        hw = changed(small, l2__bandwidth_gb_s=l2, noc__port_bytes_per_clk=64, gather__issue_clk=0)
        outcome = drive(hw, stream(512 << 10), lambda f: f % 4, depth=4, prepare=warm)
        assert outcome.counter("l2_miss") == 0
        assert outcome.gb_s("requested") == pytest.approx(expected, rel=0.12)
        assert outcome.gb_s("requested") <= expected


def test_the_link_between_partitions_limits_far_traffic(small: Hardware) -> None:
    """All slices that SM 0 does not own are behind a link of 16 B/ns; half of a stream is far."""
    hw = changed(small, l2__partitions=2, noc__interpartition_gb_s=16, gather__issue_clk=0)
    outcome = drive(hw, stream(512 << 10), lambda f: 0, depth=4)
    assert outcome.gb_s() == pytest.approx(32, rel=0.1)


def test_run_set_up_limits_short_runs(small: Hardware) -> None:
    """64-byte runs at 10 clk each and 1 GHz: at most 64 B in 10.5 ns."""
    fetches = table([[(4096 * (16 * f + r), 64) for r in range(16)] for f in range(64)])
    outcome = drive(small, fetches, lambda f: 0, depth=4)
    assert outcome.gb_s("requested") == pytest.approx(64 / 10.5, rel=0.1)


def test_streaming_writes_reach_memory_through_evictions(small: Hardware) -> None:
    fetches = stream(8 << 20)
    fetches.kind[:] = 1
    outcome = drive(small, fetches, lambda f: f % 4, depth=2)
    resident = 1 << 20
    assert outcome.counter("l2_write") == 8 << 20
    assert (8 << 20) - resident <= outcome.counter("hbm_write") <= 8 << 20
    assert outcome.counter("hbm_read") == 0
    assert outcome.counter("hbm_write") / outcome.end * 1000 < peaks.peak_gb_s(small.hbm)


def test_more_bandwidth_is_not_slower(h100: Hardware) -> None:
    ends = []
    for peak in (1676, 3352, 6704):
        hw = changed(h100, hbm__peak_gb_s=peak)
        ends.append(drive(hw, stream(24 << 20), lambda f: f % 132, depth=4).end)
    assert ends == sorted(ends, reverse=True)


def test_memory_follows_requests_in_flight_not_lines(small: Hardware) -> None:
    long, short = (table([[(0, n << 20)] for _ in range(1)]) for n in (64, 1))
    rows = [len(drive(small, t, lambda f: 0).plane._memory) for t in (long, short)]
    assert rows[0] == rows[1]


def test_a_replay_inside_l2_hits_and_beyond_it_does_not(small: Hardware) -> None:
    for kib, share in ((768, 1.0), (4096, 0.0)):
        fetches = stream(kib << 10)
        order = np.arange(fetches.fetches)

        def warm(plane: MemoryPlane, order: np.ndarray = order) -> None:
            plane.warm_fetches(order, np.zeros(len(order), np.int64))

        outcome = drive(small, fetches, lambda f: 0, depth=2, prepare=warm)
        assert outcome.counter("l2_hit") / outcome.counter("requested") == pytest.approx(share, abs=0.02)


def test_random_replacement_keeps_part_of_a_cyclic_replay(small: Hardware) -> None:
    """A cycle of 1.07 times the capacity: nothing survives under LRU, most of it under random replacement."""
    fetches = stream(1120 << 10, fetch=4096)
    order = np.tile(np.arange(fetches.fetches), 4)

    def warm(plane: MemoryPlane) -> None:
        plane.warm_fetches(order, np.zeros(len(order), np.int64))

    hits = {}
    for policy in ("lru", "random"):
        hw = changed(small, l2__replacement=policy)
        outcome = drive(hw, fetches, lambda f: 0, depth=2, prepare=warm)
        hits[policy] = outcome.counter("l2_hit") / outcome.counter("requested")
    assert hits["lru"] < 0.3
    assert 0.65 < hits["random"] < 0.9


def test_a_last_level_cache_answers_what_private_l2s_miss(small: Hardware) -> None:
    """1 MiB that SM 0 has read: its 256 KiB L2 does not hold it, the 2 MiB behind all L2s do."""
    llc = {"capacity_mib": 2, "bandwidth_gb_s": 32, "latency_ns": 80, "ways": 16}
    hw = changed(small, l2__private=True, l2__partitions=4, llc=llc)

    def warm(plane: MemoryPlane) -> None:
        plane.warm([(0, 1 << 20)], sm=0)

    outcome = drive(hw, stream(1 << 20), lambda f: 3, depth=4, prepare=warm)
    assert outcome.counter("hbm_read") == 0
    assert outcome.counter("llc_hit") == 1 << 20
    assert outcome.gb_s("llc_hit") == pytest.approx(32, rel=0.1)


def test_a_last_level_hit_costs_its_latency_instead_of_memory(small: Hardware) -> None:
    """Port 10.25, two ways of 50, slice 40, cache 80 plus 32 bytes at 32 channels' share of 1024 GB/s."""
    llc = {"capacity_mib": 2, "bandwidth_gb_s": 1024, "latency_ns": 80, "ways": 16}
    hw = changed(small, l2__private=True, l2__partitions=4, llc=llc)
    fetches = table([[(0, 32)], [(0, 32)], [(64, 32)], [(0, 32)]])
    outcome = drive(hw, fetches, lambda f: 0 if f < 3 else 3)
    assert outcome.counter("llc_hit") == 0
    late = table([[(0, 32)], [(1 << 19, 32)], [(1 << 18, 32)], [(0, 32)]])

    def after(plane: MemoryPlane) -> None:
        plane.warm([(0, 32)], sm=0)

    outcome = drive(hw, late, lambda f: 3, prepare=after)
    assert outcome.counter("llc_hit") == 32
    assert outcome.seen[0][0] == pytest.approx((10.25 + 100 + 40 + 80 + 1) * 1000, abs=5)
