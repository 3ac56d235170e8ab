"""What the installed PyTorch offers: SDPA by backend, flex_attention; a callable or a reason why not."""

import importlib
from typing import Any

SDPA_BACKENDS = (
    ("flash", "FLASH_ATTENTION"),
    ("cuDNN", "CUDNN_ATTENTION"),
    ("efficient", "EFFICIENT_ATTENTION"),
)


class Unavailable(Exception):
    """This attention cannot run here; the message says why."""


def sdpa(backend: str, q: Any, k: Any, v: Any, causal: bool) -> Any:
    """One call of scaled_dot_product_attention on one backend; Unavailable where that backend refuses."""
    attention = importlib.import_module("torch.nn.attention")
    functional = importlib.import_module("torch.nn.functional")
    try:
        with attention.sdpa_kernel(getattr(attention.SDPBackend, backend)):
            return functional.scaled_dot_product_attention(
                q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
            )
    except (RuntimeError, AttributeError) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error


def compiled_flex() -> Any:
    """flex_attention, compiled afresh (a new shape would otherwise count as a recompilation)."""
    torch = importlib.import_module("torch")
    try:
        flex = importlib.import_module("torch.nn.attention.flex_attention")
    except ImportError as error:
        raise Unavailable(f"no flex_attention: {error}") from error
    importlib.import_module("torch._dynamo").reset()
    return torch.compile(flex.flex_attention, dynamic=False)


def causal_mask(length: int) -> Any:
    flex = importlib.import_module("torch.nn.attention.flex_attention")

    def lower(_batch: Any, _head: Any, query: Any, key: Any) -> Any:
        return query >= key

    return flex.create_block_mask(lower, None, None, length, length, device="cuda")


def paged_mask(table: Any, page_size: int) -> Any:
    """A block mask that sends logical block i of sequence s to page table[s, i]; every block is full."""
    torch = importlib.import_module("torch")
    flex = importlib.import_module("torch.nn.attention.flex_attention")
    batch, pages = table.shape
    everything = int(table.max()) + 1
    indices = torch.zeros((batch, 1, 1, everything), dtype=torch.int32, device=table.device)
    indices[:, 0, 0, :pages] = table
    counts = torch.full((batch, 1, 1), pages, dtype=torch.int32, device=table.device)
    return flex.BlockMask.from_kv_blocks(
        torch.zeros_like(counts),
        torch.zeros_like(indices),
        counts,
        indices,
        BLOCK_SIZE=(128, page_size),
        seq_lengths=(1, everything * page_size),
    )
