"""A paged KV cache in one of four formats, and the plain reference that reads it.

Layout: keys and values are [pages, kv_heads, page_size, head_dim] each (INT4: head_dim / 2 bytes, the low
nibble of byte d is dimension d, the high one dimension d + head_dim / 2). INT8 and INT4 carry one float32
scale per token and head, FP8 none. Pages come in random order, as an allocator hands them out after a while.
"""

import importlib
from dataclasses import dataclass
from typing import Any

FORMATS = ("bf16", "fp8_e4m3", "int8", "int4")
BYTES_PER_VALUE = {"bf16": 2.0, "fp8_e4m3": 1.0, "int8": 1.0, "int4": 0.5}


@dataclass(frozen=True)
class PagedCache:
    """Pool and block table ([batch, pages_per_sequence] int32); scales are None where the format has none."""

    kv_format: str
    keys: Any
    values: Any
    key_scales: Any
    value_scales: Any
    table: Any
    page_size: int
    head_dim: int

    @property
    def kv_heads(self) -> int:
        return int(self.keys.shape[1])


def make_cache(
    kv_format: str,
    batch: int,
    context: int,
    kv_heads: int,
    head_dim: int,
    page_size: int,
    device: str = "cuda",
) -> PagedCache:
    """Random contents for `batch` sequences of up to `context` tokens."""
    torch = importlib.import_module("torch")
    per_sequence = -(-context // page_size)
    pages = batch * per_sequence
    table = torch.randperm(pages, device=device).to(torch.int32).reshape(batch, per_sequence).contiguous()
    shape = (pages, kv_heads, page_size, head_dim)
    scale_shape = (pages, kv_heads, page_size)

    def contents() -> tuple[Any, Any]:
        if kv_format == "bf16":
            return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(), None
        if kv_format == "fp8_e4m3":
            # bytes of random sign and fraction, exponents 4 to 7: magnitudes 0.125 to 1.875
            raw = torch.randint(0, 64, shape, dtype=torch.uint8, device=device)
            raw = (raw & 31) + 32 + (raw & 32) * 4
            return raw.view(torch.float8_e4m3fn), None
        scales = torch.empty(scale_shape, dtype=torch.float32, device=device).uniform_(0.005, 0.02)
        if kv_format == "int8":
            return torch.randint(-127, 128, shape, dtype=torch.int8, device=device), scales
        packed = (*shape[:3], head_dim // 2)
        return torch.randint(0, 256, packed, dtype=torch.uint8, device=device), scales * 16

    keys, key_scales = contents()
    values, value_scales = contents()
    return PagedCache(kv_format, keys, values, key_scales, value_scales, table, page_size, head_dim)


def dense(cache: PagedCache, sequence: int, context: int) -> tuple[Any, Any]:
    """Keys and values of one sequence as float64 [kv_heads, context, head_dim]."""
    torch = importlib.import_module("torch")
    pages = cache.table[sequence].long()

    def expand(pool: Any, scales: Any) -> Any:
        # bytes are gathered as bytes: not every PyTorch indexes FP8; [pages, kv_heads, page_size, stored]
        raw = pool.view(torch.uint8)[pages].view(pool.dtype) if pool.itemsize == 1 else pool[pages]
        if cache.kv_format == "int4":
            low, high = (raw & 15).to(torch.float64) - 8, (raw >> 4).to(torch.float64) - 8
            raw = torch.cat((low, high), dim=-1)
        full = raw.to(torch.float32).to(torch.float64)
        if scales is not None:
            full = full * scales[pages].to(torch.float64)[..., None]
        return full.transpose(0, 1).reshape(cache.kv_heads, -1, cache.head_dim)[:, :context]

    return expand(cache.keys, cache.key_scales), expand(cache.values, cache.value_scales)


def reference(query: Any, cache: PagedCache, sequence: int, context: int) -> Any:
    """Attention of one query token, [q_heads, head_dim] float64, by the textbook formula."""
    torch = importlib.import_module("torch")
    keys, values = dense(cache, sequence, context)
    group = query.shape[1] // cache.kv_heads
    q = query[sequence].to(torch.float64).reshape(cache.kv_heads, group, cache.head_dim)
    scores = torch.einsum("hgd,htd->hgt", q, keys) / cache.head_dim**0.5
    out = torch.einsum("hgt,htd->hgd", torch.softmax(scores, dim=-1), values)
    return out.reshape(-1, cache.head_dim)


def relative_error(out: Any, expected: Any) -> float:
    """Norm of the difference over the norm of the expected; infinite when anything is not a number."""
    torch = importlib.import_module("torch")
    difference = out.to(torch.float64) - expected
    error = float(difference.norm() / expected.norm())
    return error if error == error else float("inf")
