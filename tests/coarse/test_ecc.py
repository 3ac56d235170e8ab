"""Inline ECC at tile grain: the blocks that a tile's pieces touch, by hand, and their time on the memory's bus."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from sim.attention_run import Task, problem_of
from sim.cli.job import all_profiles, engine_step
from sim.coarse import columns as c
from sim.coarse import state as layout
from sim.coarse.ecc import further_check_bits, without_check_bits
from sim.coarse.estimate import attention_grid_of
from sim.coarse.shares import ONE
from sim.coarse.shortened import shorten
from sim.config.load import load_hardware, load_workload, model_of
from sim.lowering.candidates import candidates
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map
from tests.coarse.test_loop import BYTES, NOTHING, finished, q16, run
from tests.memory.conftest import table

L40S = load_hardware("l40s", ("hw.hbm.inline_ecc_bytes=512",)).spec
Runs = list[tuple[int, int]]


def beyond_a_stream(*fetches: Runs, block: int = 512) -> list[float]:
    """Of each fetch, in accesses of 32 B: data and check bits over data and a 16th of it, less 1."""
    hbm = L40S.hbm.model_copy(update={"inline_ecc_bytes": block})
    launch = SimpleNamespace(fetches=table(fetches))
    found = further_check_bits(cast("Any", launch), L40S.model_copy(update={"hbm": hbm}))
    return [float(share) / ONE for share in found]


@pytest.mark.parametrize(
    ("runs", "accesses", "blocks"),
    [
        ([(0, 16384)], 512, 32),  # whole blocks: a stream
        ([(2048 * i, 256) for i in range(64)], 8 * 64, 64),  # heads of 256 B: half of a block each
        ([(1024 * i, 128) for i in range(64)], 4 * 64, 64),
        ([(256, 512)], 16, 2),  # across a boundary
        ([(0, 256), (256, 256)], 16, 1),  # two pieces of one block, one after the other
    ],
)
def test_a_fetch_costs_an_access_for_each_block_that_it_touches(
    runs: Runs, accesses: int, blocks: int
) -> None:
    expected = (accesses + blocks) / (accesses * 17 / 16) - 1
    assert beyond_a_stream(runs) == [pytest.approx(expected, abs=1e-5)]


def test_a_fetch_is_taken_by_itself_and_without_inline_ecc_there_are_no_check_bits() -> None:
    halves: tuple[Runs, Runs] = [(0, 256)], [(256, 256)]
    assert beyond_a_stream(*halves) == [pytest.approx(9 / 8.5 - 1, abs=1e-5)] * 2
    assert beyond_a_stream(*halves, block=0) == [0, 0]


def test_memory_takes_longer_by_the_check_bits_of_what_is_missing() -> None:
    """A quarter of 64 tiles is missing, at 0.5 ps a byte, and half as much again is check bits."""
    tile = {**NOTHING, c.BYTES: BYTES, c.CHECK_BITS: ONE // 2}
    assert run({c.HBM_Q16: q16(0.5)}, tile, [64], hit=0.75) == 1.5 * 64 * BYTES // 8


@pytest.mark.parametrize(
    ("blocks", "held", "readers"), [([0, 0, 0, 0], 10**9, 1), ([-1] * 4, 10**9, 4), ([0, 0, 0, 0], -1, 4)]
)
def test_heads_that_read_the_same_blocks_at_once_read_their_check_bits_once(
    blocks: list[int], held: int, readers: int
) -> None:
    """Four SMs, a tile each of 128 B pieces in the same blocks: all data, and the check bits of `readers` of them. The
    rate of a stream is 17 accesses for 16 of data; a tile by itself has one of check bits for 4 of data.
    """
    alone = beyond_a_stream([(1024 * i, 128) for i in range(64)])[0]
    scalars = {c.SMS: 4, c.HBM_Q16: q16(17.0), c.CHECKS_HELD: held, c.NO_CHECK_BITS: without_check_bits(L40S)}
    tile = {**NOTHING, c.BYTES: BYTES, c.CHECK_BITS: round(alone * ONE)}
    state = finished(scalars, tile, [1] * 4, [0.0] * 4, [0, 1, 2, 3], blocks=blocks)
    assert state.g[layout.G_END] == pytest.approx(16 * BYTES * (4 + readers / 4), rel=1e-3)


@pytest.mark.parametrize(
    ("layout_", "block", "heads"), [("NHD", 512, 2), ("NHD", 1024, 4), ("HND", 512, 0), ("NHD", 0, 0)]
)
def test_tiles_of_neighbouring_heads_share_blocks_where_tokens_come_before_heads(
    layout_: str, block: int, heads: int
) -> None:
    """8 heads of 256 B a token: a block of 512 B holds two of them. Every group is a tile of each of its heads."""
    hw = L40S.model_copy(update={"hbm": L40S.hbm.model_copy(update={"inline_ecc_bytes": block})})
    sets = (f"workload.layout={layout_}", "workload.batch=2", "workload.context=2048")
    workload = load_workload("decode_16x8k", sets).spec
    step = engine_step(workload, model_of(workload), 0, hw)
    profiles = [p for p in all_profiles(workload) if p.name == "fa2"]
    cut = candidates(step, profiles, None, hw, workload.table_entry_bytes)[0].cut
    addresses = build_address_map(step, workload.layout, workload.table_entry_bytes)
    units = attention_units(step, cut)
    grid = attention_grid_of(problem_of(Task(hw, workload, "gqa", step, profiles), addresses, cut), units)
    assert len(grid.blocks) == grid.tiles
    if not heads:
        assert (grid.blocks == -1).all()
        return
    head = np.repeat(units.head, np.diff(grid.tile_ptr))
    assert (np.bincount(grid.blocks) == heads).all()
    for group in range(int(grid.blocks.max()) + 1):
        found = np.sort(head[grid.blocks == group])
        assert found[0] % heads == 0
        assert (np.diff(found) == 1).all()
    form = shorten(grid, 0.5)
    assert (form.blocks[form.tile_ptr[:-1]] == grid.blocks[grid.tile_ptr[:-1]]).all()
