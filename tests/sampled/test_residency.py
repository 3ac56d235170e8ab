"""What a sample finds in L2 when a launch is replayed warm, beside what the launch itself would have left there."""

import numpy as np
import pytest

from sim.attention_run import Task, build_launches, find_mapping, problem_of
from sim.cli.job import all_profiles, engine_step
from sim.coarse.estimate import attention_grid_of, build_coarse, coarse_time
from sim.coarse.shares import ONE
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.units import attention_units
from sim.machine import Machine, RunOptions, RunOutcome
from sim.memory.addresses import build_address_map
from sim.sampled.residency import found_before, resident_ranges
from sim.sampled.run import run_detail

FITS = ("workload.batch=4", "workload.context=1024", "workload.l2_state=warm")
OVERFLOWS = ("workload.batch=8", "workload.context=2048", "workload.l2_state=warm")


class Warm:
    """A warm kernel as both ways of warming see it."""

    def __init__(self, hardware: str, kernel: str, sets: tuple[str, ...]) -> None:
        sets = (*sets, f"workload.kernel={kernel}")
        hw, workload = load_hardware(hardware).spec, load_workload("decode_16x8k", sets).spec
        step = engine_step(workload, model_of(workload), 0, hw)
        task = Task(hw, workload, "gqa", step, all_profiles(workload))
        addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
        cut = find_mapping(task, addresses).candidate.cut
        self.problem, self.units = problem_of(task, addresses, cut), attention_units(step, cut)
        self.launches = build_launches(task, self.units, cut, addresses)

    def by_fetches(self) -> RunOutcome:
        """After the plane has walked all fetches of the launch (`MemoryPlane.warm_fetches`)."""
        options = RunOptions(self.problem.how, warm=True)
        return Machine(self.problem.hw, self.launches, options).run(self.problem.step.formats)

    def by_ranges(self) -> RunOutcome:
        """As a sample of all tiles, which start in L2."""
        launch = self.launches[0]
        return run_detail(
            self.problem, self.units, np.full(launch.tiles, ONE), np.full(launch.ctas.count, ONE)
        )


@pytest.mark.parametrize(
    ("hardware", "kernel"), [("h100_sxm", "fa3"), ("l40s", "fa2"), ("b200", "trtllm_gen")]
)
def test_a_warm_sample_finds_the_lines_that_the_launch_would_have_left(hardware: str, kernel: str) -> None:
    """Where all fits: the same hits, near and far, the same reads of memory, and so the same time to the bit."""
    warm = Warm(hardware, kernel, FITS)
    fetches, ranges = warm.by_fetches(), warm.by_ranges()
    assert fetches.counters["l2_hit"] > 0.99 * fetches.counters["l2_read"]
    for name in ("l2_read", "l2_hit", "l2_far", "hbm_read"):
        assert ranges.counters[name] == fetches.counters[name], name
    assert ranges.time_ps == fetches.time_ps


@pytest.mark.parametrize(("hardware", "kernel"), [("h100_sxm", "fa3"), ("a100_sxm_80gb", "fa2")])
def test_the_walk_at_tile_grain_finds_the_share_that_the_plane_finds(hardware: str, kernel: str) -> None:
    """At 1.3 and 1.6 times the capacity, where some is found and most is not."""
    warm = Warm(hardware, kernel, OVERFLOWS)
    counters = warm.by_fetches().counters
    grid = attention_grid_of(warm.problem, warm.units)
    hits = coarse_time(warm.problem, build_coarse(warm.problem, warm.units, grid)).attention.hits
    size = grid.tile_bytes
    found = float((size * (hits / ONE)).sum() / size.sum())
    assert found == pytest.approx(counters["l2_hit"] / counters["l2_read"], abs=0.05)


def test_a_reader_stands_for_its_partition() -> None:
    """Two partitions, to which SMs belong in turn: what either reads is left as read by its first one."""
    warm = Warm("h100_sxm", "fa3", FITS)
    launch = warm.launches[0]
    every = np.full(launch.tiles, ONE), np.full(launch.ctas.count, ONE)
    readers = resident_ranges(launch, *every, warm.problem.hw)[:, 2]
    assert set(readers.tolist()) == {0, 1}


def test_query_rows_are_resident_apart_from_the_tile_behind_them() -> None:
    warm = Warm("h100_sxm", "fa3", FITS)
    launch = warm.launches[0]
    tiles, ctas = np.zeros(launch.tiles, np.int64), np.full(launch.ctas.count, ONE)
    rows = resident_ranges(launch, tiles, ctas, warm.problem.hw)
    grid = attention_grid_of(warm.problem, warm.units)
    assert rows[:, 1].sum() == grid.query_bytes.sum()
    assert not len(resident_ranges(launch, tiles, 0 * ctas, warm.problem.hw))


def test_what_the_first_reader_brings_was_not_there_before() -> None:
    """Of object 0 one reader in each of two draws missed all, and of object 1, read once, a quarter was there."""
    objects, hits = np.array([0, 1, 0, 0, 2, 2]), np.array([ONE // 2, ONE // 4, ONE // 2, ONE, ONE, ONE])
    assert found_before(objects, hits).tolist() == [0, ONE // 4, ONE]
