"""What a run keeps beside its launch does not grow with the number of its tiles."""

from collections.abc import Callable

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.machine import Machine
from sim.memory import build
from sim.memory.plane import MemoryPlane

CUT = "workload.mapping={tile_tokens: 64, stages: 2, splits: 1, ctas_per_sm: %d}"
KERNELS = {"one CTA an SM": ("fa3", 1), "two CTAs an SM": ("fa2", 2)}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], tuple[int, int, int]]:
    """Tiles, rows of the plane's pool, cells of the SMs' records at their most, in a run of so many tokens."""
    monkeypatch.setattr(build, "FIRST_POOL", 256)
    monkeypatch.setattr(build, "KEPT_ROWS", 256)
    monkeypatch.setattr(build, "first_rows", lambda _parameters: 256)

    def run(kernel: str, context: int) -> tuple[int, int, int]:
        name, ctas = KERNELS[kernel]
        sets = ("workload.batch=2", f"workload.context={context}", f"workload.kernel={name}", CUT % ctas)
        seen: list[tuple[int, int]] = []
        make_room = MemoryPlane._make_room

        def noted(plane: MemoryPlane, rows: int) -> None:
            machine = getattr(plane._reclaim, "__self__", None)
            if isinstance(machine, Machine):
                tiles = 0 if plane._pipelines is None else plane._pipelines.recorded
                cells = 5 * tiles + sum(len(sm.recorder.seen) for sm in machine._sms)
                seen.append((build.pool_rows(plane._memory), cells))
            make_room(plane, rows)

        with monkeypatch.context() as patch:
            patch.setattr(MemoryPlane, "_make_room", noted)
            result = simulate(load_hardware("h100_sxm").spec, load_workload("decode_64x8k", sets).spec)
        return int(result.counters["tiles"]), max(rows for rows, _ in seen), max(cells for _, cells in seen)

    return run


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_of_the_plane_and_records_of_sms_follow_what_is_under_way(
    kernel: str, kept: Callable[[str, int], tuple[int, int, int]]
) -> None:
    tiles, rows, cells = kept(kernel, 8192)
    more_tiles, more_rows, more_cells = kept(kernel, 32768)
    assert (tiles, more_tiles) == (16 * 128, 16 * 512)
    assert more_rows == rows < more_tiles
    assert more_cells < 2 * cells
