"""Decode with what PyTorch offers: SDPA backends, flex_attention (dense, and over pages of 128 tokens)."""

import importlib
from collections.abc import Callable
from typing import Any

from gpu_harness.attention.backends import SDPA_BACKENDS, Unavailable, compiled_flex, paged_mask, sdpa
from gpu_harness.attention.paged_cache import make_cache, reference, relative_error
from gpu_harness.attention.rows import Parameter, emit, skip
from gpu_harness.attention.timing import Timer

HEAD_DIM, Q_HEADS, KV_HEADS = 128, 64, 8
TOLERANCE = 1e-2
FLEX_PAGE = 128

SDPA_POINTS = [(batch, context) for context in (2048, 8192, 32768, 512) for batch in (1, 16, 64)]
SDPA_POINTS += [(16, context) for context in (768, 1024, 1280)]  # around the L2
FLEX_POINTS = [(16, 2048), (64, 8192), (1, 32768), (16, 8192)]
PAGED_FLEX_POINTS = [(16, 2048), (64, 8192)]


def parameters(kernel: str, batch: int, context: int) -> dict[str, Parameter]:
    return {
        "kernel": kernel,
        "batch": batch,
        "q_heads": Q_HEADS,
        "kv_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "q_len": 1,
        "context": context,
        "kv_dtype": "bf16",
        "launch": "graph",
    }


def measure(
    timer: Timer, params: dict[str, Parameter], launch: Callable[[], Any], expected: Any, note: str
) -> None:
    """Check the last sequence of one call ([batch, q_heads, 1, head_dim]), then time cold and warm."""
    error = relative_error(launch()[-1, :, 0], expected)
    note = f"{note}; relative error {error:.1e}"
    ok = error <= TOLERANCE
    emit("decode_attention", {**params, "l2_state": "cold"}, timer.cold_us(launch), "us", ok, note)
    emit("decode_attention", {**params, "l2_state": "warm"}, timer.warm_us(launch), "us", ok, note)


def dense_inputs(batch: int, context: int) -> tuple[Any, Any, Any, Any]:
    """Query, keys and values as SDPA takes them, and the reference of the last sequence."""
    torch = importlib.import_module("torch")
    cache = make_cache("bf16", batch, context, KV_HEADS, HEAD_DIM, context)
    order = cache.table[:, 0].long()
    query = torch.randn((batch, Q_HEADS, HEAD_DIM), device="cuda").to(torch.bfloat16)
    keys, values = cache.keys[order], cache.values[order]
    return query[:, :, None], keys, values, reference(query, cache, batch - 1, context)


def sdpa_points(timer: Timer) -> None:
    for batch, context in SDPA_POINTS:
        q, k, v, expected = dense_inputs(batch, context)
        for name, backend in SDPA_BACKENDS:
            params = parameters(f"PyTorch SDPA {name}", batch, context)
            try:
                sdpa(backend, q, k, v, causal=False)
                measure(
                    timer,
                    params,
                    lambda backend=backend, q=q, k=k, v=v: sdpa(backend, q, k, v, causal=False),  # type: ignore[misc]
                    expected,
                    "contiguous KV",
                )
            except Unavailable as error:
                skip("decode_attention", str(error), params)


def flex_points(timer: Timer) -> None:
    for batch, context in FLEX_POINTS:
        q, k, v, expected = dense_inputs(batch, context)
        flex = compiled_flex()

        def launch(flex: Any = flex, q: Any = q, k: Any = k, v: Any = v) -> Any:
            return flex(q, k, v, enable_gqa=True)

        measure(
            timer, parameters("PyTorch flex_attention", batch, context), launch, expected, "contiguous KV"
        )


def paged_flex_points(timer: Timer) -> None:
    """Keys of all pages lie in one sequence that every query shares; the block mask picks the pages."""
    torch = importlib.import_module("torch")
    for batch, context in PAGED_FLEX_POINTS:
        cache = make_cache("bf16", batch, context, KV_HEADS, HEAD_DIM, FLEX_PAGE)
        query = torch.randn((batch, Q_HEADS, HEAD_DIM), device="cuda").to(torch.bfloat16)
        expected = reference(query, cache, batch - 1, context)
        pool = (1, KV_HEADS, -1, HEAD_DIM)
        k, v = (x.transpose(0, 1).reshape(pool).contiguous() for x in (cache.keys, cache.values))
        mask, flex, q = paged_mask(cache.table, FLEX_PAGE), compiled_flex(), query[:, :, None]

        def launch(flex: Any = flex, q: Any = q, k: Any = k, v: Any = v, mask: Any = mask) -> Any:
            return flex(q, k, v, block_mask=mask, enable_gqa=True)

        params = {**parameters("PyTorch flex_attention paged", batch, context), "page_size": FLEX_PAGE}
        measure(timer, params, launch, expected, "shuffled pages")


def run() -> None:
    timer = Timer()
    sdpa_points(timer)
    for part in (flex_points, paged_flex_points):
        try:
            part(timer)
        except (
            Exception
        ) as error:  # a compiler of another version may fail in any way: the reason becomes a row
            skip("decode_attention", f"{part.__name__}: {type(error).__name__}: {error}")
