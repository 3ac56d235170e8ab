"""Does it matter to memory how a paged cache lies? One decode kernel over the same bytes in several layouts.

Heads of one token side by side (NHD) or tokens of one head (HND); pages in order or shuffled; the pools of K and V in
one tensor, a power of two apart, or apart by an odd number of pages; the heads of a sequence read at the same time or
not.
"""

import importlib
from dataclasses import dataclass
from itertools import product
from typing import Any

from gpu_harness.attention.decode import TOLERANCE
from gpu_harness.attention.paged_cache import relative_error
from gpu_harness.attention.rows import Parameter, emit, skip
from gpu_harness.attention.timing import Timer

ODD_PAGES = 37
"""Between the pools of K and V that do not lie a power of two apart."""


@dataclass(frozen=True)
class Point:
    """One decode step of one layer in bf16; every sequence has `context` tokens."""

    batch: int
    context: int
    kv_heads: int = 8
    head_dim: int = 128
    q_heads: int = 64
    page_size: int = 64
    nhd: bool = True
    shuffled: bool = True
    one_pool: bool = True
    side_by_side: bool = True

    @property
    def variant(self) -> str:
        order = "shuffled" if self.shuffled else "sequential"
        pools = "one tensor" if self.one_pool else "apart"
        heads = "heads side by side" if self.side_by_side else "sequences side by side"
        return f"{'NHD' if self.nhd else 'HND'}, {order}, {pools}, {heads}"

    @property
    def splits(self) -> int:
        """As few as fill 132 SMs once."""
        return max(1, 132 // (self.batch * self.kv_heads))

    @property
    def pages(self) -> int:
        return self.batch * -(-self.context // self.page_size)

    @property
    def pages_to_values(self) -> int:
        """From the first page of K to the first of V."""
        return self.pages if self.one_pool else self.pages + ODD_PAGES


SHAPES = ((16, 8192), (256, 512), (64, 2048), (1, 32768), (4, 8192), (64, 512), (16, 2048), (4, 32768))


def points() -> list[Point]:
    """Everything over the first three shapes, then what servers do over the others and over other heads."""
    found = [
        Point(b, c, nhd=nhd, shuffled=shuffled, one_pool=one, side_by_side=side)
        for (b, c), side, nhd, shuffled, one in product(SHAPES[:3], *[(True, False)] * 4)
    ]
    found += [
        Point(b, c, shuffled=shuffled, one_pool=one)
        for (b, c), shuffled, one in product(SHAPES[3:], *[(True, False)] * 2)
    ]
    found += [Point(b, c, head_dim=64) for b, c in SHAPES]
    found += [Point(b, c, kv_heads=1, q_heads=8) for b, c in ((64, 8192), (256, 2048), (16, 32768))]
    found += [Point(64, 8192), Point(64, 8192, nhd=False), Point(16, 32768)]
    return found


def pools(point: Point) -> tuple[Any, Any, Any]:
    """K, V and the block table [batch, pages of a sequence]."""
    torch = importlib.import_module("torch")
    pages, start = point.pages, point.pages_to_values
    inner = (
        (point.page_size, point.kv_heads, point.head_dim)
        if point.nhd
        else (point.kv_heads, point.page_size, point.head_dim)
    )
    both = torch.empty((start + pages, *inner), dtype=torch.bfloat16, device="cuda").normal_()
    order = torch.randperm(pages, device="cuda") if point.shuffled else torch.arange(pages, device="cuda")
    return (
        both[:pages],
        both[start:],
        order.to(torch.int32).reshape(point.batch, -1).contiguous(),
    )


def reference(point: Point, query: Any, keys: Any, values: Any, table: Any, sequence: int) -> Any:
    """Attention of one query token, [q_heads, head_dim] float64, by the textbook formula."""
    torch = importlib.import_module("torch")

    def dense(pool: Any) -> Any:
        raw = pool[table[sequence].long()].to(torch.float64)
        raw = raw if point.nhd else raw.transpose(1, 2)
        return raw.reshape(-1, point.kv_heads, point.head_dim)[: point.context].transpose(0, 1)

    q = query[sequence].to(torch.float64).reshape(point.kv_heads, -1, point.head_dim)
    scores = torch.einsum("hgd,htd->hgt", q, dense(keys)) / point.head_dim**0.5
    out = torch.einsum("hgt,htd->hgd", torch.softmax(scores, dim=-1), dense(values))
    return out.reshape(-1, point.head_dim)


def decode_of(point: Point) -> tuple[Any, float]:
    """The launch and its largest relative error over the first and the last sequence."""
    torch = importlib.import_module("torch")
    kernel = importlib.import_module("gpu_harness.attention.layout_triton")
    keys, values, table = pools(point)
    query = torch.randn((point.batch, point.q_heads, point.head_dim), device="cuda").to(torch.bfloat16)
    decode = kernel.LayoutDecode(
        query, keys, values, table, point.context, point.splits,
        nhd=point.nhd, heads_side_by_side=point.side_by_side,
    )  # fmt: skip
    decode()
    torch.cuda.synchronize()
    errors = [
        relative_error(decode.out[s], reference(point, query, keys, values, table, s))
        for s in {0, point.batch - 1}
    ]
    return decode, max(errors)


def measure(point: Point, timer: Timer) -> None:
    decode, error = decode_of(point)
    params: dict[str, Parameter] = {
        "kernel": "own Triton paged decode, large tiles",
        "variant": point.variant,
        "batch": point.batch,
        "q_heads": point.q_heads,
        "kv_heads": point.kv_heads,
        "head_dim": point.head_dim,
        "q_len": 1,
        "context": point.context,
        "page_size": point.page_size,
        "kv_dtype": "bf16",
        "splits": point.splits,
        "launch": "graph",
    }
    note = f"tile 128 tokens, 8 warps, 3 stages; relative error {error:.1e}"
    emit(
        "decode_layout", {**params, "l2_state": "warm"}, timer.warm_us(decode), "us", error <= TOLERANCE, note
    )


def run() -> None:
    try:
        importlib.import_module("triton")
    except ImportError as error:
        skip("decode_layout", f"no Triton here: {error}")
        return
    torch = importlib.import_module("torch")
    timer = Timer()
    for point in points():
        try:
            measure(point, timer)
        except torch.OutOfMemoryError as error:
            skip("decode_layout", f"{point}: {error}")
        torch.cuda.empty_cache()
