"""Cases in the stored format with other options than the shipped ones, quantised caches written by hand."""

import json
import math

import ml_dtypes
import numpy as np
import pytest
from batches import make_batch

from kernels_ref.attention_options import AttentionOptions
from kernels_ref.case_ops import passed, run_case
from kernels_ref.cases import Case
from kernels_ref.oracle import dense_attention

AXES = {"tensor": (0, 1, 2, 3), "head": (0, 1, 3), "channel": (0, 1), "token": (3,)}
FLOATS = {"float8_e4m3fn": (ml_dtypes.float8_e4m3fn, 448.0), "float8_e5m2": (ml_dtypes.float8_e5m2, 57344.0)}


def sources(block_size=8, dim=32):
    """(q, k, v, source, batch) in float16; unused slots are zero, as a quantiser would meet them."""
    q, source, batch = make_batch([50, 1, 0, 33], [2, 1, 0, 1], block_size, dim=dim)
    k, v = (np.nan_to_num(cache).astype(np.float16) for cache in (source.k_cache, source.v_cache))
    return q.astype(np.float16), k, v, source, batch


def quantised_case(kind, meta, arrays, q, k, v, source, batch, k_value, v_value):
    """The case whose expected output is attention over the dequantised caches `k_value`, `v_value`."""
    options = AttentionOptions(scale=0.2)
    coded = dense_attention(q, type(source)(k_value, v_value, source.block_tables), batch, options)
    plain = dense_attention(q, type(source)(k, v, source.block_tables), batch, options)
    stored = {
        "q": q,
        "k_source": k,
        "v_source": v,
        "block_tables": source.block_tables,
        "q_lens": batch.q_lens,
        "kv_lens": batch.kv_lens,
        "expected_out": coded.out,
        "expected_lse": coded.lse,
        "unquantised_out": plain.out,
    }
    meta = {"op": "attention_quantised", "format": kind, "scale": 0.2, "block_size": k.shape[1]} | meta
    return Case("made.npz", json.loads(json.dumps(meta)), stored | arrays)


def scaled_case(kind, granularity, asymmetric=False):
    q, k, v, source, batch = sources()
    arrays, values = {}, []
    for name, x in (("k", k.astype(np.float32)), ("v", v.astype(np.float32))):
        axes = AXES[granularity]
        if asymmetric:
            low, high = x.min(axis=axes, keepdims=True), x.max(axis=axes, keepdims=True)
            scale = np.maximum((high - low) / np.float32(255), np.float32(1e-6))
            zero = np.rint(-128 - low / scale).astype(np.float32)
            codes = np.clip(np.rint(x / scale + zero), -128, 127).astype(np.int8)
            arrays[f"{name}_zero"] = zero
            values.append((codes.astype(np.float64) - zero) * scale)
        else:
            largest = 127.0 if kind == "int8" else FLOATS[kind][1]
            absmax = np.maximum(np.abs(x).max(axis=axes, keepdims=True), np.float32(1e-6))
            scale = absmax / np.float32(largest)
            codes = (
                np.rint(x / scale).astype(np.int8) if kind == "int8" else (x / scale).astype(FLOATS[kind][0])
            )
            values.append(codes.astype(np.float64) * scale)
        arrays[f"{name}_codes"] = codes if kind == "int8" else codes.view(np.uint8)
        arrays[f"{name}_scale"] = scale
    return quantised_case(kind, {"granularity": granularity}, arrays, q, k, v, source, batch, *values)


@pytest.mark.parametrize("kind", ["int8", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("granularity", AXES)
def test_scaled_caches_of_every_granularity(kind, granularity):
    checks = run_case(scaled_case(kind, granularity))
    assert passed(checks), checks
    assert {"k codes", "v codes"} <= {check.what for check in checks}


@pytest.mark.parametrize("granularity", AXES)
def test_asymmetric_int8(granularity):
    assert passed(run_case(scaled_case("int8", granularity, asymmetric=True)))


def test_one_wrong_code_is_found_although_the_output_barely_moves():
    case = scaled_case("int8", "token")
    codes = case.arrays["k_codes"].copy()
    block, slot = case.arrays["block_tables"][0, 1], 3
    codes[block, slot, 0, 0] ^= 1
    checks = run_case(Case(case.file, case.meta, {**case.arrays, "k_codes": codes}))
    assert not passed(checks)
    assert [check.error for check in checks if check.what == "k codes"] == [1.0]


@pytest.mark.parametrize(
    ("group", "residual", "block_size"), [(8, 0, 8), (16, 16, 4), (32, 8, 1), (32, 64, 128)]
)
def test_int4_groups_and_residual_windows(group, residual, block_size):
    q, k, v, source, batch = sources(block_size)
    lens = batch.kv_lens.tolist()
    quantised = [max(n - residual, 0) // group * group for n in lens]
    blocks, size, heads, dim = k.shape
    arrays = {
        "k_codes": np.full((blocks, size, heads, dim // 2), 0x55, np.uint8),
        "v_codes": np.full((blocks, size, heads, dim // 2), 0x55, np.uint8),
        "k_scale": np.zeros((len(lens), max(quantised) // group, heads, dim), np.float32),
        "k_zero": np.zeros((len(lens), max(quantised) // group, heads, dim), np.float32),
        "v_scale": np.zeros((blocks, size, heads, dim // group), np.float32),
        "v_zero": np.zeros((blocks, size, heads, dim // group), np.float32),
        "k_residual": k.copy(),
        "v_residual": v.copy(),
        "quantised_tokens": np.array(quantised),
    }
    values = {"k": k.astype(np.float64), "v": v.astype(np.float64)}
    for s, old in enumerate(quantised):
        place = [(int(source.block_tables[s, t // size]), t % size) for t in range(old)]
        for first in range(0, old, group):
            for h in range(heads):
                for d in range(dim):
                    where = [(b, t, h, d) for b, t in place[first : first + group]]
                    code_group(arrays, values, "k", k, where, (s, first // group, h, d))
        for b, t in place:
            for h in range(heads):
                for g in range(dim // group):
                    where = [(b, t, h, d) for d in range(g * group, (g + 1) * group)]
                    code_group(arrays, values, "v", v, where, (b, t, h, g))
            arrays["k_residual"][b, t] = arrays["v_residual"][b, t] = np.nan
    meta = {"group": group, "bits": 4, "residual": residual}
    case = quantised_case("int4_groupwise", meta, arrays, q, k, v, source, batch, values["k"], values["v"])
    checks = run_case(case)
    assert passed(checks), checks


def code_group(arrays, values, name, x, where, parameter):
    """Quantise the numbers at `where` as one group, one number after another."""
    numbers = [np.float32(x[w]) for w in where]
    low = min(numbers)
    scale = np.float32((max(numbers) - low) / np.float32(15))
    arrays[f"{name}_scale"][parameter], arrays[f"{name}_zero"][parameter] = scale, low
    for (b, t, h, d), number in zip(where, numbers, strict=True):
        code = int(np.rint(np.clip((number - low) / (scale or np.float32(1)), 0, 15)))
        byte, shift = (b, t, h, d // 2), 4 * (d % 2)
        kept = int(arrays[f"{name}_codes"][byte]) & (0xF0 if shift == 0 else 0x0F)
        arrays[f"{name}_codes"][byte] = kept | code << shift
        values[name][b, t, h, d] = code * float(scale) + float(low)


def test_splits_with_a_window_and_sinks():
    q, source, batch = make_batch([130, 16, 47, 0], [1, 1, 3, 1])
    options = AttentionOptions(scale=0.25, window=40, sink_tokens=4)
    dense = dense_attention(q, source, batch, options)
    outs, lses = [], []
    for split in range(3):
        bounds = []
        for n in batch.kv_lens.tolist():
            per = math.ceil(math.ceil(n / 16) / 3) * 16
            bounds.append((split * per, (split + 1) * per))

        def inside(sequence, head, q_position, kv_position, bounds=bounds):
            first, last = bounds[sequence]
            return (kv_position >= first) & (kv_position < last)

        masked = AttentionOptions(scale=0.25, window=40, sink_tokens=4, mask_mod=inside)
        part = dense_attention(q, source, batch, masked)
        outs.append(part.out)
        lses.append(part.lse)
    arrays = {
        "q": q,
        "k_cache": source.k_cache,
        "v_cache": source.v_cache,
        "block_tables": source.block_tables,
        "q_lens": batch.q_lens,
        "kv_lens": batch.kv_lens,
        "partial_out": np.stack(outs),
        "partial_lse": np.stack(lses),
        "expected_out": dense.out,
        "expected_lse": dense.lse,
    }
    meta = {
        "op": "split_kv",
        "scale": 0.25,
        "num_splits": 3,
        "window": 40,
        "sink_tokens": 4,
        "block_size": 16,
    }
    assert passed(run_case(Case("made.npz", meta, arrays)))
