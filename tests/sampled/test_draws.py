"""The mean of some draws at tile grain, and their scatter."""

from dataclasses import replace

import numpy as np
import pytest

from sim.coarse.estimate import Coarse, CoarseTime, Problem
from sim.coarse.machine import Memory, Timing
from sim.sampled import draws
from sim.sampled.draws import SEEDS, drawn_time, mean_timing


def timing(end: int, consumed: list[int], hits: list[int]) -> Timing:
    return Timing(
        start=0,
        end=end,
        consumed=np.array(consumed, np.int64),
        hits=np.array(hits, np.int64),
        query_hits=np.array([hits[0]], np.int64),
        memory_ps=end // 2,
        written=0,
        idle=end // 4,
    )


def test_draws_are_averaged_field_by_field() -> None:
    mean = mean_timing([timing(100, [10, 40], [0, 65_536]), timing(140, [20, 60], [0, 0])])
    assert (mean.end, mean.memory_ps, mean.idle) == (120, 60, 30)
    assert mean.consumed.tolist() == [15, 50]
    assert mean.hits.tolist() == [0, 32_768]


def test_the_first_stands_for_all_where_some_ran_in_short_forms() -> None:
    mean = mean_timing([timing(100, [10, 40], [0, 0]), timing(102, [10, 20, 40], [0, 0])])
    assert mean.consumed.tolist() == [10, 40]
    assert mean.end == 101


class Grid:
    def __init__(self, tiles: int) -> None:
        self.tiles = tiles


@pytest.mark.parametrize(("tiles", "runs"), [(10, 3), (50_000, 2), (1_000_000, 1)])
def test_each_seed_runs_once_as_far_as_tiles_allow(
    tiles: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends of 100, 104 and 108 ps scatter by 4."""
    seen: list[int] = []

    def run(problem: Problem, _: Coarse) -> CoarseTime:
        seen.append(problem.memory.seed)
        end = 96 + 4 * len(seen)
        return CoarseTime(timing(end, [1], [0]), end)

    monkeypatch.setattr(draws, "coarse_time", run)
    problem = Problem(*[None] * 6, memory=Memory(), look_up=None)  # type: ignore[arg-type]
    found = drawn_time(problem, Coarse(Grid(tiles), None, None))  # type: ignore[arg-type]
    assert seen == list(SEEDS[:runs])
    assert found.time.end_ps == 98 + 2 * runs
    assert found.scatter_ps == pytest.approx({3: 4, 2: 8**0.5, 1: 0}[runs])
    assert problem == replace(problem, memory=Memory())
