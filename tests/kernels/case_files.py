"""A small correct case file, and a way to change it."""

import json

import numpy as np
from batches import make_batch
from click.testing import CliRunner

from kernels_ref.attention_options import AttentionOptions
from kernels_ref.oracle import dense_attention
from sim.cli.verify import verify


def small_case(folder, **changes):
    """A correct attention case of our own; `changes` replace arrays (None removes) or `meta` keys."""
    q, source, batch = make_batch([40, 0, 7], [1, 0, 3], heads=2, kv_heads=1)
    q = q.astype(np.float16)
    k, v = source.k_cache.astype(np.float16), source.v_cache.astype(np.float16)
    halves = type(source)(k, v, source.block_tables)
    result = dense_attention(q, halves, batch, AttentionOptions(scale=0.25))
    meta = {"op": "attention", "name": "small", "scale": 0.25, "block_size": 16} | changes.pop("meta", {})
    arrays = {
        "meta": np.array(json.dumps(meta)),
        "q": q,
        "k_cache": k,
        "v_cache": v,
        "block_tables": source.block_tables.astype(np.int32),
        "q_lens": batch.q_lens.astype(np.int32),
        "kv_lens": batch.kv_lens.astype(np.int32),
        "expected_out": result.out,
        "expected_lse": result.lse,
    } | changes
    path = folder / "small.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def run(*arguments):
    return CliRunner().invoke(verify, [str(a) for a in arguments])
