"""The walk of the cache at tile grain against a plain twin and limiting cases."""

from collections import OrderedDict

import numpy as np
import pytest

from sim.coarse import tags
from sim.coarse.jit import entry
from sim.memory.params import REPLACEMENT_CODE

ALL = 1 << 16


@entry
def look_up(cache: tags.Cache, block: int, group: int) -> bool:
    return tags.look_up(tags.pointers(cache), block, group)


@entry
def find(cache: tags.Cache, tile_object: int, group: int) -> int:
    return tags.find(tags.pointers(cache), tile_object, group)


@entry
def find_rows(cache: tags.Cache, begin: int, end: int, group: int) -> int:
    return tags.find_rows(tags.pointers(cache), begin, end, group)


@entry
def holds(cache: tags.Cache, block: int, group: int) -> bool:
    return tags.holds(tags.pointers(cache), block, group)


@entry
def share_held(cache: tags.Cache, tile_object: int, group: int) -> int:
    return tags.share_held(tags.pointers(cache), tile_object, group)


@entry
def keep(cache: tags.Cache, begin: int, end: int, group: int) -> None:
    tags.keep(tags.pointers(cache), begin, end, group)


def scalars(sets: int, ways: int, *, slots: int = 4, policy: str = "lru") -> np.ndarray:
    p = np.zeros(tags.SCALARS, np.int64)
    p[tags.SLOTS], p[tags.SMS], p[tags.PARTS], p[tags.GROUPS] = slots, slots, 1, 1
    p[tags.SETS], p[tags.WAYS], p[tags.POLICY] = sets, ways, REPLACEMENT_CODE[policy]
    return p


def walk(p: np.ndarray, counts: list[int], objects: np.ndarray, times: int = 1) -> np.ndarray:
    """What the last of `times` equal launches finds."""
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    p[tags.OBJECTS] = objects.max() + 1
    cache = tags.new_cache(p)
    for _ in range(times):
        found = tags.walk(
            cache,
            ptr,
            np.arange(len(counts)),
            np.asarray(objects, np.int64),
            np.zeros(len(counts) + 1, np.int64),
            *no_rows(len(counts)),
        )
    return found


def no_rows(ctas: int) -> tuple[np.ndarray, np.ndarray]:
    """CTAs that read no query rows."""
    return np.zeros(ctas, np.int64), np.zeros(2, np.int64)


def lru_twin(order: np.ndarray, sets: int, ways: int) -> list[bool]:
    """A dictionary in order of use for each set; each row of blocks is turned by 5/8 of the sets and one."""
    cache: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(sets)]
    found = []
    for block in order.tolist():
        row, column = divmod(block, sets)
        held = cache[(column + row * (1 + 5 * sets // 8)) % sets]
        found.append(block in held)
        held.pop(block, None)
        held[block] = None
        if len(held) > ways:
            held.popitem(last=False)
    return found


def test_lru_finds_what_a_plain_twin_finds() -> None:
    """One slot: tiles are walked in their order."""
    order = np.random.default_rng(3).integers(0, 60, 4000)
    found = walk(scalars(4, 8, slots=1), [len(order)], order)
    assert (found == ALL).tolist() == lru_twin(order, 4, 8)


@pytest.mark.parametrize("policy", ["lru", "random", "nru"])
def test_a_replay_that_fits_finds_all(policy: str) -> None:
    assert (walk(scalars(8, 8, policy=policy), [16] * 4, np.arange(64), times=2) == ALL).all()


def test_an_lru_cycle_over_the_capacity_finds_nothing() -> None:
    assert not walk(scalars(8, 8), [18] * 4, np.arange(72), times=2).any()


def test_an_lru_replay_of_four_times_the_capacity_finds_nothing_in_whatever_order_ctas_take_turns() -> None:
    """64 CTAs in step, 32 tiles each, as many sets: were the tiles of one rank in one set, a quarter would be found."""
    p = scalars(32, 16, slots=64)
    p[tags.OBJECTS] = 64 * 32
    cache = tags.new_cache(p)
    ptr, output = np.arange(0, 65 * 32, 32), np.zeros(65, np.int64)
    for order in (np.arange(64), np.arange(64)[::-1].copy()):
        found = tags.walk(cache, ptr, order, np.arange(64 * 32), output, *no_rows(64))
        assert not found.any()


def test_what_all_share_is_missed_by_the_first_alone() -> None:
    found = walk(scalars(8, 8), [16] * 4, np.tile(np.arange(16), 4)).reshape(4, 16)
    assert not found[0].any()
    assert (found[1:] == ALL).all()


def test_a_cold_launch_that_reads_all_once_finds_nothing() -> None:
    assert not walk(scalars(8, 8), [16] * 4, np.arange(64)).any()


@pytest.mark.parametrize("policy", ["random", "nru", "lru"])
def test_skipped_look_ups_find_what_each_block_by_itself_would(policy: str) -> None:
    """Objects of three blocks, half of them hot, in two partitions that keep copies."""
    rng = np.random.default_rng(5)
    p = scalars(6, 4, policy=policy)
    p[tags.PARTS], p[tags.GROUPS], p[tags.COPIES], p[tags.OBJECTS] = 3, 2, 1, 40
    quick, plain = tags.new_cache(p), tags.new_cache(p)
    hot, far = rng.integers(0, 5, 3000), rng.integers(0, 40, 3000)
    whole = 0
    for number, group in zip(
        np.where(rng.random(3000) < 0.8, hot, far), rng.integers(0, 2, 3000), strict=True
    ):
        found = sum(look_up(plain, number * 3 + part, group) for part in range(3))
        assert find(quick, number, group) == found * ALL // 3
        whole += found == 3
    assert 300 < whole < 2700


def test_the_share_held_is_what_a_look_up_finds_and_changes_nothing() -> None:
    """Objects of four blocks, in two partitions that keep copies, or in a small L2 with another cache behind it."""
    rng = np.random.default_rng(7)
    p = scalars(6, 4)
    p[tags.PARTS], p[tags.OBJECTS] = 4, 20
    copies, behind = p.copy(), p.copy()
    copies[tags.GROUPS], copies[tags.COPIES] = 2, 1
    behind[tags.GROUPS], behind[tags.LAST_SETS], behind[tags.LAST_WAYS] = 1, 8, 4
    for kind in (copies, behind):
        cache, seen = tags.new_cache(kind), set()
        for number, group in rng.integers(0, [20, kind[tags.GROUPS]], (500, 2)):
            before = [part.copy() for part in cache]
            blocks = range(number * 4, number * 4 + 4)
            assert share_held(cache, number, group) == sum(holds(cache, b, group) for b in blocks) * ALL // 4
            seen.add(share_held(cache, number, group))
            assert all((a == b).all() for a, b in zip(before, cache, strict=True))
            for block in blocks:
                held = holds(cache, block, group)
                assert look_up(cache, block, group) == held
        assert {0, ALL} < seen


def test_outputs_take_places_from_tiles() -> None:
    """A cycle over what just fits finds all; with four blocks of output between, LRU finds nothing."""
    p = scalars(1, 8, slots=1)
    p[tags.BLOCK] = 100
    for size, share in ((0, ALL), (400, 0)):
        p[tags.OBJECTS] = 8
        cache = tags.new_cache(p)
        for _ in range(2):
            found = tags.walk(
                cache, np.array([0, 8]), np.arange(1), np.arange(8), np.array([0, size]), *no_rows(1)
            )
        assert (found == share).all()


def test_query_rows_take_places_from_tiles_and_are_found_again() -> None:
    """Two CTAs in a row, splits of one output: rows of two blocks and three tiles each. What is read once more finds
    all of 8 blocks if they are 8; the output's numbers come before those of the rows."""
    for ways, share in ((8, ALL), (7, 0)):
        p = scalars(1, ways, slots=1)
        p[tags.BLOCK], p[tags.OBJECTS] = 100, 6
        cache = tags.new_cache(p)
        rows, row_ptr = np.zeros(2, np.int64), np.array([300, 500])
        for _ in range(2):
            found = tags.walk(
                cache, np.array([0, 3, 6]), np.arange(2), np.arange(6), np.zeros(3, np.int64), rows, row_ptr
            )
        # with 7 places the rows, asked for twice a round, stay, and five places for six tiles in turn keep none
        assert (found == share).all()
        assert find_rows(cache, 300, 500, 0) == ALL
        assert {9, 10} <= set(cache.tags.tolist())


def test_a_written_block_lies_at_its_home_alone() -> None:
    p = scalars(1, 8)
    p[tags.GROUPS], p[tags.COPIES], p[tags.BLOCK], p[tags.OBJECTS] = 2, 1, 100, 4
    cache = tags.new_cache(p)
    keep(cache, 100, 350, 0)  # blocks 1, 2 and 3 of the output: numbers 5, 6 and 7
    assert sorted(cache.tags[:8][cache.tags[:8] >= 0].tolist()) == [6]
    assert sorted(cache.tags[8:][cache.tags[8:] >= 0].tolist()) == [5, 7]


def kept(policies: list[int], counts: list[int], *, pin_ways: int = 6, policy: str = "lru") -> np.ndarray:
    """What the second of two launches finds of its objects, in order, in one set of 8 blocks."""
    p = scalars(1, 8, slots=1, policy=policy)
    p[tags.KEEPS], p[tags.PIN_WAYS], p[tags.OBJECTS] = 1, pin_ways, len(policies)
    cache = tags.new_cache(p, np.array(policies))
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    objects, output = np.arange(len(policies)), np.zeros(len(counts) + 1, np.int64)
    for _ in range(2):
        found = tags.walk(cache, ptr, np.arange(len(counts)), objects, output, *no_rows(len(counts)))
    return found == ALL


@pytest.mark.parametrize("policy", ["lru", "random", "nru"])
def test_pinned_tiles_are_found_behind_a_stream_of_twice_the_cache(policy: str) -> None:
    found = kept([tags.PIN] * 4 + [tags.NORMAL] * 16, [20], policy=policy)
    assert found[:4].all()
    assert policy != "lru" or not found[4:].any()


def test_pins_beyond_their_share_are_replaced_as_others_are() -> None:
    """16 pinned objects, 6 places for pins: the first 6 stay, the other 10 cycle through 2 places."""
    assert kept([tags.PIN] * 16, [16]).tolist() == [True] * 6 + [False] * 10


@pytest.mark.parametrize("policy", ["lru", "random", "nru"])
def test_bypassing_tiles_take_no_place_of_others(policy: str) -> None:
    found = kept([tags.NORMAL] * 7 + [tags.BYPASS] * 16, [23], policy=policy)
    assert found[:7].all()
    assert found[7:].sum() <= 1


@pytest.mark.parametrize("policy", ["lru", "random", "nru"])
def test_pins_without_a_share_find_what_normal_tiles_find(policy: str) -> None:
    """Random look-ups through one set, with and without policies that nothing comes of."""
    order = np.random.default_rng(5).integers(0, 12, 500)
    p = scalars(1, 8, slots=1, policy=policy)
    plain = walk(p, [len(order)], order)
    p[tags.KEEPS] = 1
    cache = tags.new_cache(p, np.full(12, tags.PIN))
    found = tags.walk(
        cache, np.array([0, len(order)]), np.arange(1), order, np.zeros(2, np.int64), *no_rows(1)
    )
    assert (found == plain).all()
    assert 0 < (plain == ALL).sum() < len(order)
