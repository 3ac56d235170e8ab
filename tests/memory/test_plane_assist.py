"""The block-table assist: what a fetch waits for before it may be issued."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.config.hardware import Hardware
from sim.memory.fetches import FetchTable
from sim.memory.stamps import Stamp
from tests.memory.conftest import changed, drive, table

TABLE_BASE = 1 << 30


def with_entries(fetches: FetchTable, entries: list[list[int]]) -> FetchTable:
    """Give fetch i the block-table entries of numbers entries[i], of 4 bytes each."""
    pointer = np.concatenate([[0], np.cumsum([len(e) for e in entries])]).astype(np.int64)
    address = np.array([TABLE_BASE + 4 * n for e in entries for n in e], np.int64)
    return replace(fetches, entry_ptr=pointer, entry_addr=address)


def listed(fetches: FetchTable, ends: list[int]) -> FetchTable:
    """The entries as lists that end before entry number ends[i], each what one CTA looks up in order."""
    return replace(fetches, entry_ends=np.array(ends, np.int64))


def assisted(small: Hardware, **values: Any) -> Hardware:
    return changed(
        small,
        translation__assist=True,
        translation__sm_hit_clk=4,
        translation__shared_latency_ns=60,
        **values,
    )


def test_an_unknown_entry_costs_the_way_there_a_walk_through_l2_and_the_way_back(small: Hardware) -> None:
    hw = assisted(small)
    read = [[(512, 32)]]  # not in the channel of the table
    plain = drive(hw, table(read), lambda f: 0).end
    fetches = with_entries(table(read), [[0]])
    outcome = drive(hw, fetches, lambda f: 0)
    memory_ns = 40 + 100 + 19.375 + 12.5 + 1.25
    assert outcome.end - plain == pytest.approx((4 + 50 + 60 + memory_ns + 50) * 1000, abs=5)
    assert outcome.plane.stamps[0, Stamp.TRANSLATION_WAIT] == outcome.end - plain
    assert outcome.counter("assist_walks") == 1


def test_an_entry_of_another_sm_is_a_shared_hit_and_of_the_same_sm_its_own(small: Hardware) -> None:
    hw = assisted(small)
    for sm, saved in ((1, "assist_shared_hits"), (0, "assist_sm_hits")):
        reads = [[(0, 32)], [(8192, 32)]]
        both = with_entries(table(reads), [[0], [0]])
        if sm == 0:
            outcome = drive(hw, both, lambda f: 0)
            assert outcome.plane.stamps[1, Stamp.TRANSLATION_WAIT] == 4_000
        else:
            late = with_entries(table([*reads, [(4096, 32)]]), [[0], [], [0]])
            outcome = drive(hw, late, lambda f: 0 if f == 0 else 1)
            assert outcome.plane.stamps[2, Stamp.TRANSLATION_WAIT] == (4 + 50 + 60 + 50) * 1000
        assert outcome.counter(saved) == 1
        assert outcome.counter("assist_walks") == 1


def test_requests_for_an_entry_being_walked_share_the_walk(small: Hardware) -> None:
    fetches = with_entries(table([[(4096 * f, 32)] for f in range(4)]), [[7]] * 4)
    outcome = drive(assisted(small), fetches, lambda f: f)
    assert outcome.counter("assist_walks") == 1
    assert outcome.counter("block_table_lookups") == 4


def test_prefetch_hides_translation_behind_earlier_fetches(small: Hardware) -> None:
    fetches = with_entries(
        table([[(4096 * f, 4096)] for f in range(64)]), [[64 * f + n for n in range(4)] for f in range(64)]
    )
    ends = {
        depth: drive(assisted(small, translation__prefetch_depth=depth), fetches, lambda f: 0, depth=4).end
        for depth in (0, 4, 16)
    }
    assert ends[0] > ends[4] > 0.999 * ends[16]
    assert ends[0] > 1.05 * ends[16]


@pytest.mark.parametrize("sector", [32, 64, 128])
@pytest.mark.parametrize("cache", ["sm", "shared"])
def test_a_cache_holds_as_many_entries_as_it_has_places_for(small: Hardware, sector: int, cache: str) -> None:
    """1,024 places, 1,024 neighbouring entries, a sector of them at a time and all of them twice: one walk a sector."""
    hw = assisted(small, l2__sector_bytes=sector, translation__prefetch_depth=0)
    hw = changed(hw, translation__sm_entries=8, translation__shared_entries=8)
    hw = changed(hw, **{f"translation__{cache}_entries": 1024})
    per_sector = sector // 4
    first = list(range(0, 1024, per_sector)) * 2
    fetches = with_entries(table([[(4096 * f, 32)] for f in range(len(first))]), [[n] for n in first])
    outcome = drive(hw, fetches, lambda f: 0)
    assert outcome.counter("assist_walks") == 1024 // per_sector
    assert outcome.counter(f"assist_{cache}_hits") == 1024 // per_sector


def test_few_walkers_make_walks_queue(small: Hardware) -> None:
    fetches = with_entries(
        table([[(4096 * f, 32)] for f in range(4)]), [[64 * (8 * f + n) for n in range(8)] for f in range(4)]
    )
    few, many = (drive(assisted(small, translation__walkers=n), fetches, lambda f: f) for n in (1, 64))
    assert few.counter("assist_walks") == many.counter("assist_walks") == 32
    assert few.end > 4 * many.end


@pytest.mark.parametrize("lists", [False, True])
def test_translation_does_not_depend_on_the_windows(small: Hardware, lists: bool) -> None:
    rng = np.random.default_rng(5)
    runs = [[(int(a) * 512, 2048)] for a in rng.integers(0, 1 << 14, 200)]
    fetches = with_entries(table(runs), [rng.integers(0, 4000, 6).tolist() for _ in runs])
    if lists:
        fetches = listed(fetches, [300, 1200])
    hw = assisted(small, translation__walkers=3, translation__sm_entries=16, translation__shared_entries=64)
    runs_seen = [drive(hw, fetches, lambda f: f % 4, depth=3, window_scale=w) for w in (1, 1 / 2, 1 / 7)]
    assert runs_seen[0].seen == runs_seen[1].seen == runs_seen[2].seen
    for other in runs_seen[1:]:
        assert np.array_equal(other.plane.stamps, runs_seen[0].plane.stamps)
        assert other.counter("assist_walks") == runs_seen[0].counter("assist_walks")


def test_entries_that_a_cta_needs_next_are_asked_for_before_their_fetch_comes(small: Hardware) -> None:
    """One fetch at a time, each with a sector of entries: a fetch of 4 KiB takes longer than a walk, so that the first
    alone waits for one; the others look in the SM's cache, 4 clocks for the last of 8 that begin a clock apart.
    """
    fetches = with_entries(
        table([[(4096 * f, 4096)] for f in range(8)]), [list(range(8 * f, 8 * f + 8)) for f in range(8)]
    )
    hw = assisted(small)
    alone = drive(hw, fetches, lambda f: 0)
    ahead = drive(hw, listed(fetches, [64]), lambda f: 0)
    walk = alone.plane.stamps[0, Stamp.TRANSLATION_WAIT]
    assert (alone.plane.stamps[:, Stamp.TRANSLATION_WAIT] >= 0.5 * walk).all()
    assert (ahead.plane.stamps[1:, Stamp.TRANSLATION_WAIT] == (7 + 4) * 1000).all()
    assert ahead.counter("assist_walks") == alone.counter("assist_walks") == 8


def test_nothing_behind_the_last_entry_of_a_cta_is_prefetched(small: Hardware) -> None:
    fetches = with_entries(table([[(4096 * f, 4096)] for f in range(2)]), [[0], [64]])
    together, apart = (drive(assisted(small), listed(fetches, ends), lambda f: 0) for ends in ([2], [1, 2]))
    walks = apart.plane.stamps[:, Stamp.TRANSLATION_WAIT]
    assert walks[1] > 0.5 * walks[0]
    assert together.plane.stamps[1, Stamp.TRANSLATION_WAIT] == 4_000


@pytest.mark.parametrize("depth", [1, 4])
def test_no_sector_is_walked_twice_while_it_is_on_its_way(small: Hardware, depth: int) -> None:
    """Four SMs ask for two sectors of one set with a single place: who finds the place taken waits for it."""
    hw = assisted(small, translation__shared_entries=8, translation__sm_entries=64)
    fetches = with_entries(table([[(4096 * f, 32)] for f in range(4)]), [[0], [8], [8], [8]])
    outcome = drive(hw, fetches, lambda f: f, depth=depth)
    assert outcome.counter("assist_walks") == 2
    assert outcome.counter("assist_shared_hits") == 0
    walks = np.sort(outcome.plane.stamps[:, Stamp.TRANSLATION_WAIT])
    assert walks[1] == walks[2] == walks[3] > 1.4 * walks[0]


@pytest.mark.parametrize("stride_log2", [10, 13, 16, 20])
def test_tables_a_power_of_two_apart_do_not_meet_in_one_set(small: Hardware, stride_log2: int) -> None:
    """32 sectors of as many tables in 32 places, all asked for by one SM and then by another: shared hits."""
    hw = assisted(
        small, translation__shared_entries=256, translation__sm_entries=8, translation__prefetch_depth=0
    )
    numbers = [(f % 32 << stride_log2) // 4 for f in range(64)]
    fetches = with_entries(table([[(4096 * f, 32)] for f in range(64)]), [[n] for n in numbers])
    outcome = drive(hw, fetches, lambda f: 0)
    assert outcome.counter("assist_walks") == 32
    assert outcome.counter("assist_shared_hits") == 32


def test_a_wait_behind_a_fetch_whose_entries_are_unknown_is_translation(small: Hardware) -> None:
    fetches = with_entries(table([[(512, 32)], [(8192, 32)]]), [[0], []])
    outcome = drive(assisted(small), fetches, lambda f: 0, depth=2)
    first, second = outcome.plane.stamps[:, Stamp.TRANSLATION_WAIT]
    assert first == second > 0
    stamps = outcome.plane.stamps[1]
    busy = 2 * 10_000 + 2 * 250  # run set-up and address generation of both
    assert stamps[Stamp.ISSUE] - stamps[Stamp.SUBMIT] - second == busy
