"""GeForce boards run beyond their rated clock: which do, and what their peak lets pass."""

import pytest

from sim.clock import under_load
from sim.validation.cases import Mapped
from sim.validation.limits import impossible
from tests.validation.rows import mapped_row

FLOPS = 4 * 32 * 128 * 8192**2
"""One prefill of 8,192 tokens without a mask."""


def prefill(gpu: str, tflops: float) -> Mapped:
    return mapped_row(
        kernel="FlashAttention-2",
        gpu=gpu,
        phase="prefill",
        batch=1,
        q_heads=32,
        kv_heads=32,
        q_len=8192,
        context=8192,
        causal=False,
        value=FLOPS / tflops / 1e6,
    )


@pytest.mark.parametrize(
    ("gpu", "gemm_tflops"), [("RTX 5090", 242.2), ("RTX 5070", 67.4), ("RTX 5060", 41.9)]
)
def test_the_boosted_rate_is_just_above_the_best_published_gemm(gpu: str, gemm_tflops: float) -> None:
    """PyTorch's largest GEMMs take 97 to 100 % of the tensor cores' rate with FP32 accumulation."""
    sm = under_load(prefill(gpu, 1).hw, "prefill").sm
    peak = sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["bf16"] / 1e3
    assert 0.97 * peak < gemm_tflops < peak


def test_a_rate_below_the_boosted_peak_is_no_fault() -> None:
    """RTX 5090: 170 SMs x 512 FLOP x 2.6 GHz are 226.3 TFLOP/s, times 1.09 246.7; L40S has no boost: 362."""
    assert impossible(prefill("RTX 5090", 231.6)) == ""
    assert "at 246.7 TFLOP/s" in impossible(prefill("RTX 5090", 250))
    assert impossible(prefill("L40S", 360)) == ""
    assert "at 362.1 TFLOP/s" in impossible(prefill("L40S", 366))
