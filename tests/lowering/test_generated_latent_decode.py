"""TensorRT-LLM's generated decode over a latent cache: who reads it how often, and what a tile takes."""

import pytest

from sim.cli.job import simulate
from tests.validation.rows import mapped_row


def time_us(q_heads: int, q_len: int, batch: int, context: int = 4096) -> tuple[float, float]:
    """Microseconds on B200 with FP8, and how often the cache is read."""
    case = mapped_row(
        gpu="B200", kernel="TRT-LLM gen MLA", batch=batch, context=context, page_size=64, q_heads=q_heads,
        kv_heads=1, head_dim=576, kv_dtype="fp8", q_len=q_len,
    )  # fmt: skip
    result = simulate(case.hw, case.workload)
    return result.time_ns / 1e3, result.bytes["sram_fill"] / (batch * context * 576)


@pytest.mark.parametrize("q_heads", [16, 128])
def test_every_new_token_reads_the_cache_again(q_heads: int) -> None:
    """A CTA has 16 of up to 32 heads, or 64 rows of one of a pair, of one new token."""
    ctas = {16: 1, 128: 2}[q_heads]
    once, thrice = (time_us(q_heads, q_len, 64)[1] for q_len in (1, 3))
    assert once == pytest.approx(ctas, rel=0.08)
    assert thrice == pytest.approx(3 * ctas, rel=0.08)


def test_products_and_softmax_of_64_rows_take_turns() -> None:
    """148 x 2 x 128 tiles on 148 SMs: 1,088 clk of FP8 products and 512 of exponentials, not the larger of them."""
    batch, context = 148, 16384
    time, _ = time_us(128, 1, batch, context)
    tiles = 2 * batch * context / 128 / 148
    assert 1600 < time * 1e3 * 1.86 / tiles < 2500
