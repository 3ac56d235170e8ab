"""AITER's latent decode on CDNA: who reads the cache how often, and what a tile takes."""

import pytest

from sim.cli.job import simulate
from sim.validation.cases import Mapped
from tests.validation.rows import mapped_row


def case_of(q_heads: int, q_len: int, batch: int, context: int, **cells: object) -> Mapped:
    shape = {"batch": batch, "context": context, "q_heads": q_heads, "q_len": q_len}
    kind = {"gpu": "MI355X", "kernel": "AITER mla_decode_fwd", "kv_dtype": "fp8", "page_size": 64} | cells
    return mapped_row(**kind, **shape, kv_heads=1, head_dim=576)


@pytest.mark.parametrize(("q_heads", "q_len", "times"), [(16, 1, 1), (32, 4, 1), (128, 2, 2)])
def test_heads_and_new_tokens_share_128_rows(q_heads: int, q_len: int, times: int) -> None:
    """One sequence a compute unit, so that nothing is split: the cache and, queries of 16 bit beside it."""
    case = case_of(q_heads, q_len, 256, 512)
    result = simulate(case.hw, case.workload)
    assert result.to_dict()["mapping"]["tiles"] == times * 256 * 512 // 64
    queries = q_heads * q_len * 2 * 576
    assert result.bytes["sram_fill"] == pytest.approx(256 * (times * 512 * 576 + queries), rel=0.01)


def test_products_run_at_half_of_the_rated_rate() -> None:
    """A sequence a compute unit: a tile of 128 rows x 64 tokens is 2 x 128 x 64 x (576 + 512) FLOP, 2,176 clk at
    8,192 FLOP per clk; 16x16x32 instructions take twice that, loads from LDS and softmax more, but not twice more."""
    case, longer = case_of(128, 1, 256, 512), case_of(128, 1, 256, 1024)
    assert case.names.kernel.profile == "aiter_mla"
    took_ns = simulate(longer.hw, longer.workload).time_ns - simulate(case.hw, case.workload).time_ns
    assert 2 * 2176 < took_ns * case.hw.sm.clock_ghz / 8 < 4 * 2176


@pytest.mark.parametrize(("gpu", "tokens"), [("MI300X", 32), ("MI355X", 64)])
def test_a_tile_is_half_as_long_where_lds_is_64_kib(gpu: str, tokens: int) -> None:
    """Two stages of 64 latent rows of 576 B do not fit in MI300X's 64 KiB; of 32 they do."""
    case = case_of(128, 1, 8, 4096, gpu=gpu)
    assert simulate(case.hw, case.workload).to_dict()["mapping"]["tile_tokens"] == tokens
