"""One kernel has one name in the rules, however a source spells it."""

import re

import pytest

from sim.validation.names import shipped_names, with_known_spelling


@pytest.mark.parametrize(
    ("spelt", "known"),
    [
        ("FA3", "FlashAttention-3"),
        ("vLLM FA2", "vLLM FlashAttention-2"),
        ("Flash-Attention v3", "FlashAttention-3"),
        ("flash-attn 2.7.4", "FlashAttention-2.7.4"),
        ("FlashAttention v4", "FlashAttention-4"),
        ("Flash Attention", "FlashAttention"),
        ("flash attn", "FlashAttention-2 FlashAttention"),  # the package of that name
        ("flash_attn_with_kvcache", "FlashAttention-2 FlashAttention_with_kvcache"),
        ("vllm_flash_attn fa_version=3", "vllm_FlashAttention FlashAttention-3"),
        ("flash_attn_interface", "FlashAttention_interface"),
        ("Transformer Engine DotProductAttention", "cuDNN (NVTE) DotProductAttention"),
        ("TE FlashAttention", "TE FlashAttention"),
        ("FlashAttention 128", "FlashAttention 128"),  # a width, not a generation
        ("FlashInfer BatchPrefill FA2", "FlashInfer BatchPrefill FlashAttention-2"),
        (
            "FlashInfer fa2 (BatchDecode)",
            "FlashInfer CUDA cores (BatchDecode)",
        ),  # as its benchmark calls them
        ("FlashInfer fa2_tc BatchDecode", "FlashInfer FlashAttention-2_tc BatchDecode"),
        ("F.scaled_dot_product_attention", "F.SDPA"),
        ("PyTorch SDPA flash", "PyTorch SDPA flash"),
        ("vLLM paged_attention_v2", "vLLM PagedAttention_v2"),
        ("ORT GroupQueryAttention", "ONNX Runtime ONNX Runtime GQA"),
        ("Tvm.tl flash", "TileLang.TileLang"),
        ("vLLM unified_attention", "vLLM Triton unified attention"),
        ("vLLM Triton unified attention", "vLLM Triton unified attention"),
    ],
)
def test_a_spelling_is_read_as_the_name_of_the_rules(spelt: str, known: str) -> None:
    assert with_known_spelling(spelt, shipped_names().aliases) == known


def test_a_known_name_stays_as_it_is() -> None:
    """Applied twice, the aliases change nothing more: what they give is spelt as the rules expect it."""
    aliases = shipped_names().aliases
    for spelt in (
        "FA3",
        "Flash Attn v2",
        "flash_attn",
        "paged attention",
        "scaled dot product",
        "TileLang",
        "TE",
    ):
        once = with_known_spelling(spelt, aliases)
        assert with_known_spelling(once, aliases) == once


def test_no_rule_has_a_pattern_that_only_another_spelling_would_match() -> None:
    """An alternative of a pattern that an alias rewrites could never be found again."""
    names = shipped_names()
    for rule in (*names.kernels, *names.runtimes):
        for text in re.findall(r"[A-Za-z][A-Za-z0-9 _-]{2,}", rule.kernel):
            assert with_known_spelling(text, names.aliases) == text, (rule.kernel, text)
