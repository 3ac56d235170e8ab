"""How an implementation splits a context over CTAs: its rule by name, and the numbers of the rule."""

from typing import Literal

from pydantic import Field

from sim.config.fields import Float, Int, Section

SplitRule = Literal[
    "search",
    "none",
    "fixed",
    "fa2",
    "fa3",
    "fa4",
    "xqa",
    "xqa_library",
    "flashinfer",
    "trtllm_gen",
    "mmha",
    "triton_sglang",
    "triton_vllm",
    "triton_paged",
    "flex",
    "flash_decoding",
    "flashmla",
    "flashinfer_mla",
    "cutlass_mla",
]


class Split(Section):
    """Split-KV of one implementation; `max_splits` and `min_split_tokens` of the profile hold for every rule."""

    rule: SplitRule = Field(
        default="search",
        description="the implementation's own rule (sim/lowering/split_rules.py); search: what is fastest",
    )
    ctas_per_sm: Float = Field(
        default=1,
        gt=0,
        le=64,
        description="fa2, xqa_library, flashinfer, trtllm_gen, mmha, triton_paged, flex: CTAs per SM that it fills",
    )
    enough: Float = Field(
        default=0.8, gt=0, le=1, description="fa2, fa3: not split from this share of the CTAs it fills"
    )
    efficiency: Float = Field(
        default=0.85,
        gt=0,
        le=1,
        description="fa2, fa3: the fewest splits whose waves are this full, as a share of the best",
    )
    margin: Float = Field(
        default=1.1, ge=1, le=10, description="fa3: KV tiles per SM over an even share of them"
    )
    capped_by_grid: bool = Field(
        default=False,
        description="fa3: as many splits at most as the efficiency rule gives one sequence alone; no: max_splits",
    )
    waves: Float = Field(default=8, gt=0, le=1024, description="xqa: most waves of CTAs")
    balance: Float = Field(
        default=8,
        gt=0,
        le=1024,
        description="xqa: at most the root of so many times the chunks, lest the reduction dominates",
    )
    share: Float = Field(
        default=1, gt=0, le=1, description="xqa_library: part of the CTAs that fit which it asks for, rounded"
    )
    most_ctas: Float = Field(
        default=1e9, ge=0, le=1e9, description="triton_vllm: not split where the grid has more CTAs"
    )
    overhead_tiles: Int = Field(
        default=5, ge=0, le=1024, description="flashmla: fixed cost of a sequence, in KV tiles"
    )
