"""Software pipelines in compiled code do what their definition says, instant by instant, however windows are cut."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import simpy
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.memory.pipelines import TileWork
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp
from tests.memory.conftest import table

BUFFER = 12_288
Int64 = NDArray[np.int64]


@dataclass
class Run:
    """A pipeline's record, when its fetches were asked for and here, when it was done."""

    tiles: Int64
    waits: Int64
    asked: Int64
    here: Int64
    done: int
    windows: int


def work_of(sizes: Int64, lines: Int64, durations: Int64, ctas: Int64) -> TileWork:
    none = np.full(len(sizes), -1)
    return TileWork(ctas, sizes, lines, durations, np.arange(len(sizes)), none, 0, BUFFER)


def run(hw: Hardware, work: TileWork, line_fetches: int, root: int = -1, scale: float = 1.0) -> Run:
    """One CTA on SM 0 beside one on SM 1, each through half of the tiles; then come the lines, then the root."""
    tiles = len(work.bytes)
    runs = [[(tile * 16384, int(size))] for tile, size in enumerate(work.bytes)]
    runs += [[(1 << 28 | line * 8192, 128)] for line in range(line_fetches)]
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, hw, table(runs), window_scale=scale)
    plane.load_tiles(work)
    half = tiles // 2
    last = tiles + line_fetches - 1 - (root >= 0)
    done = plane.run_tiles(0, (0, half), root, last if line_fetches else -1)
    plane.run_tiles(1, (half, tiles), -1, -1)
    env.run(until=done)
    end = int(env.now)
    env.run()
    computed, waits = plane.take_tiles()
    stamps = plane.stamps
    mine = computed[computed[:, 0] == 0, 1:]
    asked, here = stamps[:, Stamp.SUBMIT], stamps[:, Stamp.SM_ARRIVE]
    return Run(mine, waits[waits[:, 0] == 0], asked, here, end, plane.windows)


def example(seed: int, lined: bool) -> tuple[TileWork, int]:
    """40 tiles of random bytes and durations; the first 20, those of SM 0, on five lines of four tiles each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, BUFFER // 32 + 1, 40) * 32
    lines = np.where(np.arange(40) < 20, 40 + np.arange(40) // 4, -1) if lined else np.full(40, -1)
    durations = rng.integers(1, 900, 40) * 1000
    return work_of(sizes, lines, durations, np.array([0, 20, 40])), 5 if lined else 0


def has_room(tile: int, at: int, work: TileWork, ends: Int64) -> bool:
    held = int(work.bytes[:tile][ends[:tile] > at].sum())
    return held == 0 or held + int(work.bytes[tile]) <= BUFFER


def room_from(tile: int, since: int, work: TileWork, ends: Int64) -> int:
    """The first instant from `since` on at which a tile fits: tried at every end of a tile before it."""
    instants = [since, *(int(end) for end in ends[:tile] if end > since)]
    return min(at for at in instants if has_room(tile, at, work, ends))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lined", [False, True])
def test_tiles_are_asked_for_and_computed_when_the_definition_says(
    small: Hardware, seed: int, lined: bool
) -> None:
    """From when fetches are here everything else follows, tile after tile and by itself."""
    work, line_fetches = example(seed, lined)
    seen = run(small, work, line_fetches)
    fetch, since, begin, starved, chain = seen.tiles.T
    assert fetch.tolist() == chain.tolist() == list(range(20))
    ends = begin + work.duration_ps[:20]
    asked, here = seen.asked, seen.here
    room = [0]
    for tile in range(1, 20):
        room.append(room_from(tile, int(asked[tile - 1]), work, ends))
    opens = here[work.line[:20]] if lined else np.zeros(20, np.int64)
    assert asked[:20].tolist() == np.maximum(room, opens).tolist()
    for line in range(line_fetches):  # with the line before, the first of all with the first tile
        assert asked[40 + line] == room[max(0, line - 1) * 4]
    free = np.concatenate([[0], ends[:-1]])
    ready = np.maximum(
        free, np.where(asked[:20] > free, opens, 0)
    )  # nothing can be computed behind a shut gate
    assert since.tolist() == ready.tolist()
    assert begin.tolist() == np.maximum(since, here[:20]).tolist()
    following = [int((asked[:20] <= at).sum()) for at in since]
    assert starved.tolist() == [int(n < 20 and room[n] > at) for n, at in zip(following, since, strict=True)]
    shut = np.flatnonzero(since > free)
    assert seen.waits[:, 2:].tolist() == np.stack([free, since], axis=1)[shut].tolist()
    assert seen.done == ends[-1]


def test_a_root_comes_before_the_lines_that_it_names(small: Hardware) -> None:
    work, _ = example(0, lined=True)
    seen = run(small, work, 6, root=45)
    assert seen.asked[45] == 0
    assert seen.asked[40] == seen.asked[41] == seen.here[45] > 0
    assert seen.asked[0] == seen.here[40]
    gates = [[0, 1, 0, seen.here[45]], [0, 1, seen.here[45], seen.here[40]]]
    assert seen.waits[:2].tolist() == gates


@pytest.mark.parametrize("lined", [False, True])
def test_shorter_windows_change_nothing_but_their_number(small: Hardware, lined: bool) -> None:
    work, line_fetches = example(5, lined)
    runs = [run(small, work, line_fetches, scale=scale) for scale in (1, 1 / 2, 1 / 7)]
    assert runs[0].windows < runs[1].windows < runs[2].windows
    for other in runs[1:]:
        assert other.done == runs[0].done
        for name in ("tiles", "waits", "asked", "here"):
            assert np.array_equal(getattr(other, name), getattr(runs[0], name)), name


def test_compiled_pipelines_do_what_their_plain_twin_does(small: Hardware, repo: Path) -> None:
    from tests.memory.pipeline_twin import digest, plain_digest

    assert digest(small, 6) == plain_digest(small, 6, repo)


def test_what_a_tile_writes_is_asked_for_when_it_is_computed(small: Hardware) -> None:
    """Two tiles of 1 us each, of which the second writes what the third fetch is."""
    work = TileWork(
        *(np.array([0, 2]), np.full(2, 2048), np.full(2, -1), np.full(2, 1_000_000), np.zeros(2, np.int64)),
        *(np.array([-1, 2]), 0, BUFFER),
    )
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, small, table([[(0, 2048)], [(8192, 2048)], [(1 << 20, 512)]], writes=[2]))
    plane.load_tiles(work)
    done = plane.run_tiles(0, (0, 2), -1, -1)
    env.run()
    tiles, _ = plane.take_tiles()
    assert done.processed
    assert plane.stamps[2, Stamp.SUBMIT] == tiles[1, 3] + 1_000_000
    assert tiles[1, 3] == tiles[0, 3] + 1_000_000
    assert plane.counters["l2_write"] == 512
