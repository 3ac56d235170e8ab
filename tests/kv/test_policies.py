"""Small policies, each against a case counted by hand."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kernels_ref.block_manager import BlockManager
from kernels_ref.errors import InputError
from kernels_ref.kvcache import CacheReplay, Workload, prepare
from kernels_ref.metadata import Conversion, PageMetadata
from kernels_ref.policies.isolation import ISOLATION
from kernels_ref.policies.precision import ByAge, ByHeat, OneFormat, check_precision, convert_pages
from kernels_ref.policies.tiering import (
    INCLUSIVE,
    AdmitFrequent,
    WriteBack,
    WriteSelective,
    WriteThrough,
)
from kernels_ref.policies.warmup import WARM_UP, NextUse, Prospect, QueueAware, ReturnPredictor
from kernels_ref.request_trace import read_requests
from kernels_ref.tiered_replay import TieredReplay


@pytest.mark.parametrize(
    ("name", "hits"), [("global", [8, 8, 8]), ("per_tenant", [8, 0, 8]), ("never", [0, 0, 0])]
)
def test_isolation_decides_who_hits_whom(name: str, hits: list[int]) -> None:
    manager, isolation = BlockManager(64, 4), ISOLATION[name]()
    found = []
    for number, tenant in enumerate(["a", "a", "b", "b"]):
        salt = isolation.salt(tenant, number)
        found.append(manager.allocate(number, 9, token_hash_ids=[1, 2, 3], salt=salt))
    assert found == [0, *hits]


def workload(rows: list[list[int]]) -> Workload:
    ptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    ids = np.array([i for row in rows for i in row], np.int32)
    parent = np.full(int(ids.max()) + 1, -1, np.int32)
    for row in rows:
        for above, below in pairwise(row):
            parent[below] = above
    return Workload(16, ptr, ids, parent, np.diff(ptr) * 16, np.arange(len(rows), dtype=np.float64))


TURNS = [[0], [1], [2], [0], [1], [2], [3]]


def test_write_through_writes_each_block_once_and_evicts_clean() -> None:
    replay = TieredReplay(workload(TURNS), 1, 9, inclusion=INCLUSIVE, writing=WriteThrough())
    counts = replay.run()
    assert (counts.l1_hit_blocks, counts.l2_hit_blocks) == (0, 3)
    traffic = replay.traffic
    assert (traffic.offloaded, traffic.onboarded, traffic.clean, traffic.lost) == (4, 3, 6, 0)


def test_inclusive_write_back_writes_only_what_is_not_below_yet() -> None:
    replay = TieredReplay(workload(TURNS), 1, 9, inclusion=INCLUSIVE, writing=WriteBack())
    assert replay.run().l2_hit_blocks == 3
    # First evictions of 0, 1, 2 write; the second time they are found below.
    assert (replay.traffic.offloaded, replay.traffic.clean) == (3, 3)


def test_exclusive_tiers_write_on_every_eviction() -> None:
    replay = TieredReplay(workload(TURNS), 1, 9)
    assert replay.run().l2_hit_blocks == 3
    assert (replay.traffic.offloaded, replay.traffic.clean) == (6, 0)


def test_selective_writing_and_the_frequency_filter_spare_what_is_used_once() -> None:
    rows = [[0], [0], [1], [2], [0]]
    selective = TieredReplay(workload(rows), 1, 9, inclusion=INCLUSIVE, writing=WriteSelective())
    assert selective.run().l2_hit_blocks == 1
    assert (selective.traffic.offloaded, selective.traffic.lost) == (1, 2)
    filtered = TieredReplay(workload(rows), 1, 9, admission=AdmitFrequent(2))
    assert filtered.run().l2_hit_blocks == 1
    assert filtered.traffic.offloaded == 1


def test_inclusive_tiers_of_one_size_hold_half_of_what_exclusive_ones_hold() -> None:
    cycle = [[0], [1], [2], [3]] * 3
    exclusive, inclusive = (
        TieredReplay(workload(cycle), 2, 2),
        TieredReplay(workload(cycle), 2, 2, inclusion=INCLUSIVE, writing=WriteThrough()),
    )
    assert exclusive.run().hit_blocks == 8
    assert inclusive.run().hit_blocks == 0


def test_the_default_switches_are_the_exact_two_tier_semantics(shared: Path) -> None:
    trace = read_requests(shared / "data" / "traces" / "mooncake_synthetic_s0000_0511.jsonl.gz")
    load = prepare(trace)
    exact = CacheReplay(load, 1000, tier=3000).run()
    replay = TieredReplay(load, 1000, 3000)
    switched = replay.run()
    assert (switched.l1_hit_blocks, switched.l2_hit_blocks) == (exact.l1_hit_blocks, exact.l2_hit_blocks)
    assert replay.traffic.offloaded == exact.demotions


def test_exclusive_tiers_cannot_write_through() -> None:
    with pytest.raises(InputError, match="write policy: found through with exclusive tiers"):
        TieredReplay(workload(TURNS), 1, 1, writing=WriteThrough())


def test_age_converts_full_pages_behind_the_hot_window_and_counts_the_traffic() -> None:
    metadata = PageMetadata(8, "fp16")
    table = np.array([5, 2, 7, 1], np.int32)
    policy = ByAge("fp16", "int4", hot_tokens=20)
    # 58 tokens in pages of 16: pages end 42, 26, 10 tokens before the end; the fourth is part-filled.
    found = convert_pages(policy, metadata, [table], [58], 16, step=1)
    assert found == [Conversion(5, "fp16", "int4"), Conversion(2, "fp16", "int4")]
    assert convert_pages(policy, metadata, [table], [58], 16, step=2) == []


def test_a_shared_page_is_as_young_as_its_youngest_reader() -> None:
    metadata = PageMetadata(8, "fp16")
    old, young = np.array([0, 1, 2], np.int32), np.array([0, 3], np.int32)
    found = convert_pages(ByAge("fp16", "int4", 16), metadata, [old, young], [48, 17], 16, step=1)
    # Page 0 ends 32 tokens before the end of one, 1 token before the end of the other: it stays hot.
    assert found == [Conversion(1, "fp16", "int4")]


def test_heat_keeps_what_many_read_and_never_widens_a_page() -> None:
    metadata = PageMetadata(4, "fp16")
    for step in range(6):
        metadata.use(np.array([0], np.int32), step)
    policy = ByHeat("fp16", "int4", least_uses=4, idle_steps=10)
    tables = [np.array([0, 1], np.int32)]
    assert convert_pages(policy, metadata, tables, [32], 16, step=20) == [Conversion(1, "fp16", "int4")]
    metadata.use(np.array([1], np.int32), 21)
    assert convert_pages(OneFormat("fp16"), metadata, tables, [32], 16, step=21) == []


def test_a_cold_format_that_is_wider_or_unknown_is_refused() -> None:
    with pytest.raises(InputError, match="the cold format cannot be wider"):
        check_precision(ByAge("int4", "fp16", 1))
    with pytest.raises(InputError, match="found fp3"):
        check_precision(ByAge("fp16", "fp3", 1))


GB = 10**9
QUEUE = [
    Prospect(1, 1 * GB, due_ns=0.0, arrived=True, scheduled=True),
    Prospect(2, 0, due_ns=1e9, arrived=True),
    Prospect(3, 2 * GB, due_ns=1e9, arrived=True),
    Prospect(4, 1 * GB, due_ns=9e9, arrived=True),
    Prospect(5, 1 * GB, due_ns=1.5e9, arrived=False),
]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("none", []),
        ("reactive", [1]),
        ("on_arrival", [1, 3, 4]),
        ("next_use", [1, 3, 5]),
        ("queue_aware", [1, 3]),
    ],
)
def test_each_warm_up_fetches_what_its_name_says(name: str, chosen: list[int]) -> None:
    assert WARM_UP[name]().choose(QUEUE, 0.0, bandwidth_gb_s=1.0) == chosen


def test_queue_aware_starts_when_the_transfer_behind_the_others_is_just_in_time() -> None:
    # At 1 GB/s request 4 needs 1 s after 3 s of transfers ahead: due in 9 s it waits, due in 6 s (1.5 x 4)
    # it starts.
    assert 4 not in QueueAware().choose(QUEUE, 2.9e9, 1.0)
    assert 4 in QueueAware().choose(QUEUE, 3.0e9, 1.0)
    assert NextUse(horizon_ns=0.0).choose(QUEUE, 0.0, 1.0) == [1]


def test_a_session_is_expected_back_after_its_mean_gap() -> None:
    predictor = ReturnPredictor(weight=0.5)
    predictor.observe("s", 0.0)
    assert predictor.due_ns("s") is None
    predictor.observe("s", 10.0)
    predictor.observe("s", 30.0)
    # Gaps 10, 20: mean 10 + 0.5 x (20 - 10) = 15.
    assert predictor.due_ns("s") == 45.0
