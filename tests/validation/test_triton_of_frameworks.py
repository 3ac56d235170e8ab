"""The forms of vLLM's and SGLang's Triton kernels: which one a shape runs, and what their tiles come to."""

from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.load import load_profile
from sim.lowering.attention_tiles import tile_counts
from sim.lowering.cut import Cut
from sim.lowering.units import attention_units
from tests.validation.test_names_of_measurements import found


def forms(**cells: Any) -> str | None:
    return found(**({"kernel": "vLLM Triton unified_attention", "q_heads": 64} | cells)).kernel.profile


def test_vllm_has_no_segments_where_sequences_and_kv_heads_are_more_than_128() -> None:
    """seq_threshold_3D is 128 / 8 KV heads = 16 sequences (vLLM, MIN_LAUNCH_GRID_SIZE_2D)."""
    assert [forms(batch=n) for n in (16, 17)] == ["triton_vllm", "triton_vllm_whole"]
    assert forms(batch=16, kv_heads=8, kv_dtype="fp8") == "triton_vllm"
    assert forms(batch=128, kv_heads=1) == "triton_vllm"
    assert forms(batch=129, kv_heads=1) == "triton_vllm_whole"


@pytest.mark.parametrize("gpu", ["A100", "RTX-4090", "H100", "B200", "RTX-PRO-6000-Server"])
def test_vllm_has_one_prefill_on_every_chip_of_nvidia(gpu: str) -> None:
    assert forms(phase="prefill", gpu=gpu) == "triton_vllm_prefill"


def test_chips_of_amd_have_the_triton_of_their_back_end() -> None:
    assert forms(phase="prefill", gpu="MI300X") == "triton_amd_prefill"


def test_sglang_has_a_prefill_of_its_own_on_hopper() -> None:
    assert forms(kernel="SGLang Triton prefill", phase="prefill", gpu="H100") == "triton_sglang_prefill"
    assert forms(kernel="Triton tutorial flash", phase="prefill", gpu="H100") == "flex_prefill"


def test_a_block_of_vllm_has_16_rows_and_the_tokens_of_its_group() -> None:
    """Eight query heads per KV head: two tokens a block. 64 tokens: 32 blocks; tile of 32: 16 blocks of 1, 16 of 2."""
    profile = load_profile("triton_vllm_prefill")
    lengths = np.array([64], np.int32)
    step = make_step(Batch("prefill", Geometry(8, 1, 128, 128), lengths, lengths, 16), 0)
    cut = Cut(profile, profile.tile_tokens[0], profile.stages[0], 1, 1, 1)
    assert sorted(tile_counts(attention_units(step, cut), cut)) == [1] * 16 + [2] * 16


def test_a_tile_of_prefill_is_not_that_of_decode() -> None:
    """_get_tile_size: 16 tokens in decode of 16-bit values, 32 in prefill; the 2D form takes the latter."""
    tiles = [
        load_profile(n).tile_tokens[0] for n in ("triton_vllm", "triton_vllm_whole", "triton_vllm_prefill")
    ]
    assert tiles == [16, 32, 32]
