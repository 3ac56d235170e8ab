"""Kernels that multiply for longer than they read, at the rates that their authors publish."""

import pytest

from sim.cli.job import simulate
from sim.result import Result
from tests.validation.rows import mapped_row


def run(
    gpu: str,
    kernel: str,
    *,
    batch: int,
    q_heads: int,
    context: int,
    q_len: int = 1,
    head_dim: int = 128,
    latent: bool = False,
    fidelity: str = "full",
) -> Result:
    """A launch of `kernel` as a row of a truth file names it; prefill where all tokens are new."""
    case = mapped_row(
        source="a blog",
        gpu=gpu,
        kernel=kernel,
        phase="prefill" if q_len == context else "decode",
        batch=batch,
        q_heads=q_heads,
        kv_heads=1 if latent else 8,
        head_dim=576 if latent else head_dim,
        q_len=q_len,
        context=context,
        page_size=64,
        causal=q_len < context,
        value=1.0,
    )
    return simulate(case.hw, case.workload, fidelity=fidelity)


def mla_tflop_s(result: Result, *, batch: int, context: int) -> float:
    """128 heads, 576 values for the scores and 512 for the output."""
    return 2 * batch * 128 * context * (576 + 512) / result.time_ns / 1e3


def test_flashmla_with_all_heads_reaches_its_published_rate() -> None:
    """580 TFLOP/s of the first version to 660 on H800 (FlashMLA README)."""
    shape = {"batch": 66, "context": 8192}
    result = run("H800", "FlashMLA dense decode", q_heads=128, latent=True, **shape)
    assert 580 < mla_tflop_s(result, **shape) < 660


def test_latent_decode_on_blackwell_multiplies_128_rows_however_few_the_heads() -> None:
    """CUTLASS's pair of CTAs pads: 16 heads take about as long as 128 do."""
    shape = {"gpu": "B200", "batch": 148, "context": 2048, "latent": True}
    all_heads = run(kernel="CUTLASS MLA", q_heads=128, **shape)
    few = run(kernel="CUTLASS MLA", q_heads=16, **shape)
    unpadded = run(kernel="TRT-LLM gen MLA", q_heads=16, **shape)
    assert few.time_ns == pytest.approx(all_heads.time_ns, rel=0.1)
    assert unpadded.time_ns < 0.7 * few.time_ns


def test_flash_attention_4_spends_less_on_the_softmax_than_the_generated_kernels() -> None:
    """Published: up to 1,605 TFLOP/s on B200, and up to 1.3 times as fast as cuDNN 9.13 (arXiv:2603.05451), for which
    the generated kernels stand, with 16 heads. 4 x 16 heads of 16 pairs of tiles are 1,024 CTAs, 6.92 of seven waves of
    148; half of the heads fill 3.46 of four."""
    shape = {"gpu": "B200", "batch": 4, "q_len": 4096, "context": 4096, "fidelity": "sampled"}
    kernels = ("FlashAttention-4", "cuDNN 9.13")
    fa4, generated = (run(kernel=name, q_heads=16, **shape).time_ns for name in kernels)
    half = run(kernel="FlashAttention-4", q_heads=8, **shape).time_ns
    assert 1300 < 4 * 4 * 16 * 4096 * 4096 * 128 / fa4 / 1e3 < 1605
    assert 1.02 < generated / fa4 < 1.3
    assert half / fa4 == pytest.approx(4 / 7, rel=0.04)


def test_flash_attention_3_pads_to_128_rows_which_shows_where_products_are_slow() -> None:
    """On H20, a quarter of H100's tensor rate: 8.27 ms published where 64 rows as in vLLM's fork would take 5 ms."""
    shape = {"batch": 16, "q_heads": 8, "context": 8192, "fidelity": "sampled"}
    ratio = {
        gpu: run(gpu, "FlashAttention-3", **shape).time_ns
        / run(gpu, "vLLM FlashAttention-3", **shape).time_ns
        for gpu in ("H20", "H100")
    }
    assert 1.4 < ratio["H20"] < 2
    assert ratio["H100"] == pytest.approx(1, rel=0.03)


def test_cudnn_reads_kv_once_per_query_head_for_a_few_new_tokens() -> None:
    """Its packed decode is for one token: eight cost several times as much, as 64 heads of 128 padded rows multiply."""
    shape = {"gpu": "H200", "kernel": "cuDNN SDPA", "batch": 8, "q_heads": 64, "context": 4096}
    one, eight = run(**shape), run(**shape, q_len=8)
    assert eight.time_ns > 4 * one.time_ns
    assert eight.bytes["sram_fill"] > 7 * one.bytes["sram_fill"]


def test_prefill_of_wide_heads_fits_the_lds_of_an_mi300x() -> None:
    shape = {"gpu": "MI300X", "kernel": "AITER CK flash attention", "batch": 4, "q_heads": 8}
    narrow, wide = (run(**shape, q_len=512, context=512, head_dim=size) for size in (128, 256))
    assert wide.time_ns > 1.5 * narrow.time_ns
