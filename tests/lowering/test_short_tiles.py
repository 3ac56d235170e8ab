"""Short tiles are computed whole, reductions merge the rows of their kernel, and latency is hidden by other CTAs."""

from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.attention_run import Task, estimate_ns
from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile, load_workload
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.combine import build_combine
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map

A100 = load_hardware("a100_sxm_80gb").spec
LOOK_UP = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)
QUERY_HEADS, KV_HEADS, DIM = 32, 8, 128


def profile_with(**changes: Any) -> KernelProfile:
    return KernelProfile.model_validate(load_profile("fa2").model_dump() | changes)


def step_of(context: int, batch: int = 1) -> Step:
    lengths = np.full(batch, context, np.int32)
    geometry = Geometry(QUERY_HEADS, KV_HEADS, DIM, DIM)
    return make_step(Batch("decode", geometry, lengths, np.ones(batch, np.int32), 16), 0)


def cut_of(step: Step, profile: KernelProfile, hw: Hardware = A100) -> Cut:
    return candidates(step, [profile], None, hw, 4)[0].cut


@pytest.mark.parametrize("context", [16, 33, 64])
def test_a_short_tile_brings_its_own_tokens_and_computes_all_of_a_tile(context: int) -> None:
    step = step_of(context)
    cut = cut_of(step, profile_with(tile_tokens=[64]))
    launch = build_attention(
        step, attention_units(step, cut), cut, A100, build_address_map(step, "NHD", 4), LOOK_UP
    )
    work = launch.work
    # 64 rows (m_align) by 64 tokens by 128 dimensions; K and V of the tokens that are there, in 16 bit.
    assert (work.qk_flops == 2 * 64 * 64 * DIM).all()
    assert (work.exps == 64 * 64).all()
    assert (work.tokens == context).all()
    assert (work.packed_bytes == 2 * context * DIM * 2).all()


@pytest.mark.parametrize(
    ("context", "read"), [(1, [16]), (16, [16]), (60, [64]), (64, [64]), (100, [64, 48]), (128, [64, 64])]
)
def test_boxes_of_a_page_bring_the_last_page_whole(context: int, read: list[int]) -> None:
    """Pages of 16 tokens, tiles of 64."""
    step = step_of(context)
    cut = cut_of(step, profile_with(tile_tokens=[64], split={"rule": "none"}, last_block="pages"))
    addresses = build_address_map(step, "NHD", 4)
    launch = build_attention(step, attention_units(step, cut), cut, A100, addresses, LOOK_UP)
    per_token = 2 * DIM * 2
    assert (launch.work.packed_bytes.reshape(KV_HEADS, -1) == np.array(read) * per_token).all()
    assert launch.work.tokens.sum() == KV_HEADS * context
    fetched = launch.fetches.run_bytes[: launch.fetches.run_ptr[len(launch.work.tokens)]].sum()
    assert fetched == KV_HEADS * sum(read) * per_token + QUERY_HEADS * DIM * 2


def test_boxes_go_no_further_than_their_tile() -> None:
    """Pages of 16 tokens and tiles of 24: 8 of the second page belong to the second tile."""
    step = step_of(30)
    cut = cut_of(step, profile_with(tile_tokens=[24], split={"rule": "none"}, last_block="pages"))
    addresses = build_address_map(step, "NHD", 4)
    work = build_attention(step, attention_units(step, cut), cut, A100, addresses, LOOK_UP).work
    assert (work.packed_bytes.reshape(KV_HEADS, 2) == np.array([24, 8]) * 2 * DIM * 2).all()


def whole_blocks(context: int, batch: int, tile: int, block_tiles: int) -> Launch:
    """Unsplit attention that loads its last KV block whole."""
    step = step_of(context, batch)
    changes = {"tile_tokens": [tile], "block_tiles": block_tiles, "split": {"rule": "none"}}
    cut = cut_of(step, profile_with(**changes, last_block="whole"))
    addresses = build_address_map(step, "HND", 4)
    return build_attention(step, attention_units(step, cut), cut, A100, addresses, LOOK_UP)


@pytest.mark.parametrize(
    ("context", "tile", "block_tiles", "tokens"),
    [(2, 64, 1, [2]), (2, 64, 2, [2, 0]), (64, 64, 2, [64, 0]), (130, 64, 2, [64, 64, 2, 0])],
)
def test_a_last_block_that_is_loaded_whole(
    context: int, tile: int, block_tiles: int, tokens: list[int]
) -> None:
    work = whole_blocks(context, 2, tile, block_tiles).work
    assert (work.tokens.reshape(2 * KV_HEADS, -1) == np.array(tokens)).all()
    # Every tile brings K and V of `tile` tokens, in 16 bit, whatever is left of the context.
    assert (work.packed_bytes == 2 * tile * DIM * 2).all()
    assert (work.computed == tile).all()


def test_what_lies_past_the_last_page_is_the_next_entry_of_the_table() -> None:
    """Contexts of one page of 16 tokens, tiles of 32: the second page of a tile is the first one of the next sequence;
    past the last sequence it is the last entry again."""
    launch = whole_blocks(16, 3, 32, 1)
    page_bytes = 16 * DIM * 2
    runs = launch.fetches.run_addr, launch.fetches.run_bytes
    of_tile = [slice(*launch.fetches.run_ptr[t : t + 2]) for t in range(3 * KV_HEADS)]
    # After the query rows: two pages of K, two of V.
    keys = [runs[0][part][runs[1][part] == page_bytes][:2].tolist() for part in of_tile]
    for head in range(KV_HEADS):
        first, second, third = (keys[sequence * KV_HEADS + head] for sequence in range(3))
        assert [first[1], second[1], third[1]] == [second[0], third[0], third[0]]


@pytest.mark.parametrize(("rows", "ctas"), [(1, 32), (2, 16), (3, 16), (4, 8), (8, 8)])
def test_a_reduction_has_a_cta_for_so_many_rows_of_a_group(rows: int, ctas: int) -> None:
    # 8 KV heads with 4 query heads each: a CTA merges rows of one KV head only.
    step = step_of(8192)
    cut = cut_of(step, profile_with(combine_rows=rows))
    assert cut.splits > 1
    launch = build_combine(step, attention_units(step, cut), cut, build_address_map(step, "NHD", 4))
    assert launch is not None
    assert launch.ctas.count == ctas


def on_one_and_on_eight_sms(**clocks: float) -> tuple[float, float]:
    """Clocks of a launch of eight CTAs on one SM, which holds two of them, and on eight SMs."""
    none = dict.fromkeys(("prologue_clk", "epilogue_clk", "tile_issue_clk", "barrier_clk"), 0.0)
    profile = profile_with(**(none | {"softmax_ops_per_score": 0.0, "tile_tokens": [64]} | clocks))
    workload = load_workload("decode_16x8k", ("workload.batch=1", "workload.context=64")).spec
    step, times = step_of(64), []
    for sms in (1, 8):
        hw = A100.model_copy(update={"sm": A100.sm.model_copy(update={"count": sms})})
        cut = cut_of(step, profile, hw)
        assert (cut.ctas_per_sm, cut.splits) == (2, 1)
        task = Task(hw, workload, "gqa", step, [profile])
        times.append(estimate_ns(task, build_address_map(step, "NHD", 4), cut) * hw.sm.clock_ghz)
    return times[0], times[1]


@pytest.mark.parametrize(
    ("key", "rounds"),
    [("tile_issue_clk", 8), ("barrier_clk", 4), ("epilogue_clk", 4)],
)
def test_ctas_of_an_sm_take_turns_at_issue_and_wait_together(key: str, rounds: int) -> None:
    # One tile each: eight turns at the issue slots, or four rounds of two CTAs that wait side by side.
    long = 1_000_000.0  # beside which loads do not count
    plain, apart = on_one_and_on_eight_sms()
    together, alone = on_one_and_on_eight_sms(**{key: long})
    assert together - plain == pytest.approx(rounds * long, rel=0.01)
    assert alone - apart == pytest.approx(long, rel=0.01)
