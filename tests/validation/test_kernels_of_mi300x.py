"""Prefill on MI300X: which kernel a name means, what a compute unit holds of it, and when a sample stands for it."""

import pytest

from sim.cli.job import simulate
from sim.clock import under_load
from sim.config.load import load_hardware, load_profile
from sim.lowering.occupancy import Footprint, TileShape, footprint
from sim.validation.cases import Mapped
from tests.validation.rows import mapped_row
from tests.validation.test_names_of_measurements import found

MI300X = load_hardware("mi300x").spec


@pytest.mark.parametrize(
    ("kernel", "head_dim", "profile"),
    [
        ("AITER asm flash attention forward", 128, "aiter_prefill"),
        ("AITER flash attention forward", 64, "ck_prefill"),  # assembly is for head_dim 128
        ("AITER CK flash attention", 128, "ck_prefill"),
        ("FlashAttention-2 (ROCm)", 128, "ck_prefill"),
        ("AITER Triton flash attention", 128, "triton_amd_prefill"),
        ("PyTorch SDPA (AOTriton)", 128, "triton_amd_prefill"),
        ("FlexAttention", 64, "triton_amd_prefill"),
    ],
)
def test_a_name_means_the_kernel_of_its_library(kernel: str, head_dim: int, profile: str) -> None:
    meaning = found(gpu="MI300X", kernel=kernel, phase="prefill", head_dim=head_dim)
    assert meaning.kernel.profile == profile


@pytest.mark.parametrize("gpu", ["MI300X", "MI325X", "MI355X"])
@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("vLLM PagedAttention (ROCm custom)", "paged_rocm"),
        ("paged_attention_ll4mi_QKV_mfma16_kernel", "paged_rocm"),
        ("vLLM paged attention", "paged_rocm"),
        ("vLLM paged_attention_v1", "paged_v1"),
        ("aiter paged_attention_v1", "aiter_paged"),
        ("AITER paged_attention_rocm (HIP)", "aiter_paged"),
        ("AITER pa_fwd_asm", "aiter_pa_asm"),
        ("AITER paged attention (assembly)", "aiter_pa_asm"),
        ("AITER Gluon pa_decode", "aiter_pa_gluon"),
        ("AITER Triton unified attention", "register_decode"),
        ("CK fmha splitkv", "register_decode"),
    ],
)
def test_a_name_means_the_paged_decode_of_its_library(gpu: str, kernel: str, profile: str) -> None:
    assert found(gpu=gpu, kernel=kernel).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("AITER asm", "aiter_prefill_cdna4"),
        ("AITER CK flash attention", "ck_prefill_cdna4"),
        ("AITER Triton flash attention", "triton_cdna4_prefill"),
    ],
)
def test_prefill_rounds_in_one_instruction_on_mi355x(kernel: str, profile: str) -> None:
    assert found(gpu="MI355X", kernel=kernel, phase="prefill").kernel.profile == profile
    on_mi300x = found(gpu="MI300X", kernel=kernel, phase="prefill").kernel.profile
    assert on_mi300x is not None
    assert load_profile(profile).softmax_ops_per_score <= load_profile(on_mi300x).softmax_ops_per_score - 8


def held(name: str, rows: int, tokens: int, head_dim: int = 128) -> Footprint:
    shape = TileShape(rows, tokens, 1, head_dim, head_dim, False, ("bf16",), 64, 4)
    profile = load_profile(name)
    return footprint(shape, profile.stages[0], profile, MI300X.sm)


def test_a_wavefront_has_the_registers_of_64_lanes() -> None:
    """CK: 4 x 64 lanes x 255 registers of 4 B are 255 KiB: two CTAs of 512 KiB. AITER: 8 wavefronts, one CTA."""
    ck, aiter = held("ck_prefill", 128, 32), held("aiter_prefill", 256, 32)
    assert (ck.register_bytes, ck.fit_registers) == (255 * 1024, 2)
    assert (aiter.register_bytes, aiter.fit_registers) == (510 * 1024, 1)


def test_queries_in_registers_take_no_shared_memory() -> None:
    """CK: two stages of 32 tokens x 2 x 256 B; 256 rows of queries alone would fill the 64 KiB."""
    assert held("ck_prefill", 128, 32).query_bytes == 0
    assert held("register_prefill", 64, 32).query_bytes == 64 * 256
    assert held("aiter_prefill", 256, 32).fit_sram == 1  # 2 x 16 KiB and the window of the block table


def test_tensor_cores_are_busy_at_the_clock_that_power_allows() -> None:
    """AMD: 708 TFLOP/s of BF16 GEMMs are reached at 1.207 GHz, 94 % of 304 x 2048 FLOP; attention uses fewer."""
    gemm_peak = 304 * 2048 * 1.207 / 1e3
    assert 708 / gemm_peak == pytest.approx(0.94, abs=0.01)
    assert under_load(MI300X, "prefill").sm.clock_ghz == pytest.approx(
        1.207 * (0.94 / 0.66) ** (1 / 3), rel=0.01
    )
    assert under_load(MI300X, "decode").sm.clock_ghz == 2.1


def case_of(batch: int, tokens: int) -> Mapped:
    return mapped_row(
        gpu="MI300X",
        kernel="AITER",
        phase="prefill",
        batch=batch,
        kv_heads=8,
        q_len=tokens,
        context=tokens,
        causal=False,
        notes="replays are warm",
        value=1e5,
    )


@pytest.mark.slow
def test_a_warm_prefill_is_sampled_and_agrees_with_the_whole() -> None:
    """Its matrix products take longer than the last-level cache: 2 x 2,048 tokens are 69 GFLOP and 17 MB of KV."""
    case = case_of(2, 2048)
    assert case.warm
    part, whole = (simulate(case.hw, case.workload, fidelity=f, seed=0) for f in ("sampled", "full"))
    assert part.to_dict()["sampling"]["share"] < 1
    assert part.to_dict()["time_ns"] == pytest.approx(whole.to_dict()["time_ns"], rel=0.05)
