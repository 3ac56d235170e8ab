"""Layer groups that remember differently, and free orders other than LRU."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import OutOfBlocksError
from kernels_ref.errors import InputError
from kernels_ref.policies.free_orders import Order, OrderedFree, first_in, least_often, least_recent
from kernels_ref.pools import LayerGroup, LayerGroups
from kernels_ref.selfcheck import check_drained, check_manager

FULL = LayerGroup("full", "full", layers=8, bytes_per_token=4096, num_blocks=64, block_tokens=16)
WINDOW = LayerGroup("window", "window", 24, 4096, num_blocks=40, block_tokens=16, window_tokens=64)
MLA = LayerGroup("mla", "mla", layers=60, bytes_per_token=1152, num_blocks=64, block_tokens=16)
STATE = LayerGroup("ssm", "state", layers=40, bytes_per_token=262_144, num_blocks=4, block_tokens=1)


def test_a_window_group_stays_bounded_while_full_attention_grows() -> None:
    groups = LayerGroups([FULL, WINDOW])
    groups.allocate(0, 16)
    for _ in range(600):
        groups.append(0)
    tables = groups.block_tables(0)
    assert len(tables["full"]) == len(tables["window"]) == 39  # 616 / 16
    # 64 visible tokens touch at most five blocks of 16.
    assert (tables["window"] != 0).sum() <= 5
    for manager in groups.managers.values():
        check_manager(manager)


def test_a_state_takes_one_block_whatever_the_length_and_forks_copy_it() -> None:
    groups = LayerGroups([MLA, STATE])
    groups.allocate(0, 100)
    for _ in range(50):
        groups.append(0)
    groups.fork(0, 1)
    assert groups.used_bytes() == 10 * 60 * 1152 * 16 + 2 * 40 * 262_144
    groups.free(0)
    groups.free(1)
    assert groups.used_bytes() == 0


def test_a_request_enters_all_groups_or_none() -> None:
    groups = LayerGroups([FULL, STATE])
    for seq in range(4):
        groups.allocate(seq, 16)
    with pytest.raises(OutOfBlocksError):
        groups.allocate(4, 16)
    assert 4 not in groups.managers["full"].sequences
    assert groups.managers["full"].num_free_blocks == 60
    with pytest.raises(OutOfBlocksError):
        groups.fork(0, 9)
    assert 9 not in groups.managers["full"].sequences


def test_an_append_that_one_group_cannot_serve_changes_no_group() -> None:
    small = LayerGroup("mla", "mla", 60, 1152, num_blocks=2, block_tokens=16)
    groups = LayerGroups([FULL, small])
    groups.allocate(0, 32)
    with pytest.raises(OutOfBlocksError):
        groups.append(0)
    assert groups.managers["full"].num_tokens(0) == 32


def test_a_prefix_counts_as_cached_only_as_far_as_every_group_has_it() -> None:
    groups = LayerGroups([FULL, MLA])
    ids = list(range(7))
    groups.allocate(0, 100, token_hash_ids=ids)
    groups.managers["mla"].free(0)
    groups.managers["mla"].pool.clear_cache()
    assert groups.allocate(1, 100, token_hash_ids=ids) == 0


def test_a_window_that_reaches_further_than_the_full_layers_falls_back_to_what_both_have() -> None:
    full = LayerGroup("full", "full", 1, 1, num_blocks=64, block_tokens=4)
    window = LayerGroup("window", "window", 1, 1, num_blocks=64, block_tokens=4, window_tokens=6)
    groups = LayerGroups([full, window])
    groups.managers["window"].allocate(0, 25, token_hash_ids=[1, 2, 3, 4, 5, 6, 7])
    groups.managers["full"].allocate(0, 13, token_hash_ids=[1, 2, 3, 4])
    # The window has 24 tokens cached, full attention 12; the window has the two blocks before 12 as well.
    assert groups.allocate(1, 25, token_hash_ids=[1, 2, 3, 4, 5, 6, 7]) == 12
    tables = groups.block_tables(1)
    assert tables["window"][:1].tolist() == [0]
    assert tables["window"][1:3].tolist() == groups.block_tables(0)["window"][1:3].tolist()


def test_state_layers_forbid_prefix_hits() -> None:
    groups = LayerGroups([FULL, STATE])
    groups.allocate(0, 33, token_hash_ids=[1, 2, 3])
    assert groups.allocate(1, 33, token_hash_ids=[1, 2, 3]) == 0


def test_contradictory_groups_are_named_together() -> None:
    wrong = LayerGroup("a", "sparse", 1, 1, 1, 1)
    missing = LayerGroup("b", "window", 1, 1, 1, 1)
    with pytest.raises(InputError) as caught:
        LayerGroups([wrong, missing])
    assert caught.value.problems == (
        "group a: kind: found sparse; allowed: full, window, mla, state",
        "group b: window_tokens belongs to kind window, and only there",
    )


def serve(manager: BlockManager, seq: int, ids: list[int]) -> int:
    cached = manager.allocate(seq, len(ids) * 4, token_hash_ids=ids)
    manager.free(seq)
    return cached


def test_lfu_keeps_a_prefix_that_is_used_often_where_lru_forgets_it() -> None:
    for order, kept in ((least_often, True), (first_in, False), (least_recent, False)):
        manager = BlockManager(4, 4, order=OrderedFree(4, order))
        for seq in range(4):
            serve(manager, seq, [1, 2])
        # Two prompts of two blocks pass through; ids 1 and 2 are older, but id 1 was used four times.
        serve(manager, 4, [5, 6])
        serve(manager, 5, [7, 8])
        assert (manager.pool.lookup(1) is not None) == kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=5), min_size=1, max_size=25),
    st.sampled_from([least_often, first_in, least_recent]),
)
def test_any_order_keeps_the_invariants_and_never_strands_a_block(
    paths: list[list[int]], order: Order
) -> None:
    manager = BlockManager(8, 4, order=OrderedFree(8, order))
    for seq, path in enumerate(paths):
        ids = [1]
        for step in path:
            ids.append(2 * ids[-1] + step)
        serve(manager, seq, ids)
        check_manager(manager)
    assert manager.stats.stranded_blocks == 0
    check_drained(manager)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=5), min_size=1, max_size=25))
def test_the_ordered_lru_takes_cached_blocks_in_the_order_of_the_linked_list(paths: list[list[int]]) -> None:
    heap = BlockManager(8, 4, order=OrderedFree(8, least_recent))
    linked = BlockManager(8, 4)
    for seq, path in enumerate(paths):
        ids = [1]
        for step in path:
            ids.append(2 * ids[-1] + step)
        assert serve(heap, seq, ids) == serve(linked, seq, ids)
