"""Split rules against arithmetic by hand, on batches for which each step can be followed."""

from collections.abc import Sequence

import numpy as np
import pytest

from sim.config.split import Split
from sim.lowering.split_rules import Grid, chunk_tokens


def splits_of(
    rule: str,
    contexts: Sequence[int],
    ctas_each: int = 8,
    sms: int = 132,
    tile: int = 128,
    page: int = 64,
    most: int = 128,
    least: int = 128,
    head_dim: int = 128,
    **numbers: float,
) -> list[int]:
    """Splits of each sequence: its tokens over the chunk that the rule gives it."""
    tokens = np.array(contexts, np.int64)
    grid = Grid(np.full(len(tokens), ctas_each), tokens, head_dim, tile, page, sms, most, least)
    chunks = chunk_tokens(grid, Split.model_validate({"rule": rule, **numbers}))
    return (-(-tokens // chunks)).tolist()


# FlashAttention-2, A100: 108 SMs, 216 slots. Blocks of 128 tokens at head_dim 128.
def test_fa2_takes_the_fewest_splits_within_85_percent_of_the_best_efficiency() -> None:
    # 16 x 8 = 128 CTAs: waves 0.593 (eff 0.593), 1.185 (0.593), 1.778 (0.889), ...; best is near 1, so 3 of 64 blocks.
    assert splits_of("fa2", [8192] * 16, sms=108, ctas_per_sm=2) == [3] * 16


def test_fa2_leaves_a_grid_of_80_percent_of_twice_the_sms_whole() -> None:
    assert splits_of("fa2", [8192] * 22, sms=108, ctas_per_sm=2) == [1] * 22  # 176 >= 172.8
    assert splits_of("fa2", [8192] * 21, sms=108, ctas_per_sm=2)[0] > 1  # 168 < 172.8


def test_fa2_skips_split_counts_that_leave_a_split_empty() -> None:
    # 8 CTAs, 64 blocks: 27 splits fill 216 slots. 23 would do (184 / 216 = 0.852) but ceil(64/23) = ceil(64/22) = 3.
    # Distinct counts: ..., 16 (4 blocks, 0.593), 22 (3 blocks, 0.815), 32 (2 blocks, 256/216 in two waves, 0.593), 64.
    # The best distinct is 22 (0.815) or 64 (512/216 = 2.37, 0.79): 85% of 0.815 is 0.693: 22 is the first above.
    assert splits_of("fa2", [8192], sms=108, ctas_per_sm=2) == [22]


def test_fa2_blocks_shrink_with_the_head_dimension() -> None:
    # 128 CTAs want 3 splits (8 blocks of 128). Of 4 blocks of 256, 3 splits are as 2; 4 fill 0.79.
    assert splits_of("fa2", [1024] * 16, sms=108, head_dim=64, ctas_per_sm=2) == [4] * 16
    assert splits_of("fa2", [1024] * 16, sms=108, head_dim=128, ctas_per_sm=2) == [3] * 16


def test_fa2_cuts_all_sequences_into_chunks_of_the_longest() -> None:
    # 16 sequences: 3 splits of 64 blocks are 22 blocks of 128 tokens = 2816; 1000 tokens stay whole.
    assert splits_of("fa2", [8192] + [1000] * 15, sms=108, ctas_per_sm=2) == [3] + [1] * 15


# FlashAttention-4, B200: 148 SMs.
def test_fa4_fills_the_sms_once_and_leaves_four_blocks_whole() -> None:
    # 8 CTAs: 148 // 8 = 18 splits of 512 blocks are ceil(512 / 18) = 29 blocks each: 18 pieces. 16 of them: 148 // 128.
    assert splits_of("fa4", [65536], sms=148) == [18]
    assert splits_of("fa4", [65536] * 16, sms=148) == [1] * 16
    assert splits_of("fa4", [65536] * 16, ctas_each=4, sms=148) == [2] * 16  # 148 // 64
    assert splits_of("fa4", [65536] * 64, sms=148) == [1] * 64  # 148 // 512 = 0: not split
    assert splits_of("fa4", [512], sms=148) == [1]  # four blocks
    assert splits_of("fa4", [640], ctas_each=1, sms=148) == [5]  # as many as blocks
    assert splits_of("fa4", [640], ctas_each=1, sms=148, tile=64) == [5]  # whatever a tile of ours is


# XQA by its own library, H100: 132 SMs.
def test_xqa_of_a_library_has_as_many_splits_as_whole_grids_fit_the_sms() -> None:
    assert splits_of("xqa_library", [32768], least=256) == [16]  # 132 / 8 = 16.5, cut
    assert splits_of("xqa_library", [32768] * 9, least=256) == [1] * 9  # 132 / 72 = 1.8, cut
    assert splits_of("xqa_library", [32768] * 17, least=256) == [1] * 17  # more CTAs than SMs: whole


def test_xqa_of_a_library_asks_for_a_share_of_what_fits_rounded() -> None:
    # 396 slots: 49 of 8 CTAs fit, a quarter is 12.25; 24 of 16 CTAs, 6; 6 of 64 CTAs, 1.5, rounded up; 3 of 128, 0.75.
    for batch, splits in ((1, 12), (2, 6), (8, 2), (16, 1)):
        assert splits_of("xqa_library", [32768] * batch, ctas_per_sm=3, share=0.25) == [splits] * batch


def test_xqa_of_a_library_never_cuts_below_its_least_chunk() -> None:
    assert splits_of("xqa_library", [1000], tile=64, least=256) == [4]
    assert splits_of("xqa_library", [32768], least=256, most=4) == [4]


# FlashAttention-3, H100: 132 SMs.
def test_fa3_gives_an_sm_an_even_share_of_the_tiles_and_a_tenth() -> None:
    # One sequence of 64 tiles and 8 heads: 512 x 1.1 / 132 = 4.27, 5 tiles a CTA, 13 splits.
    assert splits_of("fa3", [8192], most=32) == [13]
    # 16 sequences: 8192 x 1.1 / 132 = 68.3 > 64 tiles: whole.
    assert splits_of("fa3", [8192] * 16, most=32) == [1] * 16


def test_fa3_splits_each_sequence_of_a_ragged_batch_by_its_own_length() -> None:
    # 256 + 3 x 8 tiles, 8 heads: 2240 x 1.1 / 132 = 18.7, 19 tiles a CTA: 14 splits of 256 tiles; 8 tiles stay whole.
    assert splits_of("fa3", [32768, 1024, 1024, 1024], most=32) == [14, 1, 1, 1]


def test_fa3_in_vllm_stops_at_32_splits() -> None:
    # One head: 1024 tiles x 1.1 / 132 = 8.53, 9 tiles a CTA, 114 splits; capped, of ceil(1024/32) = 32 tiles.
    assert splits_of("fa3", [131072], ctas_each=1, most=128) == [114]
    assert splits_of("fa3", [131072], ctas_each=1, most=32) == [32]


def test_fa3_on_its_own_caps_the_splits_by_the_efficiency_of_one_sequence() -> None:
    # One head of 1024 tiles: s / 132 for s up to 128, best 0.970; 85% of it is 0.824: 109 splits (0.826).
    # Chunks of ceil(1024/109) = 10 tiles: 103 CTAs have work.
    assert splits_of("fa3", [131072], ctas_each=1, most=128, capped_by_grid=True) == [103]
    # 512 tokens are 4 tiles: never split.
    assert splits_of("fa3", [512], ctas_each=1, most=128, capped_by_grid=True) == [1]
    # A margin of 10% decides elsewhere: 110 of 132 heads exceed 80% of the SMs.
    assert splits_of("fa3", [8192], ctas_each=110, capped_by_grid=True) == [1]


def test_fa3_plans_no_splits_for_more_than_992_sequences() -> None:
    contexts = [131072] + [128] * 992
    assert splits_of("fa3", contexts, ctas_each=1) == [1] * 993
    assert splits_of("fa3", contexts[:-1], ctas_each=1)[0] > 1


# TensorRT-LLM XQA.
@pytest.mark.parametrize(
    ("batch", "context", "splits"),
    [
        (1, 512, 4),  # 4 chunks of 128; root(4 x 8) = 5.7
        (1, 8192, 22),  # 64 chunks; root(512) = 22.6, 23; 64 tiles in 23 chunks of 3: 22
        (16, 8192, 8),  # 128 x 23 = 2944 CTAs are 22.3 waves: 23 x 8 / 22.3 = 8.25
        (256, 512, 1),  # 2048 CTAs x 4 are 62 waves: 4 x 8 / 62 < 1
        (1, 100, 1),  # less than a chunk
    ],
)
def test_xqa_splits_by_chunks_their_root_and_eight_waves(batch: int, context: int, splits: int) -> None:
    assert splits_of("xqa", [context] * batch, most=1024, balance=8, waves=8) == [splits] * batch


# FlashInfer: two CTAs per SM.
def test_flashinfer_takes_the_shortest_chunk_that_fits_the_slots() -> None:
    # L40S, 142 SMs, 284 slots: 16 x 8 = 128 CTAs leave 2 splits (256); 3 would need 384.
    assert splits_of("flashinfer", [8192] * 16, sms=142, ctas_per_sm=2, most=1024) == [2] * 16
    # One sequence of 8 heads may have 35 splits: ceil(512 pages / 35) = 15 pages (35 chunks); 14 pages make 37.
    assert splits_of("flashinfer", [32768], sms=142, ctas_per_sm=2, most=1024) == [35]


def test_flashinfer_never_plans_chunks_below_128_tokens() -> None:
    assert splits_of("flashinfer", [1024], ctas_each=1, ctas_per_sm=2, most=1024) == [8]


def test_flashinfer_counts_in_pages() -> None:
    # 132 SMs, 264 slots, 200 CTAs: no room for a second chunk, whatever the page.
    assert splits_of("flashinfer", [4096] * 25, ctas_per_sm=2, page=1) == [1] * 25
    # Ragged: chunks of one length for all, 264 / 8 heads = 33 of them. 18 pages of 16 make 29 + 4; 17 make 31 + 4.
    assert splits_of("flashinfer", [8192, 1024], ctas_per_sm=2, page=16) == [29, 4]


# TensorRT-LLM's generated kernels, B200: 148 SMs.
def test_trtllm_gen_fills_the_sms_with_whole_ctas() -> None:
    # 148 // 8 = 18 splits of 256 tiles: 15 tiles each, 18 chunks.
    assert splits_of("trtllm_gen", [32768], sms=148, most=1024, least=256) == [18]
    assert splits_of("trtllm_gen", [32768] * 10, sms=148, most=1024, least=256) == [1] * 10


def test_trtllm_gen_keeps_two_steps_of_128_tokens_per_cta() -> None:
    assert splits_of("trtllm_gen", [1024], sms=148, most=1024, least=256) == [4]


# TensorRT-LLM's MMHA, H100: 132 SMs, 8 KV heads.
def test_mmha_rounds_up_to_a_block_for_every_sm() -> None:
    # 132 / 8 = 16.5: 17 blocks; of two sequences 132 / 16 = 8.25: 9 each; 1024 tokens have 8 turns of 128.
    assert splits_of("mmha", [32768], most=64, least=128) == [17]
    assert splits_of("mmha", [32768] * 2, most=64, least=128) == [9, 9]
    assert splits_of("mmha", [1024], most=64, least=128) == [8]
    assert splits_of("mmha", [32768] * 17, most=64, least=128) == [1] * 17


# Triton.
def test_sglang_splits_grow_with_the_logarithm_of_the_context() -> None:
    # 100 SMs x log2(4096 / 64) = 600; over 128 CTAs: 4.69, so 5 splits of 820 tokens, 832 in steps of 32.
    assert splits_of("triton_sglang", [4096] * 16, sms=100, most=8) == [5] * 16
    assert splits_of("triton_sglang", [4096], sms=100, most=8) == [8]
    # 32 x 8 = 256 CTAs of 128 tokens: 100 SMs count once: one split.
    assert splits_of("triton_sglang", [128] * 32, sms=100, most=8) == [1] * 32


def test_sglang_cuts_long_sequences_of_a_ragged_batch() -> None:
    # 4096 against 1024: chunks of 4096 / 4; with 400 CTAs the grid asks for 2 (600 / 400): the finer one wins.
    assert splits_of("triton_sglang", [4096] + [1024] * 49, sms=100, most=8)[:2] == [4, 1]


def test_vllm_triton_cuts_small_grids_into_16_segments() -> None:
    assert splits_of("triton_vllm", [8192] * 16, tile=16, most=16, most_ctas=128) == [16] * 16
    assert splits_of("triton_vllm", [8192] * 17, tile=16, most=16, most_ctas=128) == [1] * 17
    # 100 tokens: ceil(100 / 256) = 1 tile of 16 per segment: 7 segments have work.
    assert splits_of("triton_vllm", [100], tile=16, most=16, most_ctas=128) == [7]


def test_our_own_triton_kernel_gives_every_sm_four_programs_at_least() -> None:
    # 528 programs wanted of 128 CTAs: 4.125, so 5 splits of 8192: 1638.4 tokens, in tiles of 64 1664.
    assert splits_of("triton_paged", [8192] * 16, tile=64, least=256, most=64, ctas_per_sm=4) == [5] * 16
    # 66 would fill the SMs with 8; 64 are allowed, and 8 have 256 tokens each.
    assert splits_of("triton_paged", [32768], tile=64, least=256, most=64, ctas_per_sm=4) == [64]
    assert splits_of("triton_paged", [2048], tile=64, least=256, most=64, ctas_per_sm=4) == [8]
    assert splits_of("triton_paged", [8192] * 66, tile=64, least=256, most=64, ctas_per_sm=4) == [1] * 66


def test_flex_takes_two_programs_per_sm() -> None:
    # 132 // 8 = 16, twice: 32 splits of 64 tiles. 132 // 80 = 1, twice. 132 // 136 = 0: one.
    assert splits_of("flex", [8192], ctas_per_sm=2) == [32]
    assert splits_of("flex", [8192] * 10, ctas_per_sm=2) == [2] * 10
    assert splits_of("flex", [8192] * 17, ctas_per_sm=2) == [1] * 17


def test_flash_decoding_halves_until_chunks_and_grid_are_right() -> None:
    # 65536 / 2 CTAs: halve to chunks of 128 tokens: 512; 2 x 512 = 1024 is not below 1024: 256.
    assert splits_of("flash_decoding", [65536], ctas_each=2, most=512) == [256]
    # 16 sequences of 4096: 4096 / 32 = 128, chunks of 128 allow 32; 32 x 32 = 1024 is too many: 16.
    assert splits_of("flash_decoding", [4096] * 16, ctas_each=2, most=512) == [16] * 16


def test_fixed_partitions_do_not_ask_how_large_the_grid_is() -> None:
    assert splits_of("fixed", [8192, 600], least=512) == [16, 2]
    assert splits_of("fixed", [8192] * 65, least=512) == [16] * 65


def test_flashmla_deals_sequences_to_equal_parts() -> None:
    # 128 sequences of 64 tiles on 66 parts (2 row blocks each): ceil(128 x 69 / 66) + 5 = 139 = two sequences of 69 and
    # one tile: whole.
    assert splits_of("flashmla", [4096] * 128, ctas_each=2, tile=64, overhead_tiles=5) == [1] * 128
    # One sequence of 1024 tiles on 132 parts: ceil(1029 / 132) + 5 = 13, of which 8 are tiles: 128 pieces.
    assert splits_of("flashmla", [65536], ctas_each=1, tile=64, most=1024, overhead_tiles=5) == [128]
    # The same on 32 parts, the most of a sequence: ceil(1029 / 32) + 5 = 38, of which 33 are tiles: 32 pieces.
    assert splits_of("flashmla", [65536], ctas_each=1, tile=64, most=32, overhead_tiles=5) == [32]


def test_flashinfer_rounds_an_even_share_of_the_latent_tokens_up() -> None:
    def splits(contexts: list[int], blocks: int) -> list[int]:
        return splits_of("flashinfer_mla", contexts, ctas_each=blocks, sms=108, tile=64, most=1024)

    # 128 heads: pairs of CTAs, 54 of them. 16,384 tokens / 54 = 303.4, rounded up to 512.
    assert splits([2048] * 8, blocks=2) == [4] * 8
    # 16 heads: 108 CTAs. 16,384 / 108 = 151.7, rounded up to 256.
    assert splits([2048] * 8, blocks=1) == [8] * 8
    # 4,096 / 108 = 37.9 is among 33 to 64: 192 tokens.
    assert splits([4096], blocks=1) == [22]
    # 256 heads are two pairs a sequence, and each reads all tokens: 2 x 4,096 / 54 = 151.7.
    assert splits([4096], blocks=4) == [16]


# CUTLASS's latent decode, B200: 148 SMs; 128 heads are a pair of CTAs.
def test_cutlass_mla_fills_the_sms_with_splits_of_even_length() -> None:
    def splits(contexts: list[int], blocks: int, most: int = 32) -> list[int]:
        return splits_of("cutlass_mla", contexts, ctas_each=blocks, sms=148, most=most)

    # 64 tiles; 148 // 2 = 74 splits would fit, of a tile each; 32 at most.
    assert splits([8192], 2, most=64) == [64]
    assert splits([8192], 2) == [32]
    # Four new tokens: 148 // 8 = 18 fit, which takes 4 tiles each: 16 do the same.
    assert splits([8192], 8) == [16]
    # 32 sequences of a pair: 148 // 64 = 2.
    assert splits([8192] * 32, 2) == [2] * 32
    assert splits([8192] * 128, 2) == [1] * 128


def test_none_walks_whole_contexts() -> None:
    assert splits_of("none", [131072, 1]) == [1, 1]


@pytest.mark.parametrize(
    "rule",
    [
        "fa2",
        "fa3",
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
    ],
)
def test_every_rule_survives_the_smallest_and_the_largest_batch(rule: str) -> None:
    for contexts in ([1], [1] * 2000, [1_000_000], [1, 1_000_000]):
        splits = splits_of(rule, contexts, most=1024)
        assert min(splits) == 1 if 1 in contexts else min(splits) >= 1
        assert max(splits) <= 1_000_000
