"""The GEMMs of a layer against published parameter counts and the arithmetic of their papers."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_model, load_workload
from sim.config.workload import Model
from sim.errors import InputError
from sim.lowering.layer_gemms import (
    feed_forward_layers,
    ffn_width,
    layer_gemms,
    touched_experts,
    weight_count,
)
from sim.memory.peaks import data_peak_gb_s

LLAMA, DEEPSEEK, JAMBA = (load_model(name) for name in ("llama3_8b", "deepseek_v3", "jamba_like"))


def weights(model: Model, parallel: int, tokens: int = 1) -> int:
    return sum(layers * g.groups * g.n * g.k for g, layers in layer_gemms(model, tokens, parallel))


@pytest.mark.parametrize(
    ("name", "published", "within"),
    [
        ("llama3_8b", 8.03e9, 1e-3),
        ("llama3_70b", 70.55e9, 1e-3),
        ("deepseek_v3", 671e9, 1e-3),
        ("jamba_like", 51.6e9, 0.05),
    ],
)
def test_all_gemms_together_hold_the_published_weights(name: str, published: float, within: float) -> None:
    assert weight_count(load_model(name)) == pytest.approx(published, rel=within)


def test_tensor_parallelism_divides_the_weights() -> None:
    assert weights(LLAMA, 8) == weights(LLAMA, 1) / 8


def test_devices_beyond_the_kv_heads_repeat_them() -> None:
    # 8 KV heads on 32 devices: one query head and a whole KV head each, K and V.
    columns = {g.name: g.n for g, _ in layer_gemms(LLAMA, 1, 32)}
    assert columns["qkv"] == (1 + 2) * 128


def test_values_of_their_own_width_are_projected_and_read_at_it() -> None:
    # 32 query heads and 8 key heads of 128, 8 value heads of 64; the output takes 32 x 64 values.
    narrow = LLAMA.model_copy(update={"value_dim": 64})
    shapes = {g.name: (g.n, g.k) for g, _ in layer_gemms(narrow, 1, 1)}
    assert shapes["qkv"] == ((32 + 8) * 128 + 8 * 64, 4096)
    assert shapes["out"] == (4096, 32 * 64)


def test_latent_attention_has_its_own_projections() -> None:
    # Per layer: down 7168 x (1536 + 576) on every device; of 16 heads: 1536 x 192, 128 x 512 twice, 128 x 7168.
    shared, per_head = 7168 * (1536 + 576), 1536 * 192 + 2 * 128 * 512 + 128 * 7168
    names = {"q_kv_down", "q_up", "key_up", "value_up", "out"}
    found = sum(g.groups * g.n * g.k for g, _ in layer_gemms(DEEPSEEK, 1, 8) if g.name in names)
    assert found == shared + 16 * per_head


def test_a_query_that_is_not_compressed_has_one_projection() -> None:
    assert DEEPSEEK.latent is not None
    plain = DEEPSEEK.model_copy(update={"latent": DEEPSEEK.latent.model_copy(update={"q_rank": None})})
    shapes = {g.name: (g.n, g.k) for g, _ in layer_gemms(plain, 1, 8)}
    assert shapes["q"] == (16 * 192, 7168)
    assert shapes["kv_down"] == (576, 7168)


def test_experts_that_a_token_passes_are_touched_and_with_many_tokens_all() -> None:
    experts = DEEPSEEK.experts
    assert experts is not None
    # One token its own 8; 64 tokens 256 (1 - (248 / 256)^64) = 222.4; thousands all of them.
    assert [touched_experts(experts, tokens) for tokens in (1, 64, 4096)] == [8, 222, 256]


def test_experts_multiply_the_rows_of_the_tokens_that_pass_them() -> None:
    for tokens in (1, 7, 64, 4096):
        useful = sum(
            2 * g.rows * g.n * g.k * layers
            for g, layers in layer_gemms(DEEPSEEK, tokens, 1)
            if g.name.startswith("experts")
        )
        assert useful == 58 * tokens * 8 * 2 * 3 * 7168 * 2048


def test_half_of_the_layers_of_the_hybrid_are_dense() -> None:
    layers = [count for g, count in layer_gemms(JAMBA, 1, 1) if g.name in ("gate_up", "experts_gate_up")]
    assert layers == [16, 16]
    assert ffn_width(JAMBA) == 1.5 * 14336


def test_state_space_layers_have_two_products_and_hybrids_attention_in_the_others() -> None:
    """Mamba-2 2.7B (arXiv:2405.21060): gate and inputs of 80 heads x 64, B and C of 128, a step per head; no block
    beside. On eight devices B and C are whole. Every eighth of Jamba's 32 layers attends."""
    mamba = load_model("mamba2_2p7b")
    whole = [(g.name, g.n, g.k, layers) for g, layers in layer_gemms(mamba, 1, 1)]
    assert whole == [("state_in", 2 * 5120 + 2 * 128 + 80, 2560, 64), ("state_out", 2560, 5120, 64)]
    assert [g.n for g, _ in layer_gemms(mamba, 1, 8)] == [2 * 640 + 2 * 128 + 10, 2560]
    layers = {g.name: count for g, count in layer_gemms(JAMBA, 1, 1)}
    assert (layers["qkv"], layers["out"], layers["state_in"], layers["state_out"]) == (4, 4, 28, 28)
    assert feed_forward_layers(JAMBA) == 32
    assert feed_forward_layers(mamba) == 0


@pytest.mark.parametrize("hardware", ["h200_sxm", "b200"])
def test_a_decode_step_with_experts_streams_those_that_are_touched(hardware: str) -> None:
    # 58 layers x 222 experts x 3 x 7168 x 256 B = 70.9 GB a device, and 36.8 GB of latent cache.
    chip = load_hardware(hardware).spec
    result = simulate(chip, load_workload("step_deepseek_v3_tp8").spec, fidelity="bound")
    cache, experts = 61 * 64 * 8192 * 576 * 2, 58 * 222 * 3 * 7168 * 256
    least = cache + experts
    assert least < result.bounds_ns["hbm"] * data_peak_gb_s(chip.hbm) < 1.05 * least


def test_a_step_of_a_latent_model_needs_the_widths_of_its_projections() -> None:
    sets = ("workload.model={base: deepseek_v3, latent: null}",)
    with pytest.raises(InputError, match="needs the widths of its projections"):
        load_workload("step_deepseek_v3_tp8", sets)
    assert load_workload("decode_mla", sets).spec.kind == "kernel"
