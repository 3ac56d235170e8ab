"""Cases that combine options, against one explicit softmax per row: plain loops, nothing of the engine."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from kernels_ref import case_ops
from kernels_ref.case_ops import passed, run_case
from kernels_ref.cases import Case

ALL = {"window": 11, "sink_tokens": 3, "softcap": 5.0}
Sees = Callable[[int, int], bool]
"""(position of the row, key) -> visible."""


def expected_row(q, k, v, position, sees, scale, softcap, slopes, sink):
    """(out [Hq, D], lse [Hq]) of one row; math.fsum has no order of summation."""
    heads, group = len(q), len(q) // k.shape[1]
    out, lse = np.zeros((heads, v.shape[2])), np.full(heads, -np.inf)
    keys = [key for key in range(len(k)) if sees(position, key)]
    for h in range(heads):
        logits = [scale * math.fsum(q[h] * k[key, h // group]) for key in keys]
        if softcap:
            logits = [softcap * math.tanh(x / softcap) for x in logits]
        logits = [x + float(slopes[h]) * (key - position) for x, key in zip(logits, keys, strict=True)]
        everything = logits + ([sink[h]] if sink is not None else [])
        if not everything:
            continue
        top = max(everything)
        total = math.fsum(math.exp(x - top) for x in everything)
        lse[h] = top + math.log(total)
        for x, key in zip(logits, keys, strict=True):
            out[h] += math.exp(x - top) / total * v[key, h // group]
    return out, lse


def made_case(
    q_lens, kv_lens, size, heads=(8, 2), meta=None, leftpad=None, alibi=False, sink=False, amount=1
):
    """A case in the stored format, blocks shuffled, everything that must not be read NaN."""
    rng = np.random.default_rng(4)
    meta, dims = {"window": -1, "sink_tokens": 0, "softcap": 0.0, "causal": True} | (meta or {}), (16, 24)
    blocks = [-(-n // size) for n in kv_lens]
    order, tables = rng.permutation(sum(blocks) + 2).tolist(), np.full((len(blocks), max(blocks) + 1), -1)
    caches = [np.full((len(order), size, heads[1], dim), np.nan) for dim in dims]
    slopes = np.float32(2.0) ** -np.arange(1, heads[0] + 1, dtype=np.float32)
    slopes = slopes if alibi else np.zeros(heads[0], np.float32)
    sinks = rng.standard_normal(heads[0]) if sink else None
    q = amount * rng.standard_normal((sum(q_lens), heads[0], dims[0]))
    rows = iter(q)
    outs, lses = [], []
    for s, (q_len, kv_len) in enumerate(zip(q_lens, kv_lens, strict=True)):
        tables[s, : blocks[s]] = [order.pop() for _ in range(blocks[s])]
        k, v = (rng.standard_normal((kv_len, heads[1], dim)) for dim in dims)
        for token in range(kv_len):
            for cache, values in zip(caches, (k, v), strict=True):
                cache[tables[s, token // size], token % size] = values[token]
        pad = 0 if leftpad is None else leftpad[s]

        def sees(position: int, key: int, pad: int = pad) -> bool:
            before = key <= position or not (meta["causal"] or meta["window"] > 0)
            near = meta["window"] <= 0 or key > position - meta["window"] or key < meta["sink_tokens"]
            return position >= 0 and key >= pad and before and near

        for row in range(q_len):
            position = kv_len - q_len + row
            options = 0.25, meta["softcap"], slopes, sinks
            out, lse = expected_row(next(rows), k, v, position, sees, *options)
            outs.append(out)
            lses.append(lse)
    arrays = {"q": q, "k_cache": caches[0], "v_cache": caches[1], "block_tables": tables}
    arrays |= {"q_lens": np.array(q_lens), "kv_lens": np.array(kv_lens)}
    arrays |= {"expected_out": np.array(outs), "expected_lse": np.array(lses)}
    arrays |= {"alibi_slopes": slopes} if alibi else {}
    arrays |= {"sink_logit": sinks} if sink else {}
    arrays |= {"leftpad": np.array(leftpad)} if leftpad else {}
    return Case("made.npz", {"op": "attention", "scale": 0.25, "block_size": size} | meta, arrays)


@pytest.mark.parametrize(
    "options",
    [
        {"q_lens": [3, 1, 20, 0], "kv_lens": [40, 7, 60, 9], "size": 16, "meta": ALL},
        {"q_lens": [9, 3, 4], "kv_lens": [4, 0, 4], "size": 4, "meta": {"window": 2, "sink_tokens": 1}},
        {"q_lens": [1, 2], "kv_lens": [5, 6], "size": 3, "leftpad": [5, 5]},
        {"q_lens": [1, 1], "kv_lens": [300, 5], "size": 128, "heads": (8, 1)},
        {"q_lens": [3, 1], "kv_lens": [20, 9], "size": 1, "meta": {"causal": False}},
        {"q_lens": [2, 1], "kv_lens": [50, 19], "size": 16, "amount": 300, "meta": {"softcap": 20.0}},
    ],
)
@pytest.mark.parametrize("extras", [{}, {"alibi": True, "sink": True}])
def test_options_combine_as_an_explicit_softmax_says(options, extras):
    if options.get("meta") == ALL:
        options = options | {"leftpad": [2, 0, 30, 1]}
    checks = run_case(made_case(**options, **extras))
    assert passed(checks), checks


def test_blocks_of_one_token_do_not_make_a_tile_of_every_key(monkeypatch):
    case = made_case([200], [400], 1, heads=(2, 1))
    tiles = []

    def count(*arguments, real=case_ops.paged_attention):
        tiles.append(-(-400 // arguments[-1].tile_tokens))
        return real(*arguments)

    monkeypatch.setattr(case_ops, "paged_attention", count)
    assert passed(run_case(case))
    assert max(tiles) <= case_ops.MOST_TILES


@pytest.mark.parametrize("sequences", [0, 2])
@pytest.mark.parametrize(("op", "option"), [("attention", {}), ("split_kv", {"num_splits": 3})])
def test_a_batch_without_rows_has_empty_outputs(sequences, op, option):
    lengths, cache = np.zeros(sequences, np.int32), np.full((3, 4, 2, 8), np.nan)
    arrays = {"q": np.zeros((0, 4, 8)), "k_cache": cache, "v_cache": cache, "q_lens": lengths}
    arrays |= {"kv_lens": lengths, "block_tables": np.full((sequences, 2), -1)}
    arrays |= {"expected_out": np.zeros((0, 4, 8)), "expected_lse": np.zeros((0, 4))}
    arrays |= {"partial_out": np.zeros((3, 0, 4, 8)), "partial_lse": np.zeros((3, 0, 4))}
    assert passed(run_case(Case("made.npz", {"op": op, "scale": 0.3} | option, arrays)))
