"""`pagewalk verify`: stored cases pass, changed ones fail, unusable files are named."""

import json

import ml_dtypes
import numpy as np
import pytest
from batches import make_batch
from case_files import run, small_case

from kernels_ref.attention_options import AttentionOptions
from kernels_ref.case_ops import OPS, passed, run_case
from kernels_ref.cases import load_case
from kernels_ref.oracle import dense_attention


@pytest.fixture(scope="module")
def stored(shared):
    return sorted((shared / "validation" / "kernels" / "cases").glob("*.npz"))


def test_every_stored_case_passes(stored):
    assert len(stored) >= 22
    result = run(*stored)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"{len(stored)} passed, 0 failed"


def test_every_stored_case_passes_in_float32(stored):
    assert run("--precision", "float32", *stored).exit_code == 0


def test_the_stored_cases_use_every_op(stored):
    assert {load_case(path).op for path in stored} == set(OPS)


def test_errors_of_the_stored_cases_are_rounding_only(stored):
    for path in stored:
        for check in run_case(load_case(path)):
            assert check.error <= (0 if check.exact else 1e-13), (path, check)


def test_json_is_one_object_with_the_agreed_keys(tmp_path):
    path = small_case(tmp_path)
    result = run(path, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(found) == {"schema", "cases", "passed", "failed"}
    assert (found["schema"], found["passed"], found["failed"]) == ("pagewalk.verify/1", 1, 0)
    case = found["cases"][0]
    assert set(case) == {"file", "name", "op", "ok", "max_error"}
    assert (case["file"], case["name"], case["op"], case["ok"]) == (str(path), "small", "attention", True)
    assert case["max_error"] < 1e-13


def test_a_changed_expectation_fails_with_the_size_of_the_change(tmp_path):
    path = small_case(tmp_path)
    expected = load_case(path).arrays["expected_out"].copy()
    expected[0, 0, 0] += 1e-6
    path = small_case(tmp_path, expected_out=expected)
    result = run(path, "--json")
    assert result.exit_code == 1
    case = json.loads(result.stdout)["cases"][0]
    assert not case["ok"]
    # relative to 1 + |x|
    assert case["max_error"] == pytest.approx(1e-6 / (1 + abs(expected[0, 0, 0])), rel=1e-3)
    assert "FAILED" in run(path).output


def test_a_result_that_is_not_finite_is_null_in_json(tmp_path):
    lse = load_case(small_case(tmp_path)).arrays["expected_lse"].copy()
    lse[0, 0] = -np.inf
    result = run(small_case(tmp_path, expected_lse=lse), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["cases"][0]["max_error"] is None


def test_bfloat16_caches_are_recognised_in_every_way_they_are_stored(tmp_path):
    q, source, batch = make_batch([40], [1], heads=2, kv_heads=1)
    k, v = (c.astype(ml_dtypes.bfloat16) for c in (source.k_cache, source.v_cache))
    q = q.astype(ml_dtypes.bfloat16)
    result = dense_attention(q, type(source)(k, v, source.block_tables), batch, AttentionOptions(scale=0.25))
    for stored_as in (lambda x: x, lambda x: x.view(np.uint16), lambda x: x.astype(np.float32)):
        arrays = {"q": q, "k_cache": k, "v_cache": v}
        path = small_case(
            tmp_path,
            **{key: stored_as(value) for key, value in arrays.items()},
            block_tables=source.block_tables,
            q_lens=batch.q_lens,
            kv_lens=batch.kv_lens,
            expected_out=result.out,
            expected_lse=result.lse,
            meta={"dtype": "bfloat16"},
        )
        assert passed(run_case(load_case(path)))
