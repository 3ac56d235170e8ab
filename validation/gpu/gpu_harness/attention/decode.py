"""Paged decode with our own Triton kernel: batch x context x page size x KV format, cold and warm L2."""

import importlib
from dataclasses import dataclass

from gpu_harness.attention.paged_cache import FORMATS, make_cache, reference, relative_error
from gpu_harness.attention.rows import Parameter, emit, skip
from gpu_harness.attention.timing import Timer

HEAD_DIM = 128
TOLERANCE = 1e-2  # weights and output are rounded to bf16: about 4e-3 is expected


@dataclass(frozen=True)
class Point:
    """One decode step of one layer; every sequence has `context` tokens."""

    kv_format: str
    batch: int
    context: int
    page_size: int
    q_heads: int = 64
    kv_heads: int = 8


def points() -> list[Point]:
    """Most telling first: formats over batch x context, then page sizes, then head counts."""
    grid = [(batch, context) for context in (2048, 8192, 512, 32768) for batch in (1, 4, 16, 64)]
    found = [
        Point(kv_format, b, c, 16) for kv_format in ("bf16", "fp8_e4m3", "int4", "int8") for b, c in grid
    ]
    found += [Point("bf16", b, c, page) for page in (1, 64, 256) for b in (4, 64) for c in (2048, 8192)]
    found.append(Point("bf16", 256, 512, 16))
    # around the L2: 16 sequences are 67 KB a token
    found += [Point("bf16", 16, c, 16) for c in (640, 768, 896, 1024, 1280, 1536)]
    found += [Point("bf16", b, c, 16, 32, 8) for b in (1, 16, 64) for c in (2048, 8192)]
    found += [Point("bf16", b, c, 16, 32, 32) for b in (1, 16) for c in (2048, 8192)]
    return found


def parameters(point: Point, splits: int) -> dict[str, Parameter]:
    return {
        "kernel": "own Triton paged decode",
        "batch": point.batch,
        "q_heads": point.q_heads,
        "kv_heads": point.kv_heads,
        "head_dim": HEAD_DIM,
        "q_len": 1,
        "context": point.context,
        "page_size": point.page_size,
        "kv_dtype": point.kv_format,
        "splits": splits,
        "launch": "graph",
    }


def measure(point: Point, timer: Timer) -> None:
    torch = importlib.import_module("torch")
    kernel = importlib.import_module("gpu_harness.attention.paged_triton")
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    splits = kernel.splits_for(point.batch, point.kv_heads, point.context, sms)
    cache = make_cache(point.kv_format, point.batch, point.context, point.kv_heads, HEAD_DIM, point.page_size)
    query = torch.randn((point.batch, point.q_heads, HEAD_DIM), device="cuda").to(torch.bfloat16)
    contexts = torch.full((point.batch,), point.context, dtype=torch.int32, device="cuda")
    decode = kernel.PagedDecode(query, cache, contexts, splits)
    decode()
    torch.cuda.synchronize()
    checked = {0, point.batch - 1}
    errors = [relative_error(decode.out[s], reference(query, cache, s, point.context)) for s in checked]
    ok = max(errors) <= TOLERANCE and not bool(torch.isnan(decode.out).any())
    params = parameters(point, splits)
    note = f"tile {kernel.BLOCK_N} tokens, {kernel.WARPS} warps, {kernel.STAGES} stages; shuffled pages"
    note += f"; relative error {max(errors):.1e}"
    emit("decode_attention", {**params, "l2_state": "cold"}, timer.cold_us(decode), "us", ok, note)
    emit("decode_attention", {**params, "l2_state": "warm"}, timer.warm_us(decode), "us", ok, note)


def ragged_error(kv_format: str) -> float:
    """Largest error over unequal lengths, splits that get no token, page edges."""
    torch = importlib.import_module("torch")
    kernel = importlib.import_module("gpu_harness.attention.paged_triton")
    lengths = [1, 15, 16, 17, 700, 1023]
    cache = make_cache(kv_format, len(lengths), max(lengths), 8, HEAD_DIM, 16)
    query = torch.randn((len(lengths), 64, HEAD_DIM), device="cuda").to(torch.bfloat16)
    contexts = torch.tensor(lengths, dtype=torch.int32, device="cuda")
    decode = kernel.PagedDecode(query, cache, contexts, 4)
    decode()
    return max(relative_error(decode.out[s], reference(query, cache, s, n)) for s, n in enumerate(lengths))


def sound_formats() -> set[str]:
    """Formats whose ragged contexts come out right; the others get a row that says what went wrong."""
    sound = set()
    for kv_format in FORMATS:
        try:
            error = ragged_error(kv_format)
        except Exception as failure:  # a compiler of another version may fail in any way
            skip("decode_attention", f"{kv_format}: {type(failure).__name__}: {failure}")
            continue
        if error <= TOLERANCE:
            sound.add(kv_format)
        else:
            skip("decode_attention", f"{kv_format}: ragged contexts are wrong by {error:.1e}")
    return sound


def run() -> None:
    try:
        importlib.import_module("triton")
    except ImportError as error:
        skip("decode_attention", f"no Triton here: {error}")
        return
    sound = sound_formats()
    torch = importlib.import_module("torch")
    timer = Timer()
    for point in (point for point in points() if point.kv_format in sound):
        try:
            measure(point, timer)
        except torch.OutOfMemoryError as error:
            skip("decode_attention", f"{point}: {error}")
        torch.cuda.empty_cache()
