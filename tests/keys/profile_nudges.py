"""One change for every key of a kernel profile, on a shipped profile."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

EXEMPT = MappingProxyType(
    {
        "name": "a label, and what `kernel:` chooses by",
        "description": "what the profile imitates, in words",
        "sources.NAME": "provenance",
    }
)


@dataclass(frozen=True)
class ProfileNudge:
    """A change of one key of `profile`, run on `witness`; `moves` is the part of the result that must differ."""

    profile: str
    witness: str
    value: Any
    moves: str = "time_ns"
    dead: str = ""


NUDGES = MappingProxyType(
    {
        "phase": ProfileNudge("fa3", "decode", ["prefill"], "error"),
        "attention": ProfileNudge("fa3", "decode", ["mla"], "error"),
        "formats": ProfileNudge("fa3", "decode", ["bf16"], "error"),
        "auto": ProfileNudge("fa3", "any_kernel", False, "error"),
        "algorithm": ProfileNudge("fa1_prefill", "prefill", "flash"),
        "k_tile": ProfileNudge("standard", "prefill", 128),
        "softmax_rows": ProfileNudge("standard", "prefill", 16),
        "address": ProfileNudge("register_decode", "no_async_copy", "tma", "error"),
        "mma_instruction": ProfileNudge("fa3", "decode", "mfma", "error"),
        "m_tile": ProfileNudge("fa3", "decode", 2),
        "m_align": ProfileNudge("fa3", "decode", 16),
        "head_tiles": ProfileNudge("fa3", "as_it_is", [{"head_dim": 64, "tile_tokens": [32]}]),
        "row_tiles": ProfileNudge("flashinfer", "verify", [16]),
        "tile_tokens": ProfileNudge("fa3", "as_it_is", [32]),
        "last_block": ProfileNudge("fa3", "uniform", "pages"),
        "block_tiles": ProfileNudge("fa3_prefill", "prefill", 4),
        "stages": ProfileNudge("fa3", "as_it_is", [1]),
        "split.rule": ProfileNudge("fa3", "long", "none"),
        "split.ctas_per_sm": ProfileNudge("flashinfer", "long", 1),
        "split.enough": ProfileNudge("fa2", "long", 0.1),
        "split.efficiency": ProfileNudge("fa2", "long", 0.5),
        "split.margin": ProfileNudge("fa3", "long", 4),
        "split.capped_by_grid": ProfileNudge("fa3", "short", True),
        "split.waves": ProfileNudge("xqa", "long", 1),
        "split.balance": ProfileNudge("xqa", "long", 1),
        "split.share": ProfileNudge("xqa_flashinfer", "long", 0.25),
        "split.most_ctas": ProfileNudge("triton_vllm", "long", 1),
        "split.overhead_tiles": ProfileNudge("flashmla", "latent_three", 0),
        "ctas_per_sm": ProfileNudge("flashinfer", "long", 1),
        "max_splits": ProfileNudge("fa3", "long", 1),
        "min_split_tokens": ProfileNudge("flashinfer", "long", 1024),
        "scheduling": ProfileNudge("register_decode", "ragged_queue", "counter"),
        "item_clk": ProfileNudge("fa3", "queue", 9000),
        "search_clk": ProfileNudge("fa3", "many_sequences", 9000),
        "runs_ahead": ProfileNudge("fa3", "queue", True),
        "block_order": ProfileNudge("fa3_prefill", "prefill", "head_longest"),
        "grid_order": ProfileNudge("register_decode", "ragged_queue", "split_head_seq"),
        "run_clk": ProfileNudge("fa3", "decode", 400),
        "warps": ProfileNudge("register_decode", "four_ctas", 32, "error"),
        "code_trips": ProfileNudge("fa3", "decode", 30),
        "registers_per_thread": ProfileNudge("register_decode", "four_ctas", 255, "error"),
        "pack_gqa": ProfileNudge("fa3", "decode", False),
        "cta_pairs": ProfileNudge("fa3_prefill", "prefill", True),
        "exp_share": ProfileNudge("fa3", "decode", 0.1),
        "kv_heads_per_cta": ProfileNudge("fa3", "decode", 2),
        "overlap": ProfileNudge("fa3", "decode", "pingpong"),
        "expand_in": ProfileNudge("mixed_decode", "int4", "sram"),
        "unpack_values_per_clk": ProfileNudge("mixed_decode", "int4", 2),
        "mma_operands": ProfileNudge("fa3", "decode", "register"),
        "kv_in": ProfileNudge("register_prefill", "short_of_sram", "register"),
        "query_in": ProfileNudge("register_prefill", "short_of_sram", "register"),
        "direct_mma": ProfileNudge("fa3_fp8", "fp8_direct", []),
        "prologue_clk": ProfileNudge("fa3", "decode", 5000),
        "epilogue_clk": ProfileNudge("fa3", "decode", 5000),
        "tile_issue_clk": ProfileNudge("fa3", "decode", 2000),
        "barrier_clk": ProfileNudge("fa3", "decode", 900),
        "page_indices": ProfileNudge("flashinfer", "single_tokens", "ahead"),
        "softmax_ops_per_score": ProfileNudge("fa3", "decode", 200),
        "score_clk": ProfileNudge("flashinfer_cuda_cores", "decode", 60),
        "cluster_splits": ProfileNudge("trtllm_gen", "cluster", 0),
        "cluster_clk": ProfileNudge("trtllm_gen", "cluster", 9000),
        "combine_clk": ProfileNudge("fa3", "decode", 9000),
        "combine_split_clk": ProfileNudge("fa3", "decode", 3000),
        "combine_rows": ProfileNudge("fa3", "decode", 1),
        "combine": ProfileNudge("fa3", "decode", "last_cta"),
    }
)
