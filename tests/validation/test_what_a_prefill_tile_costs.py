"""Costs of a tile that follow from a kernel's source: tensor memory of Triton's, the trips of a copy into the cache."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_profile
from tests.validation.rows import mapped_row

TMEM_BYTES_PER_CLK = 512


def tflop_s(*, heads: int, tokens: int, head_dim: int = 128, batch: int = 4, **cells: object) -> float:
    """Rate of a prefill of `tokens` as its authors count it: a causal mask halves."""
    shape = {"q_heads": heads, "q_len": tokens, "context": tokens, "head_dim": head_dim, "batch": batch}
    case = mapped_row(source="a blog", phase="prefill", kv_dtype="fp16", **shape, **cells)
    time_ns = simulate(case.hw, case.workload, fidelity="sampled").time_ns
    causal = 2 if cells["causal"] else 1
    return 4 * batch * heads * tokens**2 * head_dim / causal / time_ns / 1e3


def test_a_tile_of_the_tutorial_kernel_passes_224_kib_through_tensor_memory() -> None:
    """128 rows and tokens: FP32 scores read, 16-bit P written, 128 FP32 outputs read and written."""
    tile = 128 * 128 * (4 + 2 + 4 + 4)
    triton, flex = load_profile("triton_blackwell_prefill"), load_profile("flex_prefill_blackwell")
    assert tile == 224 * 1024
    assert tile / TMEM_BYTES_PER_CLK == 448
    assert 448 <= triton.tile_issue_clk < 512
    assert triton.tile_issue_clk / triton.tile_tokens[0] < 0.5 * flex.tile_issue_clk / flex.tile_tokens[0]


@pytest.mark.parametrize(
    ("tokens", "head_dim", "causal", "published"),
    [(1024, 128, False, 612.7), (4096, 64, False, 585.5), (4096, 128, True, 619.3)],
)
def test_the_tutorial_kernel_reaches_its_published_rates_on_b200(
    tokens: int, head_dim: int, causal: bool, published: float
) -> None:
    """NVIDIA's tuning notes for the CUDA Tile back end of Triton: 4 x 32 heads in FP16, NVIDIA back end, 1.8 GHz."""
    cells = {"gpu": "B200", "kernel": "Triton fused attention", "causal": causal, "kv_heads": 32}
    rate = tflop_s(heads=32, tokens=tokens, head_dim=head_dim, **cells)
    assert rate == pytest.approx(published, rel=0.2)


def test_a_copy_into_the_cache_waits_for_16_trips_to_l2() -> None:
    """64 tokens x 256 B of K and of V by 128 threads of 16 B: 8 passes each, none before the store of the last."""
    passes = 2 * 64 * 256 // (128 * 16)
    a100 = load_hardware("a100_sxm_80gb").spec
    trip_clk = (2 * a100.noc.latency_ns + a100.l2.latency_ns) * a100.sm.clock_ghz
    added = load_profile("fa2_append_prefill").barrier_clk - load_profile("fa2_paged_prefill").barrier_clk
    assert passes == 16
    assert added == pytest.approx(passes * trip_clk, rel=0.05)


def test_appending_takes_a_prompt_twice_as_long_as_attention_alone() -> None:
    """ONNX Runtime's pull request 20646 on A100: 2,244 us for 4,096 tokens of 32 heads over 8, 61 TFLOP/s."""
    cells = {"gpu": "A100-SXM4-80GB", "heads": 32, "kv_heads": 8, "tokens": 4096, "batch": 1, "causal": True}
    appending = tflop_s(kernel="ONNX Runtime GroupQueryAttention", **cells)
    alone = tflop_s(kernel="FlashAttention-2", **cells)
    assert 61 < appending < 0.6 * alone
