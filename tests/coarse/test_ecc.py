"""Inline ECC at tile grain: the blocks that a tile's pieces touch, by hand, and their time on the memory's bus."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from sim.coarse import columns as c
from sim.coarse.ecc import ONE, further_check_bits
from sim.config.load import load_hardware
from tests.coarse.test_loop import BYTES, NOTHING, q16, run
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


def test_fetches_do_not_share_check_bits_and_without_inline_ecc_there_are_none() -> None:
    halves: tuple[Runs, Runs] = [(0, 256)], [(256, 256)]
    assert beyond_a_stream(*halves) == [pytest.approx(9 / 8.5 - 1, abs=1e-5)] * 2
    assert beyond_a_stream(*halves, block=0) == [0, 0]


def test_memory_takes_longer_by_the_check_bits_of_what_is_missing() -> None:
    """A quarter of 64 tiles is missing, at 0.5 ps a byte, and half as much again is check bits."""
    tile = {**NOTHING, c.BYTES: BYTES, c.CHECK_BITS: ONE // 2}
    assert run({c.HBM_Q16: q16(0.5)}, tile, [64], hit=0.75) == 1.5 * 64 * BYTES // 8
