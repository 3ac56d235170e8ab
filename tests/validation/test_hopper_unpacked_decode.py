"""Decode kernels of Hopper that pack no query heads: each head's CTA multiplies 128 padded rows."""

import pytest

from tests.validation.test_dense_and_paged_kernels import time_ns

SMS, TFLOP_S = 132, 989
BLOCK_NS = 2 * 2 * 128**3 / (TFLOP_S * 1e3 / SMS)  # two products of 128 rows, tokens and dimensions: 1.12 us


def fa4_ns(batch: int, context: int, splits: int) -> float:
    return time_ns(
        gpu="H200",
        kernel=f"FlashAttention-4 (CuTe, SM90), num_splits={splits}",
        batch=batch,
        context=context,
        q_heads=32,
        kv_heads=8,
        kv_dtype="bf16",
    )


def test_flash_attention_4_unsplit_walks_a_context_for_each_head() -> None:
    """Flash-attention pull request 2415: 180 us for 16,384 tokens; two sequences still have SMs to spare."""
    alone, two = (fa4_ns(batch, 16_384, 1) for batch in (1, 2))
    assert alone > 128 * BLOCK_NS
    assert alone == pytest.approx(180e3, rel=0.1)
    assert two == pytest.approx(alone, rel=0.05)  # 64 of 132 SMs, and a quarter of the memory rate


def test_flash_attention_4_splits_a_context_until_heads_fill_the_sms() -> None:
    """132 SMs over 32 heads: four pieces, and a kernel that combines them."""
    whole, split = (fa4_ns(1, 32_768, splits) for splits in (1, 0))
    assert 3 < whole / split < 4


def test_flashinfers_kernel_for_hopper_splits_no_context() -> None:
    """attention-bench: 142 us for 8,192 tokens of one sequence, device time."""
    time = time_ns(
        gpu="H200",
        kernel="FlashInfer BatchPrefillWithPagedKVCacheWrapper fa3",
        batch=1,
        context=8192,
        page_size=16,
        q_heads=32,
        kv_heads=8,
        kv_dtype="fp16",
    )
    assert time > 64 * BLOCK_NS
    assert time == pytest.approx(142e3, rel=0.2)


def test_a_few_new_tokens_take_rows_that_one_leaves_empty() -> None:
    """Both warpgroups multiply 64 rows each, of one token or of 16."""
    one, two, sixteen = (
        time_ns(
            gpu="H20",
            kernel="FlashInfer BatchPrefillWithPagedKVCacheWrapper fa3",
            batch=1,
            context=8192,
            q_len=tokens,
            page_size=16,
            q_heads=32,
            kv_heads=8,
            kv_dtype="fp16",
        )
        for tokens in (1, 2, 16)
    )
    assert two == pytest.approx(one, rel=0.05)
    assert sixteen == pytest.approx(two, rel=0.05)
