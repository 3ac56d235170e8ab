"""Which kernel of a library runs depends on pages, grid and version: the rules that tell, and published times."""

import pytest

from sim.cli.job import simulate
from tests.validation.rows import mapped_row
from tests.validation.test_names_of_measurements import found


def time_ns(fidelity: str = "sampled", **cells: object) -> float:
    """A launch as a row of a truth file describes it."""
    case = mapped_row(source="a repository", value=1.0, **cells)
    return simulate(case.hw, case.workload, fidelity=fidelity).time_ns


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("FlashInfer BatchPrefillWithPagedKVCacheWrapper", "flashinfer_fa3_paged_prefill"),
        ("vLLM FlashInfer", "flashinfer_fa3_paged_prefill"),
        ("FlashInfer BatchPrefillWithRaggedKVCacheWrapper", "fa3_prefill"),
        ("FlashInfer BatchPrefillWithPagedKVCacheWrapper FA2", "flashinfer_prefill"),
    ],
)
def test_flashinfer_gathers_pages_without_tma_on_hopper(kernel: str, profile: str) -> None:
    assert found(kernel=kernel, gpu="H100", phase="prefill").kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("cuDNN 9.13", "trtllm_gen_prefill"),
        ("cuDNN 9.7 SDPA", "trtllm_gen_prefill"),
        ("cuDNN 9.19.1.2", "cudnn_blackwell_prefill"),
    ],
)
def test_cudnn_on_blackwell_has_techniques_of_flash_attention_4_from_9_14_on(
    kernel: str, profile: str
) -> None:
    assert found(kernel=kernel, gpu="B200", phase="prefill").kernel.profile == profile


@pytest.mark.parametrize(
    ("cells", "profile"),
    [
        ({"kernel": "FlashAttention-2 flash_attn_func"}, "fa2_whole"),
        ({"kernel": "flash-attn 2.8 flash_attn_varlen_func"}, "fa2_whole"),
        ({"kernel": "FA2 flash_attn_with_kvcache", "notes": "contiguous cache"}, "fa2_whole"),
        ({"kernel": "FA2 flash_attn_with_kvcache"}, "fa2"),
        ({"kernel": "FA2 flash_attn_func", "batch": 26}, "fa2"),
        ({"kernel": "FA2 flash_attn_func", "gpu": "A100"}, "fa2"),
    ],
)
def test_flash_attention_2_forces_its_split_kernel_only_for_pages(
    cells: dict[str, object], profile: str
) -> None:
    """212 CTAs are 0.8 of two on each of 132 SMs, which it does not split: 27 sequences of 8 KV heads are 216."""
    usual = {"gpu": "H200", "batch": 27, "kv_heads": 8}
    assert found(**{**usual, **cells}).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("FlashAttention-2 flash_attn_with_kvcache, dense (num_splits=1)", "fa2_whole"),
        ("FlashAttention-2 flash_attn_with_kvcache, paged (num_splits=1)", "fa2_unsplit"),
        ("FlashAttention-2 flash_attn_with_kvcache, paged (num_splits=16)", "fa2"),
        ("FlashAttention-2 flash_attn_with_kvcache, paged", "fa2"),
    ],
)
def test_flash_attention_2_told_to_split_nothing(kernel: str, profile: str) -> None:
    assert found(kernel=kernel, gpu="RTX 4090").kernel.profile == profile


def test_dense_kernel_of_flash_attention_2_pads_twice_the_rows_of_the_split_kernel() -> None:
    """Published on RTX 4090 (kernelscope), a sequence of 8 KV heads: 117.4 us for 2,048 tokens dense and 33.0 us for
    1,024 over pages, both one CTA per KV head: 57 and 32 ns a token for 128 and 64 rows."""
    shape = {"phase": "decode", "batch": 1, "q_heads": 32, "kv_heads": 8, "head_dim": 128}
    dense = "FlashAttention-2 flash_attn_with_kvcache, dense (num_splits=1)"
    paged = "FlashAttention-2 flash_attn_with_kvcache, paged (num_splits=1)"
    whole = time_ns(gpu="RTX 4090", kernel=dense, context=2048, **shape)
    pages = time_ns(gpu="RTX 4090", kernel=paged, context=1024, page_size=256, **shape)
    assert whole / 2048 == pytest.approx(1.8 * pages / 1024, rel=0.1)
    assert pages / 1e3 == pytest.approx(33.0, rel=0.25)


def test_flex_decoding_waits_for_each_tile_where_pytorch_does_not_pipeline_it() -> None:
    """Published: 398 us on RTX A6000 for 16 x 4,096 tokens of 16 heads of 64 (PyTorch PR 137036); 85.7 us on RTX 5090
    for 4,096 tokens of 32 heads of 128 in one split, where memory would need 37 us."""
    small = time_ns(
        gpu="RTX A6000",
        kernel="FlexAttention flex_decoding",
        phase="decode",
        batch=16,
        q_heads=16,
        kv_heads=16,
        head_dim=64,
        context=4096,
    )
    whole = time_ns(
        gpu="RTX 5090",
        kernel="FlexAttention",
        notes="no block mask",
        phase="decode",
        batch=1,
        q_heads=32,
        kv_heads=32,
        head_dim=128,
        context=4096,
    )
    assert small / 1e3 == pytest.approx(398, rel=0.12)
    assert whole / 1e3 == pytest.approx(85.7, rel=0.15)


def test_flash_attention_4_decodes_in_pieces_that_fill_the_sms() -> None:
    """Published on B200 (varlen, pages of 128): 36.3 us for 65,536 tokens of 4 KV heads, whose 512 blocks are cut into
    37 pieces for 148 SMs; it copies 134 MB, 17 us at 7.7 TB/s. A replay of 1.07 times L2, so the whole launch."""
    fourth = time_ns(
        "full",
        gpu="B200",
        kernel="FlashAttention-4 varlen",
        phase="decode",
        batch=1,
        q_heads=32,
        kv_heads=4,
        head_dim=128,
        context=65536,
        page_size=128,
    )
    assert fourth / 1e3 == pytest.approx(36.3, rel=0.15)


def test_dense_decode_multiplies_128_rows_where_four_are_queries() -> None:
    """1.61 ms published for 256 x 4,096 tokens of 8 KV heads on H200 (flash_attn_func): 4.29 GB take 0.89 ms at
    4.8 TB/s, but 128 x 64 x 256 products for each of 131,072 blocks are 4.2 MFLOP: 0.56 ms at the whole rate,
    which mma.sync does not reach on Hopper."""
    shape = {"phase": "decode", "batch": 256, "q_heads": 32, "kv_heads": 8, "head_dim": 128, "context": 4096}
    dense = time_ns(gpu="H200", kernel="FlashAttention-2 flash_attn_func", **shape)
    split = time_ns(gpu="H200", kernel="FlashAttention-2 flash_attn_with_kvcache", page_size=256, **shape)
    assert dense / 1e6 == pytest.approx(1.61, rel=0.1)
    assert split < 0.75 * dense


def test_triton_prefill_at_head_dim_64_fits_twice_on_a_geforce_board() -> None:
    """Q 16 KiB and two buffers of 16 KiB are 48 KiB of 99; with three, one CTA would wait for itself. Published on
    RTX 3090: 69.1 TFLOP/s of the 71.2 at its rated clock (82 SMs, 512 a clock, 1.695 GHz), which it exceeds."""
    time = time_ns(
        gpu="RTX 3090",
        kernel="Triton flash attention",
        phase="prefill",
        batch=4,
        q_heads=32,
        kv_heads=32,
        head_dim=64,
        q_len=4096,
        context=4096,
        causal=False,
    )
    assert 4 * 4 * 32 * 4096 * 4096 * 64 / time / 1e3 == pytest.approx(69.1, rel=0.08)


def test_rtx_pro_4500_multiplies_at_the_full_rate() -> None:
    """5.39 ms published for 8,192 new tokens behind 24,576: 4 x 6 x 128 x 8,192 x 28,672 is 0.722 TFLOP, 134 TFLOP/s,
    more than the 110 of a GeForce board of 82 SMs (FlashInfer pull request 5239)."""
    time = time_ns(
        gpu="RTX PRO 4500 Blackwell",
        kernel="FlashInfer BatchPrefillWithPagedKVCacheWrapper FA2",
        phase="prefill",
        batch=1,
        q_heads=6,
        kv_heads=1,
        head_dim=128,
        q_len=8192,
        context=32768,
        page_size=16,
        causal=True,
    )
    assert time / 1e6 == pytest.approx(5.39, rel=0.06)


def test_pytorchs_flash_prefill_at_head_dim_64_on_our_h100() -> None:
    """174.8 us measured for 4,096 causal tokens of 16 heads, warm (validation/gpu/h100_sxm-2026-11-26)."""
    time = time_ns(
        gpu="H100-SXM5-80GB",
        kernel="PyTorch SDPA flash",
        phase="prefill",
        batch=1,
        q_heads=16,
        kv_heads=16,
        head_dim=64,
        q_len=4096,
        context=4096,
        causal=True,
    )
    assert time / 1e3 == pytest.approx(174.8, rel=0.06)
