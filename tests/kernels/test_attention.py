"""The oracle against hand arithmetic, then the paged kernel against the oracle over everything it offers."""

import numpy as np
import pytest
from batches import make_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.attention import Tiling, backward, paged_attention, shuffled, split_bounds
from kernels_ref.attention_options import AttentionOptions, RaggedBatch
from kernels_ref.attention_sources import PagedKV
from kernels_ref.cases import largest_error
from kernels_ref.errors import InputError
from kernels_ref.oracle import dense_attention


def two_keys(options):
    """One row, one head, D = 1: q = 1, keys 0 and ln 3, values 10 and 20."""
    k = np.array([0.0, np.log(3.0)]).reshape(1, 2, 1, 1)
    v = np.array([10.0, 20.0]).reshape(1, 2, 1, 1)
    source = PagedKV(k, v, np.zeros((1, 1), int))
    batch = RaggedBatch(np.array([1]), np.array([2]))
    q = np.ones((1, 1, 1))
    return [attend(q, source, batch, options) for attend in (dense_attention, paged_attention)]


def test_two_keys_weigh_one_to_three():
    # weights 1/4 and 3/4: out = 2.5 + 15; lse = ln(1 + 3)
    for result in two_keys(AttentionOptions()):
        assert result.out[0, 0, 0] == pytest.approx(17.5, abs=1e-14)
        assert result.lse[0, 0] == pytest.approx(np.log(4), abs=1e-15)


def test_a_sink_logit_takes_its_share_and_gives_nothing():
    # ln 4 beside 1 + 3: weights 1/8, 3/8, 4/8(sink)
    for result in two_keys(AttentionOptions(sink_logit=np.array([np.log(4.0)]))):
        assert result.out[0, 0, 0] == pytest.approx(10 / 8 + 20 * 3 / 8, abs=1e-14)
        assert result.lse[0, 0] == pytest.approx(np.log(8), abs=1e-15)


def test_alibi_is_relative_to_the_row():
    # slope ln 3 lowers the older key by ln 3: logits -ln 3, ln 3: weights 1 to 9
    for result in two_keys(AttentionOptions(alibi_slopes=np.array([np.log(3.0)]))):
        assert result.out[0, 0, 0] == pytest.approx((10 + 9 * 20) / 10, abs=1e-13)


def test_the_cap_comes_before_alibi():
    # c = ln 3: the logit ln 3 becomes ln3 * tanh(1); then the older key is lowered by 1.
    capped = np.log(3) * np.tanh(1.0)
    w = np.exp([-1.0, capped])
    for result in two_keys(AttentionOptions(softcap=np.log(3.0), alibi_slopes=np.ones(1))):
        assert result.out[0, 0, 0] == pytest.approx((10 * w[0] + 20 * w[1]) / w.sum(), abs=1e-13)


def test_a_window_of_one_sees_the_own_token_only():
    for result in two_keys(AttentionOptions(window=1)):
        assert result.out[0, 0, 0] == 20.0


def test_a_sink_token_stays_visible_outside_the_window():
    for result in two_keys(AttentionOptions(window=1, sink_tokens=1)):
        assert result.out[0, 0, 0] == pytest.approx(17.5, abs=1e-14)


def test_left_padding_hides_the_first_keys():
    for result in two_keys(AttentionOptions(leftpad=np.array([1]))):
        assert result.out[0, 0, 0] == 20.0


def test_a_row_that_sees_nothing_gives_zero_and_minus_infinity():
    for result in two_keys(AttentionOptions(leftpad=np.array([2]))):
        assert result.out[0, 0, 0] == 0.0
        assert result.lse[0, 0] == -np.inf
    for result in two_keys(AttentionOptions(leftpad=np.array([2]), sink_logit=np.array([0.5]))):
        assert result.out[0, 0, 0] == 0.0
        assert result.lse[0, 0] == 0.5


def test_rows_before_the_first_key_see_nothing():
    q, source, batch = make_batch([2], [5])
    for result in (
        dense_attention(q, source, batch, AttentionOptions()),
        paged_attention(q, source, batch, AttentionOptions()),
    ):
        assert np.all(result.out[:3] == 0)
        assert np.all(np.isneginf(result.lse[:3]))
        assert np.all(np.isfinite(result.lse[3:]))


@st.composite
def calls(draw):
    sequences = draw(st.integers(1, 4))
    kv_lens = draw(st.lists(st.integers(0, 90), min_size=sequences, max_size=sequences))
    q_lens = draw(st.lists(st.integers(0, 12), min_size=sequences, max_size=sequences))
    kv_heads = draw(st.sampled_from([1, 2, 3]))
    heads = kv_heads * draw(st.sampled_from([1, 2, 4]))
    block_size = draw(st.sampled_from([1, 2, 8, 16, 33, 128, 256]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    tree = None
    if draw(st.booleans()) and all(q <= kv for q, kv in zip(q_lens, kv_lens, strict=True)):
        tree = rng.integers(0, 2, (sequences, 12, 12))
    options = AttentionOptions(
        scale=0.25,
        causal=draw(st.booleans()),
        window=draw(st.sampled_from([-1, 1, 7, 40])),
        sink_tokens=draw(st.sampled_from([0, 3])),
        softcap=draw(st.sampled_from([0.0, 5.0])),
        alibi_slopes=draw(st.sampled_from([None, rng.random(heads)])),
        leftpad=draw(st.sampled_from([None, rng.integers(0, 9, sequences)])),
        sink_logit=draw(st.sampled_from([None, rng.standard_normal(heads)])),
        tree_mask=tree,
    )
    tiling = Tiling(
        tile_tokens=draw(st.sampled_from([0, 5, 16, 64])),
        splits=draw(st.integers(1, 4)),
        order=draw(st.sampled_from([backward, shuffled(3)])),
    )
    made = make_batch(kv_lens, q_lens, block_size, heads, kv_heads, seed=draw(st.integers(0, 99)))
    return *made, options, tiling


@settings(max_examples=150, deadline=None)
@given(calls())
def test_any_tiling_of_any_call_agrees_with_the_oracle(call):
    q, source, batch, options, tiling = call
    paged, dense = (
        paged_attention(q, source, batch, options, tiling),
        dense_attention(q, source, batch, options),
    )
    assert largest_error(paged.out, dense.out) < 1e-12
    assert largest_error(paged.lse, dense.lse) < 1e-12


@pytest.mark.parametrize(("loudness", "bound"), [(25.0, 1e-12), (1000.0, 1e-10)])
def test_large_logits_differ_by_the_order_of_summation_only(loudness, bound):
    q, source, batch = make_batch([300, 90], [4, 1], loudness=loudness)
    options = AttentionOptions(scale=0.25)
    logits = 0.25 * np.abs(np.einsum("rhd,bskd->rhbsk", q, np.nan_to_num(source.k_cache))).max()
    assert logits > (80 if loudness < 100 else 1000)
    dense = dense_attention(q, source, batch, options)
    for order in (backward, shuffled(1)):
        paged = paged_attention(q, source, batch, options, Tiling(tile_tokens=24, splits=3, order=order))
        assert largest_error(paged.out, dense.out) < bound
        assert largest_error(paged.lse, dense.lse) < bound


def test_float32_stays_within_its_tolerance():
    q, source, batch = make_batch([300, 90], [4, 1])
    single = paged_attention(q, source, batch, AttentionOptions(scale=0.25), Tiling(dtype=np.float32))
    dense = dense_attention(q, source, batch, AttentionOptions(scale=0.25))
    assert single.out.dtype == np.float32
    assert 1e-12 < largest_error(single.out.astype(np.float64), dense.out) < 1e-5


def test_blocks_outside_the_window_may_be_gone():
    # context 100, window 20, last row at 99: tokens below 80 - their blocks are freed - are never asked for.
    q, source, batch = make_batch([100], [1], block_size=16, freed=[80])
    options = AttentionOptions(window=20)
    assert np.all(source.block_tables[0, :5] == -1)
    paged, dense = paged_attention(q, source, batch, options), dense_attention(q, source, batch, options)
    assert largest_error(paged.out, dense.out) < 1e-12


def test_a_visible_token_without_a_block_is_bad_input():
    q, source, batch = make_batch([100], [1], freed=[80])
    with pytest.raises(InputError, match="block_tables: sequence 0: block 0 is -1"):
        paged_attention(q, source, batch, AttentionOptions())


def test_splits_cover_whole_blocks():
    # 130 tokens in blocks of 16 are 9 blocks: three splits of 3 blocks
    assert list(split_bounds(130, 16, 3)) == [(0, 48), (48, 96), (96, 130)]
    assert list(split_bounds(1, 16, 3)) == [(0, 1), (1, 1), (1, 1)]


def test_shapes_that_do_not_fit_are_bad_input():
    q, source, batch = make_batch([10], [1], heads=3, kv_heads=2)
    with pytest.raises(InputError, match="3 query heads"):
        paged_attention(q, source, batch, AttentionOptions())
    with pytest.raises(InputError, match="negative"):
        RaggedBatch(np.array([1]), np.array([-1]))
    with pytest.raises(InputError, match="sum of q_lens"):
        paged_attention(q[:0], source, batch, AttentionOptions())
