"""Mappings: what fits is decided by arithmetic, and more SRAM only adds choices."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.attention_run import searched
from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.config.load import load_hardware, load_profile
from sim.config.workload import Mapping
from sim.lowering.candidates import candidates
from sim.lowering.cut import Cut
from sim.lowering.occupancy import TileShape, footprint
from sim.lowering.units import attention_units, start_order

FA3 = searched(load_profile("fa3"))


def step_of(contexts: list[int], q_len: int = 1, phase: str = "decode") -> Step:
    lengths = np.array(contexts, np.int32)
    shape = Geometry(64, 8, 128, 128)
    batch = Batch(phase, shape, lengths, np.full(len(lengths), q_len, np.int32), 64, page_order="sequential")
    return make_step(batch, 0)


def cut(**changes: Any) -> Cut:
    base: dict[str, Any] = {
        "tile_tokens": 128,
        "stages": 2,
        "splits": 1,
        "ctas_per_sm": 1,
        "kv_heads_per_cta": 1,
    }
    return Cut(FA3, **base | changes)


def test_a_larger_sram_offers_all_mappings_of_a_smaller_one_first() -> None:
    step, before = step_of([8192] * 4), []
    for kib in (228, 512, 1024, 2048):
        hw = load_hardware("h200_sxm", (f"hw.sm.sram_kib={kib}",)).spec
        cuts = [c.cut for c in candidates(step, [FA3], None, hw, 4)]
        assert cuts[: len(before)] == before
        assert len(cuts) > len(before)
        before = cuts


def test_fixed_parts_of_a_mapping_are_kept() -> None:
    fixed = Mapping(tile_tokens=64, splits=3)
    for found in candidates(step_of([8192]), [FA3], fixed, load_hardware("h100_sxm").spec, 4):
        assert (found.cut.tile_tokens, found.cut.splits) == (64, 3)


def test_the_storage_of_a_cta_is_the_sum_of_its_parts() -> None:
    found = candidates(
        step_of([8192]), [FA3], Mapping(tile_tokens=128, stages=2), load_hardware("h100_sxm").spec, 4
    )
    fits = found[0].footprint
    # K and V of 128 tokens x 128 values x 2 B are 64 KiB; 64 padded rows of Q 16 KiB; 1 KiB is the system's.
    assert fits.stage_bytes == 64 * 1024
    assert fits.query_bytes == 16 * 1024
    assert fits.sram_bytes == (2 * 64 + 16 + 1) * 1024 + fits.table_bytes
    assert fits.fit_sram == 1


@pytest.mark.parametrize(("rows", "fit"), [(16, 1), (32, 1), (64, 0)])
def test_a_cta_of_all_kv_heads_accumulates_the_output_of_all_of_them(rows: int, fit: int) -> None:
    # FP32: rows x (8 heads x 128 values + 64 scores of a tile of 128) x 4 B are 68, 136 and 272 KiB; 16 warps x 32 x
    # 128 registers x 4 B are 256 KiB, all that an H100's SM has.
    shape = TileShape(rows, 128, 8, 128, 128, False, ("int4",), 64, 4)
    found = footprint(shape, 1, load_profile("expand_sram"), load_hardware("h100_sxm").spec.sm)
    assert found.fit_registers == fit
    assert found.register_bytes == max(256, rows * (8 * 128 + 64) * 4 // 1024) * 1024


@pytest.mark.parametrize("splits", [1, 3, 8])
def test_ctas_cover_every_token_of_every_head_exactly_once(splits: int) -> None:
    step = step_of([8192, 1000, 129])
    units = attention_units(step, cut(splits=splits))
    for sequence, context in enumerate(step.context.tolist()):
        for head in range(8):
            mine = np.flatnonzero((units.sequence == sequence) & (units.head == head))
            spans = sorted(zip(units.lo[mine].tolist(), units.hi[mine].tolist(), strict=True))
            assert spans[0][0] == 0
            assert spans[-1][1] == context
            assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_a_ragged_batch_is_cut_into_chunks_of_one_length() -> None:
    units = attention_units(step_of([8192, 1000]), cut(splits=8))
    assert set((units.hi - units.lo)[units.sequence == 0].tolist()) == {1024}
    assert (units.sequence == 1).sum() == 8


def test_prefill_blocks_see_only_the_keys_before_them() -> None:
    units = attention_units(step_of([256], q_len=256, phase="prefill"), cut())
    # 8 query heads share a CTA of 64 rows: 8 tokens a block.
    assert (units.hi == units.q_first + units.q_count).all()
    assert (units.rows == 64).all()
    assert len(units.hi) == 8 * 256 // 8


def test_query_blocks_see_up_to_their_last_row_or_without_causality_everything() -> None:
    # 64-row blocks of 8 query heads are 8 tokens: 5 blocks of 40 new tokens, after 60 old ones.
    step = step_of([100], q_len=40, phase="prefill")
    causal = attention_units(step, cut())
    assert sorted(set(causal.hi.tolist())) == [68, 76, 84, 92, 100]
    open_step = replace(step, geometry=replace(step.geometry, causal=False))
    assert set(attention_units(open_step, cut()).hi.tolist()) == {100}


def test_a_kernel_as_it_is_has_one_mapping_its_first_tile_and_its_own_splits() -> None:
    found = candidates(step_of([8192]), [load_profile("fa3")], None, load_hardware("h100_sxm").spec, 4)
    assert len(found) == 1
    # 64 tiles of 8 heads: 512 x 1.1 / 132 is 5 tiles a CTA, 13 splits.
    taken = found[0].cut
    assert (taken.tile_tokens, taken.stages, taken.ctas_per_sm, taken.splits) == (128, 2, 1, 13)
    units = attention_units(step_of([8192]), taken)
    assert len(units.lo) == 8 * 13
    assert (units.hi - units.lo).max() == 5 * 128


def test_a_smaller_tile_is_taken_where_sram_is_short_of_the_ctas_it_is_built_for() -> None:
    # FlashInfer plans two CTAs per SM; K and V of 64 tokens in two buffers are 64 KiB each, Ada has 100 KiB.
    tiles = {}
    for hw in ("h100_sxm", "l40s"):
        found = candidates(step_of([8192]), [load_profile("flashinfer")], None, load_hardware(hw).spec, 4)
        tiles[hw] = (found[0].cut.tile_tokens, found[0].cut.ctas_per_sm)
    assert tiles == {"h100_sxm": (64, 2), "l40s": (32, 2)}


def test_own_splits_of_a_ragged_batch_cover_every_token_once() -> None:
    step = step_of([32768, 1000, 129, 1])
    for name in ("fa2", "fa3", "xqa", "flashinfer", "triton_sglang", "triton_vllm"):
        hw = load_hardware("h100_sxm").spec
        units = attention_units(step, candidates(step, [load_profile(name)], None, hw, 4)[0].cut)
        for sequence, context in enumerate(step.context.tolist()):
            mine = np.flatnonzero((units.sequence == sequence) & (units.head == 3))
            spans = sorted(zip(units.lo[mine].tolist(), units.hi[mine].tolist(), strict=True))
            assert spans[0][0] == 0, name
            assert spans[-1][1] == context, name
            assert all(a[1] == b[0] for a, b in pairwise(spans)), name


def test_free_splits_fill_one_or_two_waves_and_begin_no_other() -> None:
    # 3 sequences x 8 heads on 304 SMs: 12.7 and 25.3 splits fill one wave and two; 13 of 63 tiles made 312 CTAs.
    hw = load_hardware("mi300x").spec
    found = candidates(step_of([2000] * 3), [load_profile("register_decode")], None, hw, 4)
    alone = {c.cut.splits for c in found if c.cut.ctas_per_sm == 1 and c.cut.tile_tokens == 32}
    assert alone == {1, 12, 15}  # 15 chunks of 128 tokens at most


def test_splits_of_the_user_come_before_the_rule() -> None:
    found = candidates(
        step_of([8192]), [load_profile("fa3")], Mapping(splits=3), load_hardware("h100_sxm").spec, 4
    )
    assert [c.cut.splits for c in found] == [3]
    assert found[0].cut.chunks == ()


def test_grid_orders_name_their_slowest_index_first() -> None:
    units = attention_units(step_of([512, 512]), cut(splits=2))
    firsts = {}
    for name in ("seq_head_split", "head_seq_split", "split_seq_head", "split_head_seq"):
        first = start_order(units, name)[:2]
        firsts[name] = [(units.sequence[i], units.head[i], units.split[i]) for i in first]
    assert firsts == {
        "seq_head_split": [(0, 0, 0), (0, 0, 1)],
        "head_seq_split": [(0, 0, 0), (0, 0, 1)],
        "split_seq_head": [(0, 0, 0), (0, 1, 0)],
        "split_head_seq": [(0, 0, 0), (1, 0, 0)],
    }
    third = start_order(units, "head_seq_split")[2]
    assert (units.sequence[third], units.head[third], units.split[third]) == (1, 0, 0)


def test_the_draft_tokens_of_a_sequence_share_a_cta_with_their_heads() -> None:
    # Verification of 4 tokens: 4 x 8 query heads of a KV head are 32 rows of one CTA, and the KV is read once.
    units = attention_units(step_of([8192], q_len=4, phase="verify"), cut())
    assert units.rows.tolist() == [32] * 8
    assert (units.hi - units.lo).tolist() == [8192] * 8


def test_a_searched_style_is_not_charged_for_the_code_of_an_implementation() -> None:
    assert load_profile("fa3").code_trips > USUAL_CODE_TRIPS
    assert FA3.code_trips == USUAL_CODE_TRIPS
