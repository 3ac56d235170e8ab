"""What each op of the stored format computes, with every option, by the paged kernel and by the oracle.

Every op yields checks: each expected array of the case is compared once for each way of computing it (paged
in two tilings, dense).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels_ref import cache_ops, mla
from kernels_ref.attention import Tiling, paged_attention, paged_partials, shuffled
from kernels_ref.attention_options import AttentionOptions, AttentionResult, Floats, RaggedBatch
from kernels_ref.attention_sources import KVSource, PagedKV
from kernels_ref.attention_state import merge_results, merge_sink, normalise
from kernels_ref.cascade import cascade_attention
from kernels_ref.case_codecs import check_quantised, check_rounding, stored_bits
from kernels_ref.cases import TOLERANCE, Case, Check, close, exact
from kernels_ref.codecs.quality import ErrorStatistics
from kernels_ref.errors import InputError
from kernels_ref.oracle import dense_attention

Checks = Iterator[Check]
MOST_TILES = 64
"""Tiles of the longest sequence: with one-token blocks a long prefill would take a tile for each key."""


def case_options(case: Case) -> AttentionOptions:
    """The attention options of a case; what it leaves out has the documented default."""
    q = case.array("q" if case.has("q") else "q_nope", 3)
    lengths = case.integers("q_lens", 1)
    rows = int(lengths.max(initial=0))
    if case.meta.get("alibi"):
        case.array("alibi_slopes")
    softcap = float(case.number("softcap", 0.0))
    if softcap < 0:
        raise InputError(f"{case.file}: meta: softcap: {softcap}; allowed: 0 (none) and more")
    return AttentionOptions(
        scale=float(case.required_number("scale")),
        causal=bool(case.meta.get("causal", True)),
        window=int(case.number("window", -1)),
        sink_tokens=int(case.number("sink_tokens", 0)),
        softcap=softcap,
        alibi_slopes=_option(case, "alibi_slopes", (q.shape[1],)),
        leftpad=_option(case, "leftpad", (len(lengths),)),
        sink_logit=_option(case, "sink_logit", (q.shape[1],)),
        tree_mask=_option(case, "tree_mask", (len(lengths), rows, rows)),
    )


def _option(case: Case, key: str, least: tuple[int, ...]) -> NDArray[Any] | None:
    """An optional array. Raises InputError if it is smaller than the queries need."""
    values = case.optional(key, len(least))
    if values is not None and any(found < need for found, need in zip(values.shape, least, strict=True)):
        raise InputError(f"{case.file}: array {key} has shape {values.shape}; allowed: {least}")
    return values


def case_batch(case: Case) -> RaggedBatch:
    """Lengths of the case. Raises InputError if its tables or its block size do not fit them."""
    batch = RaggedBatch(case.integers("q_lens", 1), case.integers("kv_lens", 1))
    tables = case.integers("block_tables", 2)
    cache = next((case.arrays[key] for key in ("k_cache", "k_codes", "latent_cache") if case.has(key)), None)
    size = int(case.required_number("block_size")) if cache is None else int(cache.shape[1])
    if case.number("block_size", size) != size:
        raise InputError(f"{case.file}: meta: block_size: {case.meta['block_size']}; the cache has {size}")
    if len(tables) != len(batch.kv_lens):
        raise InputError(
            f"{case.file}: block_tables has {len(tables)} rows; kv_lens has {len(batch.kv_lens)}"
        )
    if int(batch.kv_lens.max(initial=0)) > tables.shape[1] * size:
        longest = int(batch.kv_lens.max())
        raise InputError(
            f"{case.file}: kv_lens: {longest}; block_tables hold {tables.shape[1] * size} tokens"
        )
    return batch


def case_cache(case: Case) -> PagedKV:
    """The caches. Raises InputError if K and V, or K and the queries, do not fit each other."""
    k, v = case.floats("k_cache", 4), case.floats("v_cache", 4)
    if k.shape[:3] != v.shape[:3]:
        raise InputError(f"{case.file}: array v_cache has shape {v.shape}; k_cache has {k.shape}")
    q = case.floats("q", 3)
    if q.shape[2] != k.shape[3]:
        raise InputError(f"{case.file}: array q has head dimension {q.shape[2]}; k_cache has {k.shape[3]}")
    return PagedKV(k, v, case.integers("block_tables", 2))


def whole_blocks(source: KVSource, batch: RaggedBatch) -> int:
    """Tokens of a tile: one block, or as many as cut the longest sequence into MOST_TILES."""
    longest = int(batch.kv_lens.max(initial=0))
    return source.block_size * max(-(-longest // (MOST_TILES * source.block_size)), 1)


def ways(
    q: Floats, source: KVSource, batch: RaggedBatch, options: AttentionOptions, dtype: DTypeLike
) -> Iterator[tuple[str, AttentionResult]]:
    """The same attention by every implementation; the oracle is float64 whatever the dtype."""
    tile = whole_blocks(source, batch)
    yield "paged", paged_attention(q, source, batch, options, Tiling(tile, dtype=dtype))
    odd_tiles = Tiling(max(24, tile + 3), splits=3, order=shuffled(7), dtype=dtype)
    yield "paged, 3 splits, shuffled tiles", paged_attention(q, source, batch, options, odd_tiles)
    yield "dense", dense_attention(q, source, batch, options)


def check_attention(case: Case, dtype: DTypeLike) -> Checks:
    yield from check_outputs(case, case_cache(case), dtype)


def check_outputs(case: Case, source: KVSource, dtype: DTypeLike) -> Checks:
    q = case.floats("q", 3)
    for way, result in ways(q, source, case_batch(case), case_options(case), dtype):
        yield close(case, f"out, {way}", result.out, "expected_out")
        yield close(case, f"lse, {way}", result.lse, "expected_lse")


def check_fork(case: Case, dtype: DTypeLike) -> Checks:
    caches = {}
    for name in ("k", "v"):
        copied = cache_ops.copy_blocks(case.floats(f"{name}_cache", 4), case.integers("block_copies", 2))
        caches[name] = cache_ops.write(
            copied, case.floats(f"new_{name}", 3), case.integers("slot_mapping", 1)
        )
        yield exact(case, f"{name} cache after the fork", caches[name], f"expected_{name}_cache")
    source = PagedKV(caches["k"], caches["v"], case.integers("block_tables", 2))
    yield from check_outputs(case, source, dtype)


def check_split_kv(case: Case, dtype: DTypeLike) -> Checks:
    source, batch, options = case_cache(case), case_batch(case), case_options(case)
    q = case.floats("q", 3)
    count = int(case.required_number("num_splits"))
    tiling = Tiling(whole_blocks(source, batch), splits=count, dtype=dtype)
    parts = [[normalise(state) for state in seq] for seq in paged_partials(q, source, batch, options, tiling)]
    shape = (count, q.shape[0], q.shape[1])
    outs, lses = np.zeros((*shape, source.value_dim)), np.zeros(shape)
    for seq, splits in zip(batch.sequences(), parts, strict=True):
        for split, part in enumerate(splits):
            outs[split, seq.rows], lses[split, seq.rows] = part.out, part.lse
    yield close(case, "partial out", outs, "partial_out")
    yield close(case, "partial lse", lses, "partial_lse")
    merged = merge_sink(merge_results(outs, lses), options.sink_logit)
    yield close(case, "out, merged", merged.out, "expected_out")
    yield close(case, "lse, merged", merged.lse, "expected_lse")
    yield from check_outputs(case, source, dtype)


def check_cascade(case: Case, dtype: DTypeLike) -> Checks:
    source, batch, options = case_cache(case), case_batch(case), case_options(case)
    results = cascade_attention(
        case.floats("q", 3), source, batch, options, int(case.required_number("prefix_len"))
    )
    for part, result in zip(("prefix", "suffix", "expected"), results, strict=True):
        yield close(case, f"{part} out", result.out, f"{part}_out")
        yield close(case, f"{part} lse", result.lse, f"{part}_lse")
    yield from check_outputs(case, source, dtype)


def check_mla(case: Case, dtype: DTypeLike) -> Checks:
    q_nope, q_pe = case.floats("q_nope", 3), case.floats("q_pe", 3)
    w_uk, w_uv = case.floats("w_uk", 3), case.floats("w_uv", 3)
    cache, rank = case.floats("latent_cache", 3), int(case.required_number("kv_lora_rank"))
    if rank != w_uk.shape[2] or rank + q_pe.shape[2] != cache.shape[2]:
        raise InputError(
            f"{case.file}: meta: kv_lora_rank: {rank}; allowed: {w_uk.shape[2]}, the rank of w_uk, "
            f"which with {q_pe.shape[2]} rotary values fills a cache of {cache.shape[2]}"
        )
    latent = mla.LatentKV(cache, case.integers("block_tables", 2), rank)
    batch, options = case_batch(case), case_options(case)
    for way, result in ways(mla.absorbed_queries(q_nope, q_pe, w_uk), latent, batch, options, dtype):
        yield close(case, f"absorbed latent, {way}", result.out, "expected_latent_out")
        yield close(case, f"absorbed out, {way}", mla.project_values(result.out, w_uv), "expected_out")
        yield close(case, f"absorbed lse, {way}", result.lse, "expected_lse")
    q = np.concatenate([q_nope.astype(np.float64), q_pe.astype(np.float64)], axis=-1)
    for way, result in ways(q, mla.ExpandedKV(latent, w_uk, w_uv), batch, options, dtype):
        yield close(case, f"expanded out, {way}", result.out, "expected_out")
        yield close(case, f"expanded lse, {way}", result.lse, "expected_lse")


def check_cache_ops(case: Case, dtype: DTypeLike) -> Checks:
    case_batch(case)
    slots = case.integers("slot_mapping", 1)
    for name in ("k", "v"):
        cache = case.array(f"{name}_cache")
        written = cache_ops.write(cache, case.array(f"new_{name}"), slots)
        yield exact(case, f"{name} after write", written, f"after_write_{name}")
        if case.has(f"gathered_{name}"):
            gathered = cache_ops.gather(
                written, case.integers("block_tables", 2), case.integers("kv_lens", 1)
            )
            yield exact(case, f"{name} gathered", gathered, f"gathered_{name}")
        copied = cache_ops.copy_blocks(written, case.integers("copies", 2))
        yield exact(case, f"{name} after copy", copied, f"after_copy_{name}")
        host = np.zeros_like(case.array(f"host_{name}"))
        host = cache_ops.swap_blocks(copied, host, case.integers("swap_out", 2))
        yield exact(case, f"{name} on the host", host, f"host_{name}")
        back = cache_ops.swap_blocks(host, copied, case.integers("swap_in", 2))
        yield exact(case, f"{name} after swap in", back, f"after_swap_in_{name}")
    if case.has("expected_slot_mapping"):
        computed = cache_ops.slot_mapping(
            case.integers("block_tables", 2),
            case.integers("q_lens", 1),
            case.integers("kv_lens", 1),
            int(case.required_number("block_size")),
            case.array("k_cache").shape[0],
        )
        yield exact(case, "slot mapping", computed, "expected_slot_mapping")


def check_attention_quantised(case: Case, dtype: DTypeLike) -> Checks:
    source, unquantised, codec_checks = check_quantised(case)
    yield from codec_checks
    yield from check_outputs(case, source, dtype)
    q = case.floats("q", 3)
    exact_out = dense_attention(q, unquantised, case_batch(case), case_options(case)).out
    yield close(case, "out, unquantised", exact_out, "unquantised_out")
    coded_out = dense_attention(q, source, case_batch(case), case_options(case)).out
    found = ErrorStatistics.between(exact_out, coded_out)
    for key, value in (("max_abs", found.max_abs), ("rms", found.rms)):
        key = f"{key}_error_vs_unquantised"
        expected = case.number(key, value)
        yield Check(key, abs(value - expected))
    note = f"output rms error {found.rms:.2e} against unquantised, {stored_bits(case):.2f} bits per value"
    yield Check("precision", 0.0, note=note)


OPS: Mapping[str, Callable[[Case, DTypeLike], Checks]] = {
    "attention": check_attention,
    "fork": check_fork,
    "split_kv": check_split_kv,
    "cascade": check_cascade,
    "mla": check_mla,
    "attention_quantised": check_attention_quantised,
    "cache_ops": check_cache_ops,
    "rounding": lambda case, dtype: check_rounding(case),
}


def run_case(case: Case, precision: str = "float64") -> list[Check]:
    """All checks of a case. Raises InputError for an unknown op, missing arrays or shapes that do not fit."""
    if case.op not in OPS:
        raise InputError(f"{case.file}: meta: op: {case.op[:80]!r}; allowed: {', '.join(OPS)}")
    try:
        return list(OPS[case.op](case, np.dtype(precision)))
    except InputError as error:
        raise InputError(
            *(p if p.startswith(case.file) else f"{case.file}: {p}" for p in error.problems)
        ) from None
    except (ValueError, IndexError, TypeError) as error:
        message = " ".join(str(error).split())[:120]
        raise InputError(f"{case.file}: the arrays do not fit each other: {message}") from error


def passed(checks: list[Check], precision: str = "float64") -> bool:
    return all(check.error <= (0.0 if check.exact else TOLERANCE[precision]) for check in checks)
