"""Every kind of unusable case file is one clear message, and nothing is printed as data."""

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from case_files import run, small_case

from kernels_ref.case_ops import run_case
from kernels_ref.cases import load_case
from kernels_ref.errors import InputError
from sim import errors


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
    return path, "a truncated .npz file"


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
    return small_case(folder, alibi_slopes=np.zeros(1)), "alibi_slopes has shape (1,); allowed: (2,)"


def too_few_pads(folder):
    return small_case(folder, leftpad=np.zeros(2, np.int32)), "leftpad has shape (2,); allowed: (3,)"


def too_small_a_tree(folder):
    tree = np.ones((3, 2, 2), np.uint8)
    return small_case(folder, tree_mask=tree), "tree_mask has shape (3, 2, 2); allowed: (3, 3, 3)"


def wrong_head_dimension(folder):
    return small_case(folder, q=np.zeros((4, 2, 5))), "array q has head dimension 5; k_cache has"


def another_value_cache(folder):
    return small_case(folder, v_cache=np.zeros((1, 16, 1, 8))), "array v_cache has shape (1, 16, 1, 8)"


def negative_soft_cap(folder):
    return small_case(folder, meta={"softcap": -30.0}), "meta: softcap: -30.0; allowed: 0 (none) and more"


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
    too_few_pads,
    too_small_a_tree,
    wrong_head_dimension,
    another_value_cache,
    negative_soft_cap,
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


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("mla_decode_bs16", {"kv_lora_rank": 63}, "kv_lora_rank: 63; allowed: 64"),
        ("int4_kivi_g32_bs16", {"group": 7}, "group: 7; allowed: a divisor of the head dimension 64"),
        ("int4_kivi_g32_bs16", {"bits": 3}, "codes of 3 bits cannot be packed"),
        ("int8_token_bs16", {"format": "int3"}, "meta: format: 'int3'; allowed: int8"),
        ("split3_decode", {"num_splits": 0}, "splits 0"),
        ("cascade_two_level", {"prefix_len": -1}, "prefix_len -1"),
    ],
)
def test_an_unsupported_combination_of_format_and_option_is_named(shared, name, option, message):
    case = load_case(shared / "validation" / "kernels" / "cases" / f"{name}.npz")
    with pytest.raises(InputError) as caught:
        run_case(replace(case, meta={**case.meta, **option}))
    assert message in str(caught.value)
    assert str(caught.value).startswith(case.file)
