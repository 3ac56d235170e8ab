"""`pagewalk verify`: stored cases pass, changed ones fail, unusable files are named."""

import io
import json
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from batches import make_batch
from click.testing import CliRunner

from kernels_ref.attention_options import AttentionOptions
from kernels_ref.case_ops import OPS, passed, run_case
from kernels_ref.cases import load_case
from kernels_ref.errors import InputError
from kernels_ref.oracle import dense_attention
from sim import errors
from sim.cli.verify import verify


@pytest.fixture(scope="module")
def stored(shared):
    return sorted((shared / "validation" / "kernels" / "cases").glob("*.npz"))


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


def archive(folder, members):
    path = folder / "made.npz"
    with zipfile.ZipFile(path, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def npy(values, **options):
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


META = np.array('{"op": "attention", "name": "x", "scale": 1.0}')


def missing_file(folder):
    return folder / "absent.npz", "no such file"


def text_file(folder):
    path = folder / "text.npz"
    path.write_text("hello")
    return path, "not a zip archive"


def a_folder(folder):
    return folder, "not a readable .npz file"


def bare_pickle(folder):
    path = folder / "pickle.npz"
    path.write_bytes(pickle.dumps({"meta": "x"}))
    return path, "not a zip archive"


def pickled_member(folder):
    data = {"meta.npy": npy(META), "q.npy": npy(np.array([{}], dtype=object), allow_pickle=True)}
    return archive(folder, data), "pickled objects are refused"


def pickled_meta(folder):
    return archive(folder, {"meta.npy": npy(np.array({}, dtype=object), allow_pickle=True)}), "pickled"


def foreign_member(folder):
    return archive(folder, {"meta.npy": npy(META), "q": pickle.dumps([1])}), "array q"


def truncated(folder):
    path = small_case(folder)
    path.write_bytes(path.read_bytes()[:-300])
    return path, "not a zip archive"


def damaged(folder):
    path = small_case(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    return path, "not a readable .npz file"


def no_meta(folder):
    return archive(folder, {"q.npy": npy(META)}), "array meta is missing"


def meta_without_json(folder):
    return archive(folder, {"meta.npy": npy(np.array("{op"))}), "not a JSON string"


def meta_of_another_kind(folder):
    return archive(folder, {"meta.npy": npy(np.array("[1]"))}), "JSON list"


def unknown_op(folder):
    return small_case(folder, meta={"op": "teleport"}), "meta: op: 'teleport'; allowed: attention, fork"


def missing_array(folder):
    return small_case(folder, q=None), "array q is missing"


def missing_expectation(folder):
    return small_case(folder, expected_out=None), "array expected_out is missing"


def wrong_dimensions(folder):
    return small_case(
        folder, kv_lens=np.zeros((2, 2), np.int32)
    ), "array kv_lens has 2 dimensions; allowed: 1"


def wrong_type(folder):
    return small_case(folder, q_lens=np.zeros(3)), "array q_lens has type float64; allowed: integers"


def wrong_shape(folder):
    return small_case(folder, expected_out=np.zeros((1, 2, 3))), "array expected_out has shape (1, 2, 3)"


def wrong_heads(folder):
    return small_case(folder, alibi_slopes=np.zeros(5)), "do not fit"


def wrong_block(folder):
    return small_case(folder, block_tables=np.full((3, 3), 99, np.int32)), "block 0 is 99"


def negative_length(folder):
    return small_case(folder, kv_lens=np.array([-1, 0, 7], np.int32)), "negative length"


def wrong_option(folder):
    return small_case(folder, meta={"window": "wide"}), "meta: window: 'wide'; allowed: a number"


def wrong_block_size(folder):
    return small_case(folder, meta={"block_size": 8}), "meta: block_size: 8; the cache has 16"


def too_long(folder):
    return small_case(folder, kv_lens=np.array([10**9, 0, 7], np.int32)), "block_tables hold 48 tokens"


def missing_table_row(folder):
    return small_case(folder, block_tables=np.zeros((1, 3), np.int32)), "block_tables has 1 rows"


def no_scale(folder):
    return small_case(folder, meta={"scale": None}), "meta: scale: 'None'; allowed: a number"


BAD = [
    missing_file,
    text_file,
    a_folder,
    bare_pickle,
    pickled_member,
    pickled_meta,
    foreign_member,
    truncated,
    damaged,
    no_meta,
    meta_without_json,
    meta_of_another_kind,
    unknown_op,
    missing_array,
    missing_expectation,
    wrong_dimensions,
    wrong_type,
    wrong_shape,
    wrong_heads,
    wrong_block,
    negative_length,
    wrong_option,
    wrong_block_size,
    too_long,
    missing_table_row,
    no_scale,
]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_an_unusable_file_is_one_clear_message(make, tmp_path):
    path, message = make(tmp_path)
    result = run(path)
    assert isinstance(result.exception, errors.InputError)
    assert len(result.exception.problems) == 1
    assert str(path) in result.exception.problems[0]
    assert message in result.exception.problems[0]
    assert "\n" not in result.exception.problems[0]
    assert result.output == ""


def test_all_unusable_files_are_named_at_once(tmp_path):
    good, bad = small_case(tmp_path), tmp_path / "absent.npz"
    result = run(bad, good, bad)
    assert len(result.exception.problems) == 2


def test_a_case_asks_for_what_it_needs_by_name(tmp_path):
    case = load_case(small_case(tmp_path, meta={"op": "split_kv"}))
    with pytest.raises(InputError, match="meta: num_splits is missing"):
        run_case(case)
