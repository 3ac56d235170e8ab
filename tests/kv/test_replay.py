"""The compiled replay against the definition written out slowly, and against hand-counted cases."""

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.errors import InputError
from kernels_ref.hit_curves import hit_curves, policy_names
from kernels_ref.kvcache import CacheReplay, RetentionHints, Workload, prepare
from kernels_ref.kvcache_reference import compare_with_reference
from kernels_ref.policies.eviction import POLICIES
from kernels_ref.policies.optimum import infinite_hits, most_hits
from kernels_ref.request_trace import read_requests


def workload(rows: list[list[int]], page_tokens: int = 16) -> Workload:
    ptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    ids = np.array([i for row in rows for i in row], np.int32)
    parent = np.full(int(ids.max()) + 1, -1, np.int32)
    for row in rows:
        for above, below in pairwise(row):
            parent[below] = above
    lengths = np.array([len(row) * page_tokens for row in rows])
    return Workload(page_tokens, ptr, ids, parent, lengths, np.arange(len(rows), dtype=np.float64))


def slow_replay(rows: list[list[int]], capacity: int, policy: str, tier: int = 0) -> tuple[int, int, int]:
    """The semantics of the reference counts, word by word: first-tier hits, second-tier hits, evictions."""
    first: OrderedDict[int, None] = OrderedDict()
    second: OrderedDict[int, None] = OrderedDict()
    hits = [0, 0]
    evictions = 0
    for row in rows:
        for page in row:
            if page not in first and page not in second:
                break
            hits[page not in first] += 1
        kept = row[:capacity]
        for page in kept:
            second.pop(page, None)
        new = [page for page in kept if page not in first]
        while len(first) + len(new) > capacity:
            victim = next(page for page in first if page not in kept)
            del first[victim]
            evictions += 1
            if tier:
                second[victim] = None
                while len(second) > tier:
                    second.popitem(last=False)
        order = kept if policy == "lru_head_first" else kept[::-1]
        for page in order:
            if policy != "fifo_tail_first" or page in new:
                first.pop(page, None)
                first[page] = None
    return hits[0], hits[1], evictions


@st.composite
def prompts(draw: st.DrawFn) -> list[list[int]]:
    """Prefix-chained rows: walks down a random tree whose nodes are numbered as they appear."""
    numbers: dict[tuple[int, int], int] = {}
    rows = []
    for choices in draw(
        st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=40)
    ):
        at, row = -1, []
        for choice in choices:
            at = numbers.setdefault((at, choice), len(numbers))
            row.append(at)
        rows.append(row)
    return rows


@settings(max_examples=150, deadline=None)
@given(
    prompts(),
    st.integers(1, 12),
    st.sampled_from(["lru_tail_first", "lru_head_first", "fifo_tail_first"]),
    st.integers(0, 8),
)
def test_the_compiled_replay_counts_as_the_definition_says(
    rows: list[list[int]], capacity: int, policy: str, tier: int
) -> None:
    counts = CacheReplay(workload(rows), capacity, POLICIES[policy](), tier=tier).run()
    assert (counts.l1_hit_blocks, counts.l2_hit_blocks, counts.evictions) == slow_replay(
        rows, capacity, policy, tier
    )


@settings(max_examples=60, deadline=None)
@given(
    prompts(), st.integers(1, 12), st.sampled_from(["lru_tail_first", "lru_head_first"]), st.integers(0, 8)
)
def test_the_list_evicts_as_the_order_function_says(
    rows: list[list[int]], capacity: int, policy: str, tier: int
) -> None:
    load = workload(rows)
    fast = CacheReplay(load, capacity, POLICIES[policy](), tier=tier)
    by_order = CacheReplay(load, capacity, POLICIES[policy](), tier=tier, by_heap=True)
    assert fast.run() == by_order.run()
    assert (fast.resident == by_order.resident).all()


@settings(max_examples=100, deadline=None)
@given(prompts(), st.integers(1, 10), st.sampled_from(sorted(POLICIES)))
def test_no_policy_beats_the_offline_optimum_and_none_overfills(
    rows: list[list[int]], capacity: int, policy: str
) -> None:
    load = workload(rows)
    replay = CacheReplay(load, capacity, POLICIES[policy]())
    best = most_hits(load.ptr, load.ids, load.parent, capacity)
    hits = 0
    for row in rows:
        hits += replay.serve(np.array(row, np.int32), 0.0)[0]
        assert replay.resident.sum() <= capacity
    assert hits <= best.sum()


@settings(max_examples=50, deadline=None)
@given(prompts())
def test_the_infinite_cache_is_a_cache_that_holds_every_block(rows: list[list[int]]) -> None:
    load = workload(rows)
    hits = infinite_hits(load.ptr, load.ids, load.unique)
    assert hits.sum() == CacheReplay(load, load.unique).run().hit_blocks
    assert (hits == most_hits(load.ptr, load.ids, load.parent, load.unique)).all()


def exhaustive_best(rows: list[list[int]], capacity: int) -> int:
    """Most hits over all choices of what to keep after each request, by trying all of them."""
    states: dict[frozenset[int], int] = {frozenset(): 0}
    for row in rows:
        after: dict[frozenset[int], int] = {}
        for state, hits in states.items():
            run = next((n for n, page in enumerate(row) if page not in state), len(row))
            pool = sorted(state | set(row))
            for mask in range(1 << len(pool)):
                keep = frozenset(page for n, page in enumerate(pool) if mask >> n & 1)
                if len(keep) <= capacity:
                    after[keep] = max(after.get(keep, 0), hits + run)
        states = after
    return max(states.values())


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=3), min_size=1, max_size=6), st.integers(1, 4)
)
def test_the_offline_optimum_is_what_trying_everything_finds(choices: list[list[int]], capacity: int) -> None:
    numbers: dict[tuple[int, int], int] = {}
    rows = []
    for path in choices:
        at, row = -1, []
        for choice in path:
            at = numbers.setdefault((at, choice), len(numbers))
            row.append(at)
        rows.append(row)
    load = workload(rows)
    assert most_hits(load.ptr, load.ids, load.parent, capacity).sum() == exhaustive_best(rows, capacity)


def test_tail_first_keeps_the_root_where_head_first_strands_the_end() -> None:
    # Three blocks; prompt 0 1 2, then 5: tail-first drops 2 and keeps 0 1, head-first drops 0.
    load = workload([[0, 1, 2], [3], [0, 1, 2]])
    assert CacheReplay(load, 3, POLICIES["lru_tail_first"]()).run().hit_blocks == 2
    assert CacheReplay(load, 3, POLICIES["lru_head_first"]()).run().hit_blocks == 0


@settings(max_examples=60, deadline=None)
@given(prompts(), st.integers(1, 12), st.integers(0, 8))
def test_tail_first_evicts_leaves_only(rows: list[list[int]], capacity: int, tier: int) -> None:
    # Whoever uses a block uses its parent later: the least recent block of all is a leaf.
    first, leaf = (
        CacheReplay(workload(rows), capacity, POLICIES[name](), tier=tier).run()
        for name in ("lru_tail_first", "lru_leaf")
    )
    assert (first.l1_hit_blocks, first.l2_hit_blocks, first.evictions) == (
        leaf.l1_hit_blocks,
        leaf.l2_hit_blocks,
        leaf.evictions,
    )


def test_fifo_forgets_the_oldest_block_although_it_was_just_hit() -> None:
    load = workload([[0], [1], [0], [2], [0]])
    assert CacheReplay(load, 2, POLICIES["fifo_tail_first"]()).run().hit_blocks == 1
    assert CacheReplay(load, 2, POLICIES["lru_tail_first"]()).run().hit_blocks == 2


def test_a_pinned_block_goes_only_when_nothing_else_is_left() -> None:
    # The first page of each prompt is pinned. [4, 5] pushes out 1 and 3; [6, 7] pushes out 5 and then, as
    # only pins are left, the least recent of 0, 2, 4, which is 2. So 0 is hit both times.
    load = workload([[0, 1], [2, 3], [4, 5], [0], [6, 7], [0]], 512)
    pins = RetentionHints(head_tokens=512, head_priority=100.0, ttl_s=np.inf)
    assert CacheReplay(load, 4, POLICIES["priority"](), hints=pins).run().hit_blocks == 2
    assert CacheReplay(load, 4, POLICIES["lru_tail_first"]()).run().hit_blocks == 1


def test_lfu_keeps_what_is_used_often_and_lru_what_is_used_late() -> None:
    load = workload([[0], [0], [0], [1], [2], [0]])
    assert CacheReplay(load, 2, POLICIES["lfu"]()).run().hit_blocks == 3
    assert CacheReplay(load, 2, POLICIES["lru_tail_first"]()).run().hit_blocks == 2


def test_slru_protects_a_reused_block_from_a_scan() -> None:
    scan = [[0], [0], [1], [2], [3], [4], [5], [0]]
    assert CacheReplay(workload(scan), 4, POLICIES["slru"]()).run().hit_blocks == 2
    assert CacheReplay(workload(scan), 4, POLICIES["lru_tail_first"]()).run().hit_blocks == 1


def test_two_queues_promote_a_block_that_comes_back_after_it_left() -> None:
    # Capacity 4: FIFO of 1, so block 0 leaves when 1..4 pass; it is remembered, comes back, and then
    # survives a scan.
    rows = [[0], [1], [2], [3], [4], [0], [5], [6], [7], [8], [0]]
    assert CacheReplay(workload(rows), 4, POLICIES["2q"]()).run().hit_blocks == 1
    assert CacheReplay(workload(rows), 4, POLICIES["lru_tail_first"]()).run().hit_blocks == 0


def test_a_priority_holds_until_its_time_to_live_has_passed() -> None:
    # 512-token pages: the first page of a prompt carries the hint (80 for 300 s), later ones do not.
    rows = [[0, 1], [2, 3], [4, 5], [0]]
    for gap, hits in ((10.0, 1), (400.0, 0)):
        load = workload(rows, 512)
        late = Workload(
            load.page_tokens, load.ptr, load.ids, load.parent, load.input_length, load.arrival * gap
        )
        assert CacheReplay(late, 4, POLICIES["priority"]()).run().hit_blocks == hits


def test_cost_aware_keeps_the_deep_block_of_equally_used_prefixes() -> None:
    # Pages of 24,576 tokens: the second page of a prompt costs twice the first; leaves 1 (deep) and 2
    # compete.
    load = workload([[0, 1], [2], [3], [0, 1]], 24576)
    assert CacheReplay(load, 3, POLICIES["cost_aware"]()).run().hit_blocks == 2
    assert CacheReplay(load, 3, POLICIES["lru_tail_first"]()).run().hit_blocks == 1


def test_all_reference_integers_are_met_on_the_small_traces(shared: Path) -> None:
    import json

    reference = shared / "validation" / "kvcache" / "reference_hits.json"
    small = {k: v for k, v in json.loads(reference.read_text()).items() if not k.startswith("mooncake_conv")}
    assert len(small) >= 5
    rows = list(compare_with_reference(reference, shared / "data" / "traces", only=set(small)))
    assert [row for row in rows if not row.ok] == []
    assert len(rows) > 200


@pytest.mark.slow
def test_all_reference_integers_are_met(shared: Path) -> None:
    reference = shared / "validation" / "kvcache" / "reference_hits.json"
    rows = list(compare_with_reference(reference, shared / "data" / "traces"))
    assert [row for row in rows if not row.ok] == []


def test_the_mooncake_conversation_meets_its_two_tier_counts(shared: Path) -> None:
    trace = read_requests(shared / "data" / "traces" / "mooncake_conversation_min00_45.jsonl.gz")
    counts = CacheReplay(prepare(trace), 3000, tier=10000).run()
    assert (counts.l1_hit_blocks, counts.l2_hit_blocks, counts.demotions) == (14498, 36476, 200179)


def test_a_split_page_size_has_the_hits_of_its_whole_blocks(shared: Path) -> None:
    trace = read_requests(shared / "data" / "traces" / "mooncake_synthetic_s0000_0511.jsonl.gz")
    whole = CacheReplay(prepare(trace), 40000).run()
    split = CacheReplay(prepare(trace, 128), 160000).run()
    assert split.l1_hit_tokens == whole.l1_hit_tokens


def test_the_curves_hold_policies_bounds_and_the_infinite_cache() -> None:
    load = workload([[0, 1], [2], [0, 1]])
    points = list(hit_curves(load, [2, 3], policy_names(["lru", "fifo"]), [0, 1]))
    assert [(p.policy, p.blocks, p.tier) for p in points[-4:]] == [
        ("optimum", 2, 0),
        ("optimum", 3, 0),
        ("optimum", 4, 0),
        ("infinite", 3, 0),
    ]
    assert points[-1].block_hit_rate == 2 / 5


def test_an_unknown_policy_and_an_empty_cache_are_refused() -> None:
    with pytest.raises(InputError, match="policy: found clock; allowed: lru_tail_first"):
        policy_names(["clock"])
    with pytest.raises(InputError, match="at least 1"):
        list(hit_curves(workload([[0]]), [0], ["lfu"], []))
