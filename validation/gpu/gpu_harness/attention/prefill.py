"""Causal prefill with what PyTorch offers; standard attention (N x N in memory) beside it once."""

import importlib
from collections.abc import Callable
from typing import Any

from gpu_harness.attention.backends import SDPA_BACKENDS, Unavailable, causal_mask, compiled_flex, sdpa
from gpu_harness.attention.paged_cache import relative_error
from gpu_harness.attention.rows import Parameter, emit, skip
from gpu_harness.attention.timing import Timer

TOLERANCE = 1e-2
CHECKED_ROWS = 32

# batch, tokens, query heads, KV heads, head dimension
Shape = tuple[int, int, int, int, int]
SHAPES: tuple[Shape, ...] = (
    (1, 1024, 32, 8, 128),
    (1, 4096, 32, 8, 128),
    (4, 4096, 32, 8, 128),
    (1, 16384, 32, 8, 128),
    (8, 1024, 32, 8, 128),
    (2, 8192, 32, 8, 128),
    (1, 4096, 64, 8, 128),
    (1, 8192, 64, 8, 128),
    (16, 512, 32, 8, 128),
    (1, 4096, 16, 16, 64),
)
FLEX_SHAPES: tuple[Shape, ...] = ((1, 4096, 32, 8, 128), (2, 8192, 32, 8, 128))
STANDARD_SHAPE: Shape = (1, 4096, 16, 16, 64)


def inputs(shape: Shape) -> tuple[Any, Any, Any]:
    torch = importlib.import_module("torch")
    batch, tokens, q_heads, kv_heads, head_dim = shape

    def random(heads: int) -> Any:
        return torch.randn((batch, heads, tokens, head_dim), device="cuda").to(torch.bfloat16)

    return random(q_heads), random(kv_heads), random(kv_heads)


def error_of(out: Any, q: Any, k: Any, v: Any) -> float:
    """Relative error of some rows of the last sequence and head (first and last too), against float64."""
    torch = importlib.import_module("torch")
    tokens = q.shape[2]
    rows = torch.linspace(0, tokens - 1, CHECKED_ROWS, device=q.device).long()
    query, keys, values = (x[-1, -1].to(torch.float64) for x in (q, k, v))
    scores = query[rows] @ keys.T / q.shape[-1] ** 0.5
    scores.masked_fill_(torch.arange(tokens, device=q.device)[None] > rows[:, None], float("-inf"))
    return relative_error(out[-1, -1][rows], torch.softmax(scores, dim=-1) @ values)


def measure(
    timer: Timer, kernel: str, shape: Shape, launch: Callable[[], Any], tensors: tuple[Any, Any, Any]
) -> None:
    batch, tokens, q_heads, kv_heads, head_dim = shape
    error = error_of(launch(), *tensors)
    params: dict[str, Parameter] = {
        "kernel": kernel,
        "batch": batch,
        "q_heads": q_heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "q_len": tokens,
        "context": tokens,
        "kv_dtype": "bf16",
        "causal": "true",
        "launch": "graph",
    }
    note = f"compute dtype bf16; no prefix; relative error {error:.1e}"
    ok = error <= TOLERANCE
    emit("prefill_attention", {**params, "l2_state": "cold"}, timer.cold_us(launch, 7), "us", ok, note)
    emit("prefill_attention", {**params, "l2_state": "warm"}, timer.warm_us(launch, 5), "us", ok, note)


def sdpa_shape(timer: Timer, name: str, backend: str, shape: Shape) -> None:
    q, k, v = inputs(shape)

    def launch() -> Any:
        return sdpa(backend, q, k, v, causal=True)

    try:
        launch()
        measure(timer, f"PyTorch SDPA {name}", shape, launch, (q, k, v))
    except Unavailable as error:
        skip("prefill_attention", f"SDPA {name} {shape}: {error}")


def flex_shape(timer: Timer, shape: Shape) -> None:
    q, k, v = inputs(shape)
    mask, flex = causal_mask(shape[1]), compiled_flex()

    def launch() -> Any:
        return flex(q, k, v, block_mask=mask, enable_gqa=True)

    measure(timer, "PyTorch flex_attention", shape, launch, (q, k, v))


def run() -> None:
    timer = Timer()
    for shape in SHAPES:
        for name, backend in SDPA_BACKENDS:
            sdpa_shape(timer, name, backend, shape)
    sdpa_shape(timer, "math", "MATH", STANDARD_SHAPE)
    for shape in FLEX_SHAPES:
        try:
            flex_shape(timer, shape)
        except (
            Exception
        ) as error:  # a compiler of another version may fail in any way: the reason becomes a row
            skip("prefill_attention", f"flex_attention {shape}: {type(error).__name__}: {error}")
