"""Split-KV rules of published attention kernels: how many KV tokens one CTA takes of each sequence.

Each rule is a pure function of the grid, written from the public description or source of its project (named at each
function); the numbers come from the kernel profile. No rule looks at the time that its choice costs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.config.split import Split
from sim.lowering.parts import begun_tiles, part_tiles

Int64 = NDArray[np.int64]

FA2_BLOCK_TOKENS = ((64, 256), (128, 128))
"""(largest head_dim, KV tokens of a block) of FlashAttention-2's split heuristic; wider heads: 64 tokens."""
FA2_WIDE_BLOCK = 64
FA3_FEWEST_TILES = 4
"""FlashAttention-3 never splits contexts of so few tiles (hopper/heuristics.h)."""
FA3_MOST_SEQUENCES = 992
"""FlashAttention-3 plans splits in one block of 32 warps x 31 sequences; above, nothing is split."""
FA4_FEWEST_TILES = 4
"""FlashAttention-4 never splits contexts of so few blocks (flash_attn/cute/interface.py)."""
FA4_BLOCK_TOKENS = 128
"""KV tokens of a block of FlashAttention-4 on Blackwell (n_block_size)."""
XQA_MOST_SUB_SEQUENCES = 6000
"""Workspace of TensorRT-LLM's XQA: partial results of so many CTAs per KV head."""
SGLANG_CHUNK_TOKENS = 32
"""SGLang's Triton decode rounds a chunk up to so many tokens (MIN_BLOCK_KV)."""
SGLANG_GROWTH_TOKENS, SGLANG_EVEN = 64, 0.8
"""SGLang: the SMs count log2(context / 64) times; contexts within 0.8 of the longest count as equal."""
MLA_CHUNKS, MLA_CHUNK = ((8, 32), (16, 64), (32, 128), (64, 192)), 256
"""FlashInfer's MLA: tokens of a chunk for an even share of at most so many; a multiple of 256 for a larger one."""
CUTLASS_MLA_TILE = 128
"""Tokens of a tile of CUTLASS's latent decode."""
XFORMERS_LEAST_CONTEXT, XFORMERS_MOST_CTAS, XFORMERS_MOST_SPLITS = 1024, 1024, 512
"""xFormers' Triton split-K: contexts count as 1024 tokens at least; below 1024 CTAs and 513 splits."""


@dataclass(frozen=True)
class Grid:
    """An attention grid before its KV is split. B sequences."""

    blocks: Int64
    """[B] CTAs of each sequence: KV-head groups x query blocks."""
    tokens: Int64
    """[B] KV tokens that they attend to."""
    head_dim: int
    tile_tokens: int
    page_tokens: int
    sms: int
    max_splits: int
    min_tokens: int

    @property
    def ctas(self) -> int:
        return int(self.blocks.sum())

    @property
    def longest(self) -> int:
        return int(self.tokens.max(initial=1))

    @property
    def tiles(self) -> Int64:
        return ceil_div(self.tokens, self.tile_tokens)


def ceil_div(value: Int64, by: Int64 | int) -> Int64:
    """Quotient rounded up, 1 at least."""
    quotient: Int64 = np.maximum(1, -(-value // by))
    return quotient


def wave_fill(ctas: int, slots: float, tiles: int, most: int) -> list[tuple[int, float]]:
    """(splits, how full the waves of `ctas` x splits on `slots` are), for 1 to `most` splits of `tiles`."""
    return [(s, ctas * s / slots / math.ceil(ctas * s / slots)) for s in range(1, min(most, tiles) + 1)]


def fewest_efficient(options: list[tuple[int, float]], share: float) -> int:
    """The fewest splits whose waves are at least `share` as full as the best."""
    best = max(full for _, full in options)
    return next(splits for splits, full in options if full >= share * best)


def fa2(grid: Grid, split: Split) -> Int64:
    """FlashAttention-2, num_splits_heuristic (csrc/flash_attn/flash_api.cpp): one chunk length for all sequences.

    Slots are twice the SMs. Split counts that give the same chunk as one split less are left out.
    """
    slots = grid.sms * split.ctas_per_sm
    block = next((tokens for widest, tokens in FA2_BLOCK_TOKENS if grid.head_dim <= widest), FA2_WIDE_BLOCK)
    tiles = -(-grid.longest // block)
    splits = 1
    if grid.ctas < split.enough * slots:
        most = min(grid.max_splits, int(slots))
        options = wave_fill(grid.ctas, slots, tiles, most)
        distinct = [o for o in options if o[0] == 1 or -(-tiles // o[0]) != -(-tiles // (o[0] - 1))]
        splits = fewest_efficient(distinct, split.efficiency)
    return np.full(len(grid.tokens), -(-tiles // splits) * block)


def fa3_cap(grid: Grid, split: Split) -> int:
    """Most splits that FlashAttention-3 plans for (hopper/heuristics.h, as if the batch were one sequence)."""
    if not split.capped_by_grid:
        return grid.max_splits
    ctas, tiles = int(grid.blocks.max(initial=1)), int(grid.tiles.max(initial=1))
    if ctas >= split.enough * grid.sms or tiles <= FA3_FEWEST_TILES:
        return 1
    options = wave_fill(ctas, grid.sms, tiles, min(grid.max_splits, grid.sms))
    return fewest_efficient(options, split.efficiency)


def fa3(grid: Grid, split: Split) -> Int64:
    """FlashAttention-3, prepare_varlen_num_blocks (hopper/flash_prepare_scheduler.cu): splits of each sequence.

    An SM gets an even share of the KV tiles of all blocks and a margin; a sequence is cut to that size.
    """
    if len(grid.tokens) > FA3_MOST_SEQUENCES:
        return grid.tiles * grid.tile_tokens
    per_sm = math.ceil(int((grid.blocks * grid.tiles).sum()) * split.margin / grid.sms)
    splits = np.clip(ceil_div(grid.tiles, per_sm), 1, fa3_cap(grid, split))
    return ceil_div(grid.tiles, splits) * grid.tile_tokens


def xqa(grid: Grid, split: Split) -> Int64:
    """TensorRT-LLM XQA, computeMultiBlockCount (decoderXQAImplCommon.h): one count from the longest context."""
    chunks = grid.longest // grid.min_tokens
    splits = max(1, min(chunks, int(math.sqrt(chunks * split.balance) + 0.5)))
    waves = grid.ctas * splits / grid.sms
    if waves > split.waves:
        splits = math.floor(splits * split.waves / waves)
    splits = max(1, min(splits, XQA_MOST_SUB_SEQUENCES // len(grid.tokens), grid.max_splits))
    return ceil_div(grid.tiles, splits) * grid.tile_tokens


def xqa_library(grid: Grid, split: Split) -> Int64:
    """XQA launched by its own library, as FlashInfer does: computeNbSubSeqPerSeqMHA (mha.cu) and ...HopperF8MHA
    (mha_sm90.cu). TensorRT-LLM's runtime overrules it with the rule `xqa`."""
    fill = int(grid.sms * split.ctas_per_sm) // grid.ctas
    splits = max(1, math.floor(fill * split.share + 0.5))
    splits = min(splits, -(-grid.longest // grid.min_tokens), grid.max_splits)
    return ceil_div(grid.tiles, splits) * grid.tile_tokens


def fa4(grid: Grid, split: Split) -> Int64:
    """FlashAttention-4 (flash_attn/cute/interface.py, num_splits_heuristic): as many splits as fit the SMs once."""
    blocks = ceil_div(grid.tokens, FA4_BLOCK_TOKENS)
    longest = int(blocks.max(initial=1))
    most = min(grid.sms // grid.ctas, grid.max_splits, longest)
    splits = 1 if longest <= FA4_FEWEST_TILES else max(1, most)
    return ceil_div(blocks, splits) * FA4_BLOCK_TOKENS


def flashinfer(grid: Grid, split: Split) -> Int64:
    """FlashInfer's plan (attention/scheduler.cuh): the shortest chunk, in pages, whose CTAs fit the slots."""
    slots = grid.sms * split.ctas_per_sm
    pages = ceil_div(grid.tokens, grid.page_tokens)
    low, high = max(1, grid.min_tokens // grid.page_tokens), int(pages.max(initial=1))
    while low < high:
        middle = (low + high) // 2
        if int((grid.blocks * ceil_div(pages, middle)).sum()) > slots:
            low = middle + 1
        else:
            high = middle
    return np.full(len(grid.tokens), low * grid.page_tokens)


def trtllm_gen(grid: Grid, split: Split) -> Int64:
    """TensorRT-LLM's generated kernels (trtllmGenKernels/fmha/fmhaKernels.h): fill the SMs, two KV steps at least."""
    fill = max(1, int(grid.sms * split.ctas_per_sm) // grid.ctas)
    splits = min(-(-grid.longest // grid.min_tokens), fill, grid.max_splits)
    return ceil_div(grid.tiles, splits) * grid.tile_tokens


def mmha(grid: Grid, split: Split) -> Int64:
    """TensorRT-LLM's masked multi-head attention (multi_block_grid_setup): enough CTAs for every place of an SM, and so
    often a few more than one wave takes; each with one turn of its loop at least."""
    return ceil_div(grid.tokens, _filling(grid, split))


def _filling(grid: Grid, split: Split) -> int:
    """Fewest splits that give every place of an SM a CTA, where contexts are long enough for so many."""
    enough = math.ceil(grid.sms * split.ctas_per_sm / grid.ctas)
    return max(1, min(enough, -(-grid.longest // grid.min_tokens), grid.max_splits))


def triton_sglang(grid: Grid, split: Split) -> Int64:
    """SGLang's Triton backend, get_num_kv_splits: SMs that grow with log2 of the context, and the raggedness."""
    shortest = int(grid.tokens.min(initial=grid.longest))
    even = grid.longest * SGLANG_EVEN < shortest
    ragged = min(grid.max_splits, 1 if even else -(-grid.longest // shortest))
    growth = max(1.0, math.log2(grid.longest / SGLANG_GROWTH_TOKENS))
    fill = min(grid.max_splits, -(-int(grid.sms * growth) // grid.ctas))
    splits = np.maximum(
        ceil_div(grid.tokens, -(-grid.longest // ragged)), ceil_div(grid.tokens, -(-grid.longest // fill))
    )
    return ceil_div(ceil_div(grid.tokens, splits), SGLANG_CHUNK_TOKENS) * SGLANG_CHUNK_TOKENS


def triton_vllm(grid: Grid, split: Split) -> Int64:
    """vLLM's unified Triton kernel: a fixed number of segments, or none where the grid is large enough."""
    splits = 1 if grid.ctas > split.most_ctas else grid.max_splits
    return ceil_div(grid.tokens, splits * grid.tile_tokens) * grid.tile_tokens


def triton_paged(grid: Grid, split: Split) -> Int64:
    """This project's own Triton kernel (validation/gpu, paged_triton.py, splits_for): enough CTAs for every SM."""
    return ceil_div(grid.tiles, _filling(grid, split)) * grid.tile_tokens


def fixed(grid: Grid, split: Split) -> Int64:
    """Partitions of a fixed length (PagedAttention v2: 512 tokens), however large the grid is."""
    return np.full(len(grid.tokens), grid.min_tokens)


def none(grid: Grid, split: Split) -> Int64:
    """One CTA walks a whole context."""
    return grid.tiles * grid.tile_tokens


def flex(grid: Grid, split: Split) -> Int64:
    """FlexAttention's flex_decoding, get_split_k (PyTorch inductor): whole CTAs per SM."""
    splits = max(1, int(grid.sms // grid.ctas * split.ctas_per_sm))
    splits = min(splits, grid.max_splits, int(grid.tiles.max(initial=1)))
    return ceil_div(grid.tiles, splits) * grid.tile_tokens


def flash_decoding(grid: Grid, split: Split) -> Int64:
    """Flash-Decoding of 2023, xFormers' Triton split-K (get_split_k): powers of two below a round number of CTAs."""
    splits = max(grid.longest, XFORMERS_LEAST_CONTEXT) // grid.ctas
    while splits > 0 and grid.longest / splits < grid.min_tokens:
        splits //= 2
    while grid.ctas * splits >= XFORMERS_MOST_CTAS:
        splits //= 2
    splits = max(1, min(splits, XFORMERS_MOST_SPLITS, grid.max_splits))
    return ceil_div(grid.tokens, splits)


def flashmla_parts(grid: Grid) -> int:
    """Persistent CTAs of one block of query rows: FlashMLA's num_sm_parts, and no more than so many for each sequence
    where there is a most of splits (AITER's max_split_per_batch)."""
    return max(1, min(grid.sms // int(grid.blocks.max(initial=1)), grid.max_splits * len(grid.tokens)))


def flashmla(grid: Grid, split: Split) -> Int64:
    """FlashMLA, get_mla_metadata: what one part takes of one sequence at most; the first piece is shorter (`begun`)."""
    most = part_tiles(grid.tiles, flashmla_parts(grid), split.overhead_tiles)
    return np.full(len(grid.tokens), most * grid.tile_tokens)


def cutlass_mla(grid: Grid, split: Split) -> Int64:
    """CUTLASS's latent decode on Blackwell in CuTe DSL (get_split_kv): as many splits as fit the SMs, of full waves."""
    tiles = -(-grid.longest // CUTLASS_MLA_TILE)
    fill = max(1, grid.sms // grid.ctas)
    most = -(-tiles // min(tiles, fill))
    splits = min(-(-tiles // most), grid.max_splits)
    return ceil_div(ceil_div(grid.tokens, CUTLASS_MLA_TILE), splits) * CUTLASS_MLA_TILE


def flashinfer_mla(grid: Grid, split: Split) -> Int64:
    """FlashInfer, MLAPlan (scheduler.cuh): an even share of the KV tokens of all query tiles, rounded up. Two CTAs of
    64 rows work on a tile of 128 where sequences have more than 64."""
    pair = 2 if grid.blocks.mean() > 1 else 1
    tokens = int((ceil_div(grid.blocks, pair) * grid.tokens).sum())
    share = max(1, -(-tokens // (grid.sms // pair)))
    step = next((size for most, size in MLA_CHUNKS if share <= most), -(-share // MLA_CHUNK) * MLA_CHUNK)
    return np.full(len(grid.tokens), step)


RULES: dict[str, Callable[[Grid, Split], Int64]] = {
    rule.__name__: rule
    for rule in (
        none,
        fixed,
        fa2,
        fa3,
        fa4,
        xqa,
        xqa_library,
        flashinfer,
        trtllm_gen,
        mmha,
        triton_sglang,
        triton_vllm,
        triton_paged,
        flex,
        flash_decoding,
        flashmla,
        flashinfer_mla,
        cutlass_mla,
    )
}


def chunk_tokens(grid: Grid, split: Split) -> Int64:
    """[B] KV tokens of one CTA of each sequence, by the implementation's own rule (not `search`)."""
    return RULES[split.rule](grid, split)


def begun_tokens(grid: Grid, split: Split) -> Int64:
    """[B] KV tokens by which the first piece of each sequence is shorter than its chunk: its CTA has worked for so long
    before, on other sequences."""
    if split.rule != "flashmla":
        return np.zeros(len(grid.tokens), np.int64)
    most = part_tiles(grid.tiles, flashmla_parts(grid), split.overhead_tiles)
    return begun_tiles(grid.tiles, most, split.overhead_tiles) * grid.tile_tokens
