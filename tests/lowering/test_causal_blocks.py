"""A causal mask cuts off whole KV blocks of a kernel's loop, not parts of them."""

from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_profile
from sim.lowering.attention_tiles import tile_counts
from sim.lowering.cut import Cut
from sim.lowering.units import Units, attention_units


def units_of(context: int, **changes: Any) -> tuple[Units, Cut]:
    """Prefill of one sequence and one head by CTAs of 64 rows, in tiles of 64 tokens."""
    lengths = np.array([context], np.int32)
    step = make_step(Batch("prefill", Geometry(1, 1, 128, 128), lengths, lengths, 16), 0)
    found = load_profile("fa2_paged_prefill").model_dump()
    cut = Cut(KernelProfile.model_validate(found | changes), 64, 2, 1, 1, 1)
    return attention_units(step, cut), cut


def test_blocks_of_two_tiles_are_whole_ones_by_hand() -> None:
    plain, cut = units_of(512, block_tiles=1)
    assert sorted(tile_counts(plain, cut)) == [1, 2, 3, 4, 5, 6, 7, 8]
    paired, cut = units_of(512, block_tiles=2)
    assert sorted(tile_counts(paired, cut)) == [2, 2, 4, 4, 6, 6, 8, 8]


@pytest.mark.parametrize("tokens", [512, 2048, 8192])
def test_half_a_block_is_wasted_on_average_where_a_cta_has_half_a_block_of_rows(tokens: int) -> None:
    """Blocks b, rows m: (b - m) / 2 tokens of (tokens + m) / 2."""
    tiles = [int(tile_counts(*units_of(tokens, block_tiles=n)).sum()) for n in (1, 2)]
    assert tiles[1] / tiles[0] == pytest.approx(1 + (128 - 64) / (tokens + 64))


def test_there_is_nothing_to_read_beyond_the_last_token() -> None:
    units, _ = units_of(480)
    assert int(units.hi.max()) == 480
    assert sorted(units.hi.tolist()) == [128, 128, 256, 256, 384, 384, 480, 480]
