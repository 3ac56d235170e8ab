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


def test_translation_does_not_depend_on_the_windows(small: Hardware) -> None:
    rng = np.random.default_rng(5)
    runs = [[(int(a) * 512, 2048)] for a in rng.integers(0, 1 << 14, 200)]
    fetches = with_entries(table(runs), [rng.integers(0, 4000, 6).tolist() for _ in runs])
    hw = assisted(small, translation__walkers=3, translation__sm_entries=16, translation__shared_entries=64)
    runs_seen = [drive(hw, fetches, lambda f: f % 4, depth=3, window_scale=w) for w in (1, 1 / 2, 1 / 7)]
    assert runs_seen[0].seen == runs_seen[1].seen == runs_seen[2].seen
    for other in runs_seen[1:]:
        assert np.array_equal(other.plane.stamps, runs_seen[0].plane.stamps)
        assert other.counter("assist_walks") == runs_seen[0].counter("assist_walks")
