"""The decode kernels that TensorRT-LLM generates for Blackwell: what their tiles load and expand, at each head size."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.load import load_hardware, load_profile
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.launch import Launch
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map

B200 = load_hardware("b200").spec
LOOK_UP = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)
BLOCK = 128
"""Tokens of a KV tile of these kernels at every head size."""


def launch_of(profile: str, kv_format: str, head_dim: int, context: int) -> Launch:
    """64 sequences of 4 KV heads, pages of 64 tokens: more CTAs than SMs, so that nothing is split."""
    lengths, ones = np.full(64, context, np.int32), np.ones(64, np.int32)
    geometry = Geometry(32, 4, head_dim, head_dim)
    step = make_step(Batch("decode", geometry, lengths, ones, 64, formats=(kv_format,)), 0)
    cut = candidates(step, [load_profile(profile)], None, B200, 4)[0].cut
    addresses = build_address_map(step, "HND", 4)
    return build_attention(step, attention_units(step, cut), cut, B200, addresses, LOOK_UP)


@pytest.mark.parametrize("context", [2, 64, 128])
@pytest.mark.parametrize("head_dim", [64, 128, 256])
@pytest.mark.parametrize(
    ("profile", "kv_format", "value_bytes"), [("trtllm_gen", "bf16", 2), ("trtllm_gen_fp8", "fp8_e4m3", 1)]
)
def test_a_cta_loads_whole_tiles_of_128_tokens(
    profile: str, kv_format: str, value_bytes: int, head_dim: int, context: int
) -> None:
    launch = launch_of(profile, kv_format, head_dim, context)
    loaded = np.add.reduceat(launch.work.packed_bytes, launch.ctas.tile_ptr[:-1])
    assert (loaded == 2 * BLOCK * head_dim * value_bytes).all()
    assert launch.work.tokens.sum() == 64 * 4 * context


@pytest.mark.parametrize("context", [2, 128])
@pytest.mark.parametrize("head_dim", [128, 256])
def test_16_bit_queries_have_whole_tiles_expanded_before_they_are_multiplied(
    head_dim: int, context: int
) -> None:
    launch = launch_of("trtllm_gen_16bit_queries", "fp8_e4m3", head_dim, context)
    expanded = np.add.reduceat(launch.work.unpack_values, launch.ctas.tile_ptr[:-1])
    # K and V of 128 tokens; the products are of 16 bit.
    assert (expanded == 2 * BLOCK * head_dim).all()
    assert launch.mma == "fp16"
    assert launch_of("trtllm_gen_fp8", "fp8_e4m3", head_dim, context).work.unpack_values.sum() == 0
