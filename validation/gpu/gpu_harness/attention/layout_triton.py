# mypy: ignore-errors
"""Paged decode in Triton over any layout of the pages: what `layout` times. One program per (sequence, KV head, split).

Large tiles and one program an SM, as FlashAttention-3 has them. Programs that start side by side have the heads of one
sequence (`HEADS_SIDE_BY_SIDE`) or one head of many sequences.
"""

import torch
import triton
import triton.language as tl

from gpu_harness.attention.paged_triton import join, store_split

TILE, WARPS, STAGES = 128, 8, 3


@triton.jit(do_not_specialize=["table_stride", "context", "splits"])
def split_kernel(
    query, keys, values, table, out, partial, partial_lse,
    scale_log2, table_stride, context, splits,
    SEQUENCES: tl.constexpr, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, ROWS: tl.constexpr,
    HEAD_DIM: tl.constexpr, PAGE: tl.constexpr, TILE: tl.constexpr, HEAD_STRIDE: tl.constexpr,
    TOKEN_STRIDE: tl.constexpr, HEADS_SIDE_BY_SIDE: tl.constexpr, JOIN: tl.constexpr,
):  # fmt: skip
    number = tl.program_id(0)
    if HEADS_SIDE_BY_SIDE:
        head, sequence, split = (
            number % KV_HEADS,
            number // KV_HEADS % SEQUENCES,
            number // (KV_HEADS * SEQUENCES),
        )
    else:
        sequence, head, split = (
            number % SEQUENCES,
            number // SEQUENCES % KV_HEADS,
            number // (KV_HEADS * SEQUENCES),
        )
    per_split = tl.cdiv(tl.cdiv(context, splits), TILE) * TILE
    begin = split * per_split
    end = tl.minimum(begin + per_split, context)

    dims = tl.arange(0, HEAD_DIM)
    in_group = tl.arange(0, ROWS) < GROUP
    row = (sequence * KV_HEADS + head) * GROUP + tl.arange(0, ROWS)
    q = tl.load(query + row[:, None] * HEAD_DIM + dims[None, :], mask=in_group[:, None], other=0.0)
    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, HEAD_DIM], tl.float32)
    for start in range(begin, end, TILE):
        tokens = start + tl.arange(0, TILE)
        live = tokens < end
        page = tl.load(table + sequence * table_stride + tokens // PAGE, mask=live, other=0).to(tl.int64)
        at = page * (PAGE * KV_HEADS * HEAD_DIM) + head * HEAD_STRIDE + tokens % PAGE * TOKEN_STRIDE
        k = tl.load(keys + at[None, :] + dims[:, None], mask=live[None, :], other=0.0)
        scores = tl.where(live[None, :], tl.dot(q, k) * scale_log2, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - new_largest[:, None])
        shrink = tl.exp2(largest - new_largest)
        largest = new_largest
        total = total * shrink + tl.sum(weights, 1)
        v = tl.load(values + at[:, None] + dims[None, :], mask=live[:, None], other=0.0)
        acc = acc * shrink[:, None] + tl.dot(weights.to(q.dtype), v)

    inverse = tl.where(total > 0.0, 1.0 / total, 0.0)[:, None]
    if JOIN:
        at = row * splits + split
        store_split(partial, partial_lse, at, dims, in_group, acc * inverse, largest, total, HEAD_DIM)
    else:
        to = out + row[:, None] * HEAD_DIM + dims[None, :]
        tl.store(to, (acc * inverse).to(out.dtype.element_ty), mask=in_group[:, None])


class LayoutDecode:
    """The kernel over pools [pages, page_size, kv_heads, head_dim] (NHD) or [pages, kv_heads, page_size, head_dim]
    (HND); a call fills `out` ([batch, q_heads, head_dim])."""

    def __init__(self, query, keys, values, table, context, splits, *, nhd, heads_side_by_side) -> None:
        self.query, self.keys, self.values, self.table = query, keys, values, table
        self.context, self.splits, self.side_by_side = context, splits, heads_side_by_side
        _, first, second, head_dim = keys.shape
        self.page, self.kv_heads = (first, second) if nhd else (second, first)
        self.head_stride = head_dim if nhd else self.page * head_dim
        self.token_stride = self.kv_heads * head_dim if nhd else head_dim
        batch, q_heads, _ = query.shape
        self.out = torch.full_like(query, float("nan"))
        self.partial = torch.empty((batch * q_heads, splits, head_dim), dtype=torch.float32, device="cuda")
        self.lse = torch.empty((batch * q_heads, splits), dtype=torch.float32, device="cuda")

    def __call__(self) -> None:
        batch, q_heads, head_dim = self.query.shape
        group = q_heads // self.kv_heads
        split_kernel[(batch * self.kv_heads * self.splits,)](
            self.query, self.keys, self.values, self.table, self.out, self.partial, self.lse,
            head_dim**-0.5 * 1.4426950408889634, self.table.shape[1], self.context, self.splits,
            SEQUENCES=batch, KV_HEADS=self.kv_heads, GROUP=group, ROWS=max(16, triton.next_power_of_2(group)),
            HEAD_DIM=head_dim, PAGE=self.page, TILE=TILE, HEAD_STRIDE=self.head_stride,
            TOKEN_STRIDE=self.token_stride, HEADS_SIDE_BY_SIDE=self.side_by_side, JOIN=self.splits > 1,
            num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
        join(self.partial, self.lse, self.out, self.splits)
