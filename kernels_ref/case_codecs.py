"""The stored cases of the codecs: quantised attention (codes and outputs) and rounding tables."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels_ref.attention_options import Ints
from kernels_ref.attention_quantised import Groupwise, GroupwiseKV, ScaledCache, ScaledKV
from kernels_ref.attention_sources import BlockTable, KVSource, PagedKV
from kernels_ref.cases import Case, Check
from kernels_ref.codecs.minifloat import BITS, minifloat
from kernels_ref.codecs.packing import unpack
from kernels_ref.codecs.rules import affine_codes, affine_parameters, float_codes, int8_codes
from kernels_ref.errors import InputError

Checked = tuple[KVSource, KVSource, Iterator[Check]]


def check_quantised(case: Case) -> Checked:
    """(source of the stored codes, source of the unquantised values, checks of the quantiser)."""
    kind = str(case.require("format"))
    if kind == "int4_groupwise" or (kind.startswith("int") and kind.endswith("_groupwise")):
        return _groupwise(case)
    if kind == "int8" or kind in BITS:
        return _scaled(case, kind)
    raise InputError(
        f"{case.file}: meta: format: {kind[:80]!r}; allowed: int8, int4_groupwise, {', '.join(BITS)}"
    )


def stored_bits(case: Case) -> float:
    """Bits per quantised value, scales and zero points included; a residual window is left out."""
    if case.has("quantised_tokens"):
        parameters = case.array("v_scale").itemsize + case.array("v_zero").itemsize
        return case.required_number("bits") + 8 * parameters / case.required_number("group")
    codes = case.array("k_codes")
    parameters = sum(case.array(key).nbytes for key in ("k_scale", "k_zero") if case.has(key))
    return 8 * (codes.nbytes + parameters) / codes.size


def _unquantised(case: Case) -> KVSource:
    return PagedKV(case.floats("k_source", 4), case.floats("v_source", 4), case.integers("block_tables", 2))


def _cached_tokens(case: Case, block_size: int, blocks: int) -> Iterator[tuple[int, Ints, Ints, Ints]]:
    """(sequence, tokens, block, slot) of everything in the cache; other slots hold poison."""
    table = BlockTable(case.integers("block_tables", 2), block_size, blocks)
    for index, kv_len in enumerate(case.integers("kv_lens", 1).tolist()):
        tokens = np.arange(kv_len, dtype=np.int64)
        yield index, tokens, *table.slots(index, tokens)


def _scaled(case: Case, kind: str) -> Checked:
    caches = {}
    for name in ("k", "v"):
        codes = case.array(f"{name}_codes", 4)
        if codes.dtype.kind == "V" or kind != "int8":
            codes = codes.view(np.uint8)
        zero = _broadcastable(case, f"{name}_zero") if case.has(f"{name}_zero") else None
        value: Callable[[NDArray[Any]], NDArray[Any]] = (
            np.asarray if kind == "int8" else minifloat(kind).decode
        )
        caches[name] = ScaledCache(codes, _broadcastable(case, f"{name}_scale"), zero, value)
    source = ScaledKV(caches["k"], caches["v"], case.integers("block_tables", 2))
    return source, _unquantised(case), _scaled_codes(case, kind, caches)


def _broadcastable(case: Case, key: str) -> NDArray[Any]:
    """A scale or zero point over [block, slot, head, dim]; leading dimensions may be left out."""
    values = case.array(key)
    return values.reshape((1,) * (4 - values.ndim) + values.shape)


def _scaled_codes(case: Case, kind: str, caches: dict[str, ScaledCache]) -> Iterator[Check]:
    for name, cache in caches.items():
        values = case.floats(f"{name}_source", 4)
        if kind == "int8":
            codes: NDArray[Any] = int8_codes(values, cache.scale, cache.zero)
        else:
            codes = float_codes(values, cache.scale, minifloat(kind))
        wrong = 0
        for _, _, block, slot in _cached_tokens(case, cache.codes.shape[1], cache.codes.shape[0]):
            wrong += int(np.count_nonzero(codes[block, slot] != cache.codes[block, slot]))
        yield Check(f"{name} codes", float(wrong), exact=True)


def _groupwise(case: Case) -> Checked:
    parts = {
        name: Groupwise(
            case.array(f"{name}_codes", 4),
            case.floats(f"{name}_scale", 4),
            case.floats(f"{name}_zero", 4),
            case.floats(f"{name}_residual", 4),
        )
        for name in ("k", "v")
    }
    group, quantised = int(case.required_number("group")), case.integers("quantised_tokens", 1)
    dim = parts["v"].residual.shape[3]
    if group < 1 or dim % group or (quantised % group).any():
        raise InputError(
            f"{case.file}: meta: group: {group}; allowed: a divisor of the head dimension {dim} "
            f"and of every count in quantised_tokens"
        )
    bits = int(case.required_number("bits"))
    source = GroupwiseKV(parts["k"], parts["v"], case.integers("block_tables", 2), quantised, group, bits)
    return source, _unquantised(case), _groupwise_checks(case, source)


def _groupwise_checks(case: Case, source: GroupwiseKV) -> Iterator[Check]:
    k_source, v_source = case.floats("k_source", 4), case.floats("v_source", 4)
    wrong: dict[str, int] = dict.fromkeys(("k codes", "v codes", "k scale", "v scale", "residual"), 0)
    for index, tokens, block, slot in _cached_tokens(case, source.block_size, source.k.codes.shape[0]):
        old = tokens < int(source.quantised_tokens[index])
        for part, values in ((source.k, k_source), (source.v, v_source)):
            place = block[~old], slot[~old]
            wrong["residual"] += int(np.count_nonzero(part.residual[place] != values[place]))
        block, slot = block[old], slot[old]
        _count_keys(wrong, source, index, block, slot, k_source[block, slot])
        _count_values(wrong, source, block, slot, v_source[block, slot])
    for what, count in wrong.items():
        yield Check(what, float(count), exact=True)


def _count_keys(
    wrong: dict[str, int], source: GroupwiseKV, index: int, block: Ints, slot: Ints, values: NDArray[Any]
) -> None:
    if not len(values):
        return
    groups = values.reshape(-1, source.group, *values.shape[1:])
    scale, zero = affine_parameters(groups, axis=1, bits=source.bits)
    stored = source.k.scale[index, : len(groups)], source.k.zero[index, : len(groups)]
    codes = affine_codes(groups, stored[0][:, None], stored[1][:, None], source.bits).reshape(values.shape)
    wrong["k codes"] += int(np.count_nonzero(codes != unpack(source.k.codes[block, slot], source.bits)))
    wrong["k scale"] += int(np.count_nonzero((scale[:, 0] != stored[0]) | (zero[:, 0] != stored[1])))


def _count_values(
    wrong: dict[str, int], source: GroupwiseKV, block: Ints, slot: Ints, values: NDArray[Any]
) -> None:
    if not len(values):
        return
    groups = values.reshape(*values.shape[:-1], -1, source.group)
    scale, zero = affine_parameters(groups, axis=-1, bits=source.bits)
    stored = source.v.scale[block, slot], source.v.zero[block, slot]
    codes = affine_codes(groups, stored[0][..., None], stored[1][..., None], source.bits).reshape(
        values.shape
    )
    wrong["v codes"] += int(np.count_nonzero(codes != unpack(source.v.codes[block, slot], source.bits)))
    wrong["v scale"] += int(np.count_nonzero((scale[..., 0] != stored[0]) | (zero[..., 0] != stored[1])))


def check_rounding(case: Case) -> Iterator[Check]:
    """Every `codes_<type>_<sat|nonsat>` (or `codes_<type>`) and every `decode_<type>` of the case."""
    keys = [key for key in case.arrays if key.startswith(("codes_", "decode_"))]
    if not keys:
        raise InputError(f"{case.file}: no codes_* or decode_* array; found {', '.join(sorted(case.arrays))}")
    for key in keys:
        if key.startswith("decode_"):
            yield _check_decode(case, key)
        else:
            yield _check_codes(case, key)


def _check_decode(case: Case, key: str) -> Check:
    expected = case.array(key, 1).astype(np.float64)
    values = minifloat(key.removeprefix("decode_")).decode_table()
    if values.shape != expected.shape:
        raise InputError(f"{case.file}: array {key} has {expected.size} codes; allowed: {values.size}")
    same = (values == expected) & (np.signbit(values) == np.signbit(expected))
    same |= np.isnan(values) & np.isnan(expected)
    return Check(key, float(np.count_nonzero(~same)), exact=True)


def _check_codes(case: Case, key: str) -> Check:
    name, _, mode = key.removeprefix("codes_").rpartition("_")
    if mode not in ("sat", "nonsat"):
        name, mode = key.removeprefix("codes_"), "sat"
    kind = minifloat(name)
    computed = kind.encode(case.floats("x").astype(np.float32), saturate=mode == "sat")
    expected = case.array(key).view(np.uint8)
    if computed.shape != expected.shape:
        raise InputError(f"{case.file}: array {key} has shape {expected.shape}; computed {computed.shape}")
    both_nan = np.isnan(kind.decode(computed)) & np.isnan(kind.decode(expected))
    return Check(key, float(np.count_nonzero((computed != expected) & ~both_nan)), exact=True)
