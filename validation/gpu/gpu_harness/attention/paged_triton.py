# mypy: ignore-errors
"""Paged split-KV decode in Triton: GQA-packed, online softmax, block table read per token, four KV formats.

One program per (sequence, KV head, split) walks its part of the context in tiles of BLOCK_N tokens; the query
heads of the group are the rows of the tile product (padded to 16, the smallest). With more than one split a
second kernel joins the partial results. Products are made in the query's type. Triton types these, not mypy.
"""

import torch
import triton
import triton.language as tl

BLOCK_N, WARPS, STAGES = 64, 4, 3
TARGET_PROGRAMS_PER_SM, SMALLEST_SPLIT = 4, 256

_BF16, _FP8, _INT8, _INT4 = range(4)
_CODES = {"bf16": _BF16, "fp8_e4m3": _FP8, "int8": _INT8, "int4": _INT4}


@triton.jit
def nibbles(packed, like):
    """Low and high nibbles of a tile of bytes, offset binary, in the type of `like`."""
    low = ((packed & 15).to(tl.float32) - 8.0).to(like.dtype)
    high = ((packed >> 4).to(tl.float32) - 8.0).to(like.dtype)
    return low, high


@triton.jit
def store_split(partial, partial_lse, at, dims, in_group, acc, largest, total, HEAD_DIM: tl.constexpr):
    tl.store(partial + at[:, None] * HEAD_DIM + dims[None, :], acc, mask=in_group[:, None])
    lse = tl.where(total > 0.0, largest + tl.log2(total), float("-inf"))
    tl.store(partial_lse + at, lse, mask=in_group)


@triton.jit(do_not_specialize=["table_stride", "splits"])
def split_kernel(  # noqa: PLR0915  one loop: the online softmax must not leave registers
    query, keys, values, key_scales, value_scales, table, contexts, out, partial, partial_lse,
    scale_log2, table_stride, splits,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, ROWS: tl.constexpr, HEAD_DIM: tl.constexpr,
    PAGE: tl.constexpr, TILE: tl.constexpr, FORMAT: tl.constexpr, JOIN: tl.constexpr,
):  # fmt: skip
    sequence, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    context = tl.load(contexts + sequence)
    per_split = tl.cdiv(tl.cdiv(context, splits), TILE) * TILE
    begin = split * per_split
    end = tl.minimum(begin + per_split, context)

    INT4: tl.constexpr = FORMAT == 3
    STORED: tl.constexpr = HEAD_DIM // 2 if INT4 else HEAD_DIM
    FILL: tl.constexpr = 0.0 if FORMAT < 2 else 0
    dims = tl.arange(0, STORED)
    in_group = tl.arange(0, ROWS) < GROUP
    row = (sequence * KV_HEADS + head) * GROUP + tl.arange(0, ROWS)
    q = tl.load(query + row[:, None] * HEAD_DIM + dims[None, :], mask=in_group[:, None], other=0.0)
    if INT4:
        q_high = tl.load(
            query + row[:, None] * HEAD_DIM + dims[None, :] + STORED, mask=in_group[:, None], other=0.0
        )

    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, STORED], tl.float32)
    acc_high = tl.zeros([ROWS, STORED], tl.float32)
    for start in range(begin, end, TILE):
        tokens = start + tl.arange(0, TILE)
        live = tokens < end
        page = tl.load(table + sequence * table_stride + tokens // PAGE, mask=live, other=0).to(tl.int64)
        token_row = (page * KV_HEADS + head) * PAGE + tokens % PAGE
        k = tl.load(keys + token_row[None, :] * STORED + dims[:, None], mask=live[None, :], other=FILL)
        if INT4:
            k_low, k_high = nibbles(k, q)
            scores = tl.dot(q, k_low) + tl.dot(q_high, k_high)
        else:
            scores = tl.dot(q, k.to(q.dtype))
        if FORMAT >= 2:
            scores *= tl.load(key_scales + token_row, mask=live, other=0.0)[None, :]
        scores = tl.where(live[None, :], scores * scale_log2, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - new_largest[:, None])
        shrink = tl.exp2(largest - new_largest)
        largest = new_largest
        total = total * shrink + tl.sum(weights, 1)
        if FORMAT >= 2:
            weights *= tl.load(value_scales + token_row, mask=live, other=0.0)[None, :]
        v = tl.load(values + token_row[:, None] * STORED + dims[None, :], mask=live[:, None], other=FILL)
        if INT4:
            v_low, v_high = nibbles(v, q)
            acc = acc * shrink[:, None] + tl.dot(weights.to(q.dtype), v_low)
            acc_high = acc_high * shrink[:, None] + tl.dot(weights.to(q.dtype), v_high)
        else:
            acc = acc * shrink[:, None] + tl.dot(weights.to(q.dtype), v.to(q.dtype))

    inverse = tl.where(total > 0.0, 1.0 / total, 0.0)[:, None]
    if JOIN:
        at = row * splits + split
        store_split(partial, partial_lse, at, dims, in_group, acc * inverse, largest, total, HEAD_DIM)
        if INT4:
            store_split(
                partial,
                partial_lse,
                at,
                dims + STORED,
                in_group,
                acc_high * inverse,
                largest,
                total,
                HEAD_DIM,
            )
    else:
        out_at = out + row[:, None] * HEAD_DIM + dims[None, :]
        tl.store(out_at, (acc * inverse).to(out.dtype.element_ty), mask=in_group[:, None])
        if INT4:
            tl.store(out_at + STORED, (acc_high * inverse).to(out.dtype.element_ty), mask=in_group[:, None])


@triton.jit(do_not_specialize=["splits"])
def join_kernel(partial, partial_lse, out, splits, HEAD_DIM: tl.constexpr, SPLITS: tl.constexpr):
    row = tl.program_id(0)
    parts = tl.arange(0, SPLITS)
    dims = tl.arange(0, HEAD_DIM)
    there = parts < splits
    lse = tl.load(partial_lse + row * splits + parts, mask=there, other=float("-inf"))
    weights = tl.exp2(lse - tl.max(lse, 0))
    at = (row * splits + parts)[:, None] * HEAD_DIM + dims[None, :]
    values = tl.load(partial + at, mask=there[:, None], other=0.0)
    joined = tl.sum(values * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(out + row * HEAD_DIM + dims, joined.to(out.dtype.element_ty))


def join(partial, partial_lse, out, splits: int) -> None:
    """Join the partial results of each row of `out` ([batch, q_heads, head_dim]); nothing to do for one split."""
    if splits > 1:
        batch, q_heads, head_dim = out.shape
        join_kernel[(batch * q_heads,)](
            partial, partial_lse, out, splits,
            HEAD_DIM=head_dim, SPLITS=triton.next_power_of_2(splits), num_warps=4,
        )  # fmt: skip


def splits_for(batch: int, kv_heads: int, context: int, sms: int) -> int:
    """Enough programs to fill the SMs, no split under 256 tokens, at most 64."""
    wanted = -(-sms * TARGET_PROGRAMS_PER_SM // (batch * kv_heads))
    return max(1, min(wanted, -(-context // SMALLEST_SPLIT), 64))


class PagedDecode:
    """The kernel over one cache and its context lengths; a call fills `out` ([batch, q_heads, head_dim])."""

    def __init__(self, query, cache, contexts, splits: int) -> None:
        batch, q_heads, head_dim = query.shape
        self.query, self.cache, self.contexts, self.splits = query, cache, contexts, splits
        self.out = torch.full_like(query, float("nan"))
        self.partial = torch.empty(
            (batch * q_heads, splits, head_dim), dtype=torch.float32, device=query.device
        )
        self.lse = torch.empty((batch * q_heads, splits), dtype=torch.float32, device=query.device)
        self.scale_log2 = head_dim**-0.5 * 1.4426950408889634

    def __call__(self) -> None:
        batch, q_heads, head_dim = self.query.shape
        cache = self.cache
        group = q_heads // cache.kv_heads
        no_scales = self.lse  # never read for formats without scales
        split_kernel[(batch, cache.kv_heads, self.splits)](
            self.query, cache.keys, cache.values,
            no_scales if cache.key_scales is None else cache.key_scales,
            no_scales if cache.value_scales is None else cache.value_scales,
            cache.table, self.contexts, self.out, self.partial, self.lse,
            self.scale_log2, cache.table.shape[1], self.splits,
            KV_HEADS=cache.kv_heads, GROUP=group, ROWS=max(16, triton.next_power_of_2(group)),
            HEAD_DIM=head_dim, PAGE=cache.page_size, TILE=BLOCK_N, FORMAT=_CODES[cache.kv_format],
            JOIN=self.splits > 1, num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
        join(self.partial, self.lse, self.out, self.splits)
