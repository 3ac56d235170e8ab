"""The block manager against vLLM's published example and hand-counted cases."""

import pytest

from kernels_ref.block_events import BlockCopied, BlockRemoved
from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import OutOfBlocksError
from kernels_ref.errors import InputError


def tokens(start: int, count: int) -> list[int]:
    return list(range(start, start + count))


def published_example() -> BlockManager:
    """vLLM's design/prefix_caching document up to its last step: ten blocks of four tokens, two requests
    served."""
    manager = BlockManager(10, 4)
    first = tokens(0, 15)
    manager.allocate(0, 15, tokens=first)
    manager.append(0, 2, tokens=[15, 16])  # fills block 3, opens block 4
    manager.allocate(1, 14, tokens=first[:10] + tokens(100, 4))
    manager.free(0)
    manager.free(1)
    return manager


def test_the_published_example_leaves_the_free_queue_in_its_published_order() -> None:
    assert list(published_example().pool.free) == [7, 8, 9, 4, 3, 2, 6, 5, 1, 0]


def test_the_published_example_gives_29_tokens_three_cached_blocks_and_five_from_the_head() -> None:
    manager = published_example()
    assert manager.allocate(2, 29, tokens=tokens(0, 12) + tokens(200, 17)) == 12
    assert manager.block_table(2).tolist() == [0, 1, 2, 7, 8, 9, 4, 3]
    assert list(manager.pool.free) == [6, 5]


def test_a_prompt_that_hits_completely_still_computes_its_last_block() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 8, token_hash_ids=[10, 11])
    assert manager.allocate(1, 8, token_hash_ids=[10, 11]) == 4


def test_an_append_only_table_makes_a_duplicate_and_a_hit_finds_the_first() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 8, token_hash_ids=[10, 11])
    manager.allocate(1, 8, token_hash_ids=[10, 11])  # blocks 0, 2: block 2 repeats id 11
    assert manager.pool.duplicates == {11: [2]}
    manager.allocate(2, 9, token_hash_ids=[10, 11, 12])
    assert manager.block_table(2).tolist() == [0, 1, 3]


def test_a_part_filled_block_is_never_cached() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 6, token_hash_ids=[10, 11])
    assert manager.allocate(1, 9, token_hash_ids=[10, 11, 12]) == 4


def test_two_salts_never_share_a_block() -> None:
    manager = BlockManager(16, 4)
    manager.allocate(0, 9, token_hash_ids=[1, 2, 3], salt="tenant a")
    manager.allocate(1, 9, tokens=tokens(0, 9), salt="tenant a")
    assert manager.allocate(2, 9, token_hash_ids=[1, 2, 3], salt="tenant b") == 0
    assert manager.allocate(3, 9, tokens=tokens(0, 9), salt="tenant b") == 0
    assert manager.allocate(4, 9, tokens=tokens(0, 9), salt="tenant a") == 8


def test_a_request_that_does_not_fit_changes_nothing() -> None:
    manager = BlockManager(4, 4)
    manager.allocate(0, 9, token_hash_ids=[1, 2, 3])
    with pytest.raises(OutOfBlocksError) as caught:
        manager.allocate(1, 13, token_hash_ids=[1, 2, 4, 5])
    assert (caught.value.needed, caught.value.free) == (2, 1)
    assert 1 not in manager.sequences
    assert manager.pool.ref_count == [1, 1, 1, 0]


def test_hits_that_are_free_do_not_count_as_room_for_the_rest() -> None:
    manager = BlockManager(4, 4)
    manager.allocate(0, 12, token_hash_ids=[1, 2, 3])
    manager.free(0)
    assert manager.num_free_blocks == 4
    # 16 tokens: ids 1, 2, 3 hit free blocks, so one of the four blocks is left and one is needed.
    assert manager.allocate(1, 16, token_hash_ids=[1, 2, 3, 4]) == 12


def test_a_fork_shares_all_blocks_and_copies_a_part_filled_tail_before_the_first_write() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 6)
    manager.fork(0, 1)
    assert manager.block_table(1).tolist() == [0, 1]
    manager.append(1)
    assert manager.take_copies() == [BlockCopied(source=1, target=2, tokens=2, reason="copy_on_write")]
    manager.append(0)
    assert manager.take_copies() == []
    assert manager.block_table(0).tolist() == [0, 1]
    assert manager.block_table(1).tolist() == [0, 2]


def test_a_fork_at_a_block_edge_copies_nothing() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 8)
    manager.fork(0, 1)
    manager.append(0)
    manager.append(1)
    assert manager.take_copies() == []
    assert manager.block_table(1).tolist() == [0, 1, 3]


def test_a_prompt_in_chunks_takes_blocks_as_it_goes_and_caches_them_as_they_fill() -> None:
    manager = BlockManager(8, 4)
    ids = [1, 2, 3]
    assert manager.allocate(0, 12, token_hash_ids=ids, first_chunk=6) == 0
    assert len(manager.block_table(0)) == 2
    assert manager.cached_tokens_of(12, ids) == 4
    manager.append(0, 6)
    assert manager.cached_tokens_of(13, [*ids, 4]) == 12


def test_tokens_after_unnamed_ones_are_never_cached_under_a_wrong_name() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 4, tokens=[1, 2, 3, 4])
    manager.append(0, 2)
    manager.append(0, 4, tokens=[5, 6, 7, 8])
    assert list(manager.pool.cached.values()) == [0]


def test_values_must_fit_the_tokens_that_they_name() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 8, tokens=tokens(0, 8), first_chunk=4)
    with pytest.raises(ValueError, match="2 token values for 1 tokens"):
        manager.append(0, 1, tokens=[1, 2])
    with pytest.raises(ValueError, match="values of prompt tokens are given when it starts"):
        manager.append(0, 4, tokens=[1, 2, 3, 4])


def test_partial_reuse_copies_the_matching_beginning_of_a_block() -> None:
    manager = BlockManager(8, 4, partial_reuse=True)
    manager.allocate(0, 8, tokens=tokens(0, 8))
    # Block 0 hits; of block 1 (tokens 4 5 6 7) the first two match.
    assert manager.allocate(1, 9, tokens=[0, 1, 2, 3, 4, 5, 90, 91, 92]) == 6
    assert manager.take_copies() == [BlockCopied(source=1, target=2, tokens=2, reason="partial_reuse")]
    assert manager.block_table(1).tolist() == [0, 2, 3]


def test_a_window_frees_blocks_that_no_later_token_sees() -> None:
    manager = BlockManager(6, 4, window_tokens=6)
    manager.allocate(0, 8)
    for _ in range(8):
        manager.append(0)
    # The 16th token (position 15) sees positions 10..15: the blocks of tokens 0..7 are gone, block 0 is null.
    assert manager.block_table(0)[:2].tolist() == [0, 0]
    assert 0 not in manager.block_table(0)[2:]
    assert manager.num_free_blocks == 3


def test_a_window_prefix_hit_needs_only_the_blocks_still_seen() -> None:
    manager = BlockManager(12, 4, window_tokens=5)
    manager.allocate(0, 17, token_hash_ids=[1, 2, 3, 4, 5])
    manager.append(0)
    manager.free(0)
    manager.pool.clear_cache()
    manager.allocate(1, 16, token_hash_ids=[1, 2, 3, 4])
    assert manager.allocate(2, 17, token_hash_ids=[1, 2, 3, 4, 5]) == 16
    assert manager.block_table(2)[:3].tolist() == [0, 0, 0]


def test_a_held_block_is_not_freed_before_the_transfer_ends() -> None:
    manager = BlockManager(2, 4)
    manager.allocate(0, 4)
    manager.pool.hold(0)
    manager.free(0)
    assert manager.num_free_blocks == 1
    manager.pool.unhold(0)
    assert manager.num_free_blocks == 2


def test_an_eviction_says_what_it_removed() -> None:
    manager = BlockManager(2, 4, record_events=True)
    manager.allocate(0, 8, token_hash_ids=[1, 2])
    manager.free(0)
    manager.take_events()
    manager.allocate(1, 4, token_hash_ids=[9])
    removed = [event for event in manager.take_events() if isinstance(event, BlockRemoved)]
    assert removed == [BlockRemoved(block=1, key=2, reason="allocation", reachable=True, stranded=0)]


def test_the_hits_of_a_preempted_request_are_counted_apart() -> None:
    manager = BlockManager(8, 4)
    manager.allocate(0, 9, token_hash_ids=[1, 2, 3])
    manager.free(0)
    manager.allocate(0, 9, token_hash_ids=[1, 2, 3], rescheduled=True)
    assert (manager.stats.hit_tokens, manager.stats.query_tokens) == (0, 9)
    assert (manager.stats.rescheduled_hit_tokens, manager.stats.rescheduled_query_tokens) == (8, 9)


@pytest.mark.parametrize(
    ("num_tokens", "ids", "message"),
    [
        (0, [], "num_tokens: found 0; at least 1"),
        (-3, [], "num_tokens: found -3; at least 1"),
        (9, [1], "1 block ids for 9 tokens; blocks of 4 need 3"),
        (17, [1, 2, 3, 4, 5], "17 tokens need 5 blocks of 4; the pool has 4"),
    ],
)
def test_a_prompt_that_cannot_be_right_is_named(num_tokens: int, ids: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BlockManager(4, 4).allocate(0, num_tokens, token_hash_ids=ids)


def test_a_sequence_is_freed_once() -> None:
    manager = BlockManager(4, 4)
    manager.allocate(0, 4)
    manager.free(0)
    with pytest.raises(ValueError, match="sequence 0 is not allocated"):
        manager.free(0)
