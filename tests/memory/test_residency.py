"""What an L2 keeps of each class of data: 1 MiB of 16 ways, so that 64 KiB of addresses in a row fill one way.

Each lap reads its bytes in order, one fetch at a time. A cycle longer than its ways finds nothing under LRU.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kernels_ref.trace import Step
from sim.cli.job import engine_step, simulate
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_workload, model_of
from sim.memory.addresses import build_address_map
from sim.memory.plane import MemoryPlane
from sim.memory.regions import DataClass, Regions, step_regions
from sim.result import Result
from tests.memory.conftest import Outcome, Run, changed, drive, table

KIB = 1024
GRANULE = 512
FETCH = 16 * KIB
META, SHARED, STREAM = 0, 16 << 20, 32 << 20
"""Where each class of data lies; what is behind the first 64 MiB has no class."""
REGIONS = Regions(
    np.array([META, SHARED, STREAM, 64 << 20], np.int64),
    np.array([DataClass.METADATA, DataClass.SHARED_PREFIX, DataClass.STREAMING, DataClass.OTHER], np.int64),
)


def span(start: int, kib: int) -> list[Run]:
    return [(start + at, FETCH) for at in range(0, kib * KIB, FETCH)]


def keeping(hw: Hardware, pin_fraction: float = 0.75, **policies: str) -> Hardware:
    return changed(hw, l2__residency=policies, l2__pin_fraction=pin_fraction)


def read(hw: Hardware, runs: Sequence[Run], **options: Any) -> Outcome:
    """One SM reads the runs one after the other."""
    return drive(hw, table([[run] for run in runs]), lambda f: 0, regions=REGIONS, **options)


def hits_kib(outcome: Outcome, cls: DataClass) -> float:
    return outcome.counter(f"l2_hit_{cls.name.lower()}") / KIB


def test_pinned_metadata_never_miss_twice_under_a_stream_of_twice_the_cache(small: Hardware) -> None:
    """256 KiB of it take 4 of the 12 ways that may be pinned; 2 MiB cycle through the other 12."""
    lap = span(META, 256) + span(STREAM, 2048)
    outcome = read(keeping(small, metadata="pin"), 3 * lap)
    assert hits_kib(outcome, DataClass.METADATA) == 2 * 256
    assert hits_kib(outcome, DataClass.STREAMING) == 0
    assert outcome.counter("hbm_read") == (256 + 3 * 2048) * KIB
    assert outcome.counter("l2_pins") == 256 * KIB // GRANULE
    assert read(small, 3 * lap).counter("l2_hit") == 0


@pytest.mark.parametrize("kib", [512, 960])
def test_a_bypassing_stream_leaves_another_class_what_it_finds_alone(small: Hardware, kib: int) -> None:
    """The stream has the ways that the prefix leaves free, 8 or 1, and passes over the rest."""
    hw = keeping(small, streaming="bypass")
    alone = read(hw, 3 * span(SHARED, kib))
    beside = read(hw, 3 * (span(SHARED, kib) + span(STREAM, 2048)))
    assert hits_kib(alone, DataClass.SHARED_PREFIX) == 2 * kib
    assert hits_kib(beside, DataClass.SHARED_PREFIX) == 2 * kib
    assert hits_kib(beside, DataClass.STREAMING) == 0
    assert read(small, 3 * (span(SHARED, kib) + span(STREAM, 2048))).counter("l2_hit") == 0


def test_normal_data_take_the_place_of_what_bypasses(small: Hardware) -> None:
    """The stream fills the free cache; a prefix of 1 MiB pushes all of it out, and is whole in the second lap."""
    outcome = read(keeping(small, streaming="bypass"), span(STREAM, 1024) + 2 * span(SHARED, 1024))
    assert hits_kib(outcome, DataClass.SHARED_PREFIX) == 1024


def test_what_is_more_than_the_share_for_pins_is_kept_as_normal_data_are(small: Hardware) -> None:
    """Of 2 MiB the first 256 KiB hold the 4 ways for pins; the rest cycle through 12 ways and find nothing."""
    outcome = read(keeping(small, 0.25, shared_prefix="pin"), 3 * span(SHARED, 2048))
    assert hits_kib(outcome, DataClass.SHARED_PREFIX) == 2 * 256
    assert outcome.counter("l2_pins") == 256 * KIB // GRANULE
    assert outcome.counter("l2_pins_refused") == 3 * (2048 - 256) * KIB // GRANULE


def test_data_beyond_the_share_for_pins_that_fit_the_cache_are_all_found(small: Hardware) -> None:
    outcome = read(keeping(small, 0.25, shared_prefix="pin"), 2 * span(SHARED, 1024))
    assert hits_kib(outcome, DataClass.SHARED_PREFIX) == 1024


@pytest.mark.parametrize("replacement", ["lru", "nru", "random"])
def test_pins_without_a_share_change_no_instant(small: Hardware, replacement: str) -> None:
    """The policies choose among all tags as they do where all data are alike."""
    hw = changed(small, l2__replacement=replacement)
    lap = span(META, 256) + span(SHARED, 512) + span(STREAM, 512)
    fetches = table([[run] for run in 2 * lap])
    plain = drive(hw, fetches, lambda f: f % 4, depth=3, regions=REGIONS)
    pinned = drive(
        keeping(hw, 0.0, metadata="pin", shared_prefix="pin"),
        fetches,
        lambda f: f % 4,
        depth=3,
        regions=REGIONS,
    )
    assert pinned.seen == plain.seen
    assert {name: pinned.counter(name) for name in plain.plane.counters} == plain.plane.counters


@pytest.mark.parametrize("replacement", ["lru", "nru", "random"])
def test_a_pinned_prefix_keeps_its_hits_while_unique_kv_stream_past(
    small: Hardware, replacement: str
) -> None:
    """Four sequences: 512 KiB in common, then 768 KiB of their own each, in the 8 ways that pins leave."""
    hw = keeping(changed(small, l2__replacement=replacement), shared_prefix="pin")
    runs: list[Run] = []
    for sequence in range(4):
        runs += span(SHARED, 512) + span(STREAM + (sequence << 20), 768)
    outcome = read(hw, runs)
    assert hits_kib(outcome, DataClass.SHARED_PREFIX) == 3 * 512
    assert outcome.counter("hbm_read") == (512 + 4 * 768) * KIB


def test_everything_pinned_lets_other_data_pass_by(small: Hardware) -> None:
    """With all 16 ways pinned, reads go to memory each time and writes do so at once; nothing waits for ever."""
    hw = keeping(small, 1.0, shared_prefix="pin")
    runs = span(SHARED, 1024) + 2 * span(STREAM, 64) + span(SHARED, 1024)
    fetches = table([[run] for run in runs], writes=[64, 65])
    outcome = drive(hw, fetches, lambda f: 0, regions=REGIONS)
    assert hits_kib(outcome, DataClass.SHARED_PREFIX) == 1024
    assert outcome.counter("hbm_write") == 2 * FETCH
    assert outcome.counter("hbm_read") == 1024 * KIB + 6 * FETCH


@pytest.mark.parametrize(
    "policies",
    [{"shared_prefix": "pin"}, {"streaming": "bypass"}, {"metadata": "pin", "streaming": "bypass"}],
)
def test_warming_leaves_what_a_timed_lap_leaves(small: Hardware, policies: dict[str, str]) -> None:
    """A timed lap behind the warmed one finds what it would find behind a timed one: the same runs miss."""
    hw = keeping(small, **policies)
    lap = span(META, 256) + span(SHARED, 640) + span(STREAM, 1024)

    def warm(plane: MemoryPlane) -> None:
        plane.warm(lap)

    def warm_as_launch(plane: MemoryPlane) -> None:
        plane.warm_fetches(np.arange(len(lap)), np.zeros(len(lap), np.int64))

    once, twice = read(hw, lap), read(hw, 2 * lap)
    for prepare in (warm, warm_as_launch):
        warmed = read(hw, lap, prepare=prepare)
        for cls in DataClass:
            assert hits_kib(warmed, cls) == hits_kib(twice, cls) - hits_kib(once, cls)
    assert twice.counter("l2_hit") > 0


def shared_step() -> Step:
    """Two sequences of 64 tokens in pages of 16, of which the first 32 tokens are in common."""
    sets = ("workload.batch=2", "workload.context=64", "workload.page_tokens=16", "workload.shared_prefix=32")
    workload = load_workload("decode_16x8k", sets).spec
    return engine_step(workload, model_of(workload), 0)


def test_pages_of_two_sequences_are_a_shared_prefix_and_tables_are_metadata() -> None:
    step = shared_step()
    addresses = build_address_map(step, "HND", 4)
    regions = step_regions(step, addresses)
    frames = np.concatenate([step.table[step.table_ptr[s] : step.table_ptr[s + 1]] for s in range(2)])
    for part in addresses.parts[0]:
        size = part.token_bytes * addresses.heads * addresses.page_tokens
        expected = [DataClass.SHARED_PREFIX] * 2 + [DataClass.STREAMING] * 2
        for offset in (0, size - 1):
            at = part.base + addresses.rank[frames] * size + offset
            assert list(regions.classes_at(at)) == 2 * expected
    tables = np.array([addresses.table_base, addresses.directory_base, addresses.query_base - 1])
    assert set(regions.classes_at(tables)) == {DataClass.METADATA}
    others = np.array([addresses.query_base, addresses.output_base, addresses.partial_base])
    assert set(regions.classes_at(others)) == {DataClass.OTHER}


def decode_with_a_prefix(fidelity: str = "full", *sets: str) -> Result:
    """Four sequences of 256 tokens of their own behind 256 in common, 512 bytes each, before 256 KiB of L2."""
    hw = load_hardware(
        "h100_sxm",
        (
            "hw.sm.count=4",
            "hw.hbm.stacks=1",
            "hw.l2.capacity_mib=0.25",
            "hw.l2.slices=8",
            "hw.l2.partitions=1",
            "hw.l2.far_copies=false",
            "hw.l2.replacement=lru",
            *sets,
        ),
    ).spec
    workload = load_workload(
        "decode_16x8k",
        (
            "workload.model={layers: 2, q_heads: 8, kv_heads: 2, head_dim: 64, hidden: 512, ffn: 1024,"
            " vocab: 1000, weights_g: null}",
            "workload.batch=4",
            "workload.context=512",
            "workload.shared_prefix=256",
            "workload.page_tokens=16",
            "workload.kernel=fa3",
            "workload.mapping={tile_tokens: 64, stages: 2, splits: 2, ctas_per_sm: 1}",
        ),
    ).spec
    return simulate(hw, workload, fidelity=fidelity)


def test_a_pinned_prefix_of_a_batch_comes_from_memory_once() -> None:
    """All of a run: 256 tokens of 512 bytes miss, whatever streams past; without pins they miss more than once."""
    pinned = decode_with_a_prefix("full", "hw.l2.residency.shared_prefix=pin")
    counts = pinned.counters
    assert counts["l2_read_shared_prefix"] == 4 * 256 * 512
    assert counts["l2_read_streaming"] == 4 * 256 * 512
    assert counts["l2_read_shared_prefix"] - counts["l2_hit_shared_prefix"] == 256 * 512
    plain = decode_with_a_prefix()
    assert plain.counters["l2_miss"] > pinned.counters["l2_miss"]
    assert "l2_pins" not in plain.counters


def test_a_sampled_run_with_classes_of_data_runs_whole() -> None:
    sets = ("hw.l2.residency.streaming=bypass",)
    whole, sampled = decode_with_a_prefix("full", *sets), decode_with_a_prefix("sampled", *sets)
    assert sampled.time_ns == whole.time_ns
    assert sampled.counters == whole.counters
