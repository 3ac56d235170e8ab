"""FlashInfer's decode without tensor cores: what a loop of its CTAs takes, alone and beside others."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_profile
from tests.validation.rows import mapped_row

SLOTS = 49 * 16 / 32  # issue slots of a head and token: 49 instructions of 16 threads, in warps of 32
REACHED = 2.92  # of four slots a clock, with groups of two to four heads; the others are told with all four
CHAIN_CLK = 540  # barriers, waits, shuffles and loads in a row, and the copies of a stage


def clk_per_token(kv_heads: int, group: int, batch: int, context: int, kv_dtype: str = "fp16") -> float:
    """Clocks of an A100 for each token, from L2, with one page a sequence so that no context is split."""
    case = mapped_row(
        gpu="A100", kernel="FlashInfer BatchDecode", batch=batch, context=context, page_size=context,
        q_heads=kv_heads * group, kv_heads=kv_heads, kv_dtype=kv_dtype,
    )  # fmt: skip
    return simulate(case.hw, case.workload).time_ns * case.hw.sm.clock_ghz / context


@pytest.mark.parametrize(("group", "loop_tokens", "issued"), [(1, 32, 4), (4, 8, REACHED), (8, 32, 4)])
def test_a_cta_alone_waits_out_every_link_of_its_loop(group: int, loop_tokens: int, issued: float) -> None:
    paper = (loop_tokens * group * SLOTS / issued + CHAIN_CLK) / loop_tokens
    assert paper <= clk_per_token(8, group, 1, 4096) < 1.3 * paper  # what else: launch, first and last loads


@pytest.mark.parametrize(("group", "loop_tokens"), [(4, 16), (8, 32)])
def test_a_value_of_8_bit_is_converted_in_four_instructions_for_each_head(
    group: int, loop_tokens: int
) -> None:
    """8 threads of 175 instructions, 128 of them conversions, are 43.75 slots of a warp."""
    paper = (loop_tokens * group * 43.75 / 4 + CHAIN_CLK) / loop_tokens
    assert paper <= clk_per_token(8, group, 1, 4096, "fp8") < 1.3 * paper


def test_two_ctas_of_an_sm_hide_each_others_waits() -> None:
    """216 CTAs on 108 SMs: each waits out its own links while the other multiplies."""
    alone, beside = (clk_per_token(8, 4, batch, 2048) for batch in (1, 27))
    assert beside < 1.5 * alone


def test_every_group_that_is_compiled_has_a_profile_of_its_stage() -> None:
    profiles = [load_profile(f"flashinfer_cuda_cores{s}") for s in ("", "_grouped", "_group8")]
    assert [p.tile_tokens[0] for p in profiles] == [32, 8, 32]
    assert [p.warps for p in profiles] == [4, 4, 16]
