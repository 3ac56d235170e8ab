"""MLA, cascade, cache movement and score functions, each against another way to the same numbers."""

import numpy as np
import pytest
from batches import make_batch

from kernels_ref import cache_ops, scoremod
from kernels_ref.attention import paged_attention
from kernels_ref.attention_options import AttentionOptions, RaggedBatch
from kernels_ref.cascade import cascade_attention
from kernels_ref.cases import largest_error
from kernels_ref.errors import InputError
from kernels_ref.mla import ExpandedKV, LatentKV, absorbed_queries, project_values
from kernels_ref.oracle import dense_attention


def test_absorbed_and_expanded_mla_are_the_same():
    rng = np.random.default_rng(0)
    latent = LatentKV(rng.standard_normal((4, 16, 24)), np.array([[2, 0, 1]]), rank=16)
    w_uk, w_uv = rng.standard_normal((3, 8, 16)), rng.standard_normal((3, 16, 5))
    q_nope, q_pe = rng.standard_normal((2, 3, 8)), rng.standard_normal((2, 3, 8))
    batch, options = RaggedBatch(np.array([2]), np.array([40])), AttentionOptions(scale=0.2)
    absorbed = paged_attention(absorbed_queries(q_nope, q_pe, w_uk), latent, batch, options)
    q = np.concatenate([q_nope, q_pe], axis=-1)
    expanded = paged_attention(q, ExpandedKV(latent, w_uk, w_uv), batch, options)
    assert largest_error(project_values(absorbed.out, w_uv), expanded.out) < 1e-12
    assert largest_error(absorbed.lse, expanded.lse) < 1e-12


@pytest.mark.parametrize("prefix_len", [0, 32, 40, 64, 160])
def test_a_cascade_equals_attention_over_everything(prefix_len):
    q, source, batch = make_batch([70, 64, 100, 65], [1, 2, 3, 1])
    options = AttentionOptions(scale=0.25, window=50, sink_logit=np.linspace(-1, 1, 4))
    prefix, suffix, merged = cascade_attention(q, source, batch, options, prefix_len)
    dense = dense_attention(q, source, batch, options)
    assert largest_error(merged.out, dense.out) < 1e-12
    assert largest_error(merged.lse, dense.lse) < 1e-12
    if prefix_len == 0:
        assert np.all(np.isneginf(prefix.lse))
    if prefix_len == 160:
        assert np.all(np.isneginf(suffix.lse))


def test_a_negative_prefix_is_bad_input():
    q, source, batch = make_batch([70], [1])
    with pytest.raises(InputError, match="prefix_len -1"):
        cascade_attention(q, source, batch, AttentionOptions(), -1)


def test_write_puts_tokens_at_their_slots_and_skips_minus_one():
    cache = np.zeros((2, 2, 1))
    written = cache_ops.write(cache, np.array([[5.0], [6.0], [7.0]]), np.array([3, -1, 0]))
    assert written.ravel().tolist() == [7.0, 0.0, 0.0, 5.0]
    assert not cache.any()


def test_slots_follow_the_block_table():
    # block size 4; 6 tokens of which the last 3 are new: positions 3, 4, 5 in blocks 7, 2, 2
    slots = cache_ops.slot_mapping(np.array([[7, 2]]), np.array([3]), np.array([6]), 4, 8)
    assert slots.tolist() == [31, 8, 9]


def test_swapping_out_and_in_moves_blocks_and_gather_reads_them_in_order():
    cache = np.arange(12.0).reshape(3, 4, 1)
    host = cache_ops.swap_blocks(cache, np.zeros((2, 4, 1)), np.array([[2, 0]]))
    back = cache_ops.swap_blocks(host, cache, np.array([[0, 1]]))
    assert back[1].tolist() == cache[2].tolist()
    gathered = cache_ops.gather(back, np.array([[1, 0], [0, -1]]), np.array([5, 1]))
    assert gathered.ravel().tolist() == [8.0, 9.0, 10.0, 11.0, 0.0, 0.0]


def test_copies_happen_in_the_order_given():
    cache = np.arange(3.0).reshape(3, 1, 1)
    assert cache_ops.copy_blocks(cache, np.array([[0, 1], [1, 2]])).ravel().tolist() == [0.0, 0.0, 0.0]


def test_slots_outside_the_cache_are_bad_input():
    with pytest.raises(InputError, match="slot_mapping: index 4; allowed: 0 to 3"):
        cache_ops.write(np.zeros((2, 2, 1)), np.ones((1, 1)), np.array([4]))


BUILT_IN_AND_USER = [
    (AttentionOptions(scale=0.25), scoremod.causal, None),
    (
        AttentionOptions(scale=0.25, window=20, sink_tokens=2),
        scoremod.both(scoremod.causal, scoremod.sliding_window(20, 2)),
        None,
    ),
    (
        AttentionOptions(scale=0.25, softcap=3.0, alibi_slopes=np.array([1.0, 0.5, 0.25, 0.125])),
        scoremod.causal,
        scoremod.in_turn(scoremod.soft_cap(3.0), scoremod.alibi(np.array([1.0, 0.5, 0.25, 0.125]))),
    ),
]


@pytest.mark.parametrize(("options", "mask", "score"), BUILT_IN_AND_USER)
def test_user_functions_do_what_the_built_in_options_do(options, mask, score):
    q, source, batch = make_batch([70, 3, 0, 33], [5, 3, 1, 1])
    user = scoremod.flex_attention(q, source, batch, mask_mod=mask, score_mod=score, scale=0.25)
    dense = dense_attention(q, source, batch, options)
    assert largest_error(user.out, dense.out) < 1e-12
    assert largest_error(user.lse, dense.lse) < 1e-12


def test_a_head_may_have_a_mask_of_its_own():
    def even_heads_see_even_keys(sequence, head, q_position, kv_position):
        return (head % 2 == 1) | (kv_position % 2 == 0)

    q, source, batch = make_batch([40], [2])
    options = AttentionOptions(scale=0.25, mask_mod=even_heads_see_even_keys)
    paged, dense = paged_attention(q, source, batch, options), dense_attention(q, source, batch, options)
    plain = paged_attention(q, source, batch, AttentionOptions(scale=0.25))
    assert largest_error(paged.out, dense.out) < 1e-12
    assert np.array_equal(paged.out[:, 1], plain.out[:, 1])
    assert not np.allclose(paged.out[:, 0], plain.out[:, 0])


def test_packed_documents_do_not_see_each_other():
    # Two documents of 20 tokens in one sequence give what two sequences would.
    q, source, batch = make_batch([40], [40])
    ids = [np.repeat([0, 1], 20)]
    packed = scoremod.flex_attention(
        q, source, batch, mask_mod=scoremod.both(scoremod.causal, scoremod.documents(ids))
    )
    first = RaggedBatch(np.array([20]), np.array([20]))
    alone = paged_attention(q[:20], source, first, AttentionOptions(scale=0.25))
    assert largest_error(packed.out[:20], alone.out) < 1e-12
    assert packed.out[20, 0] == pytest.approx(source.read(0, np.array([20]))[1][0, 0], abs=1e-12)


def test_a_prefix_is_seen_by_all_rows():
    q, source, batch = make_batch([40], [40])
    mask = scoremod.prefix_lm(np.array([40]))
    everything = dense_attention(q, source, batch, AttentionOptions(scale=0.25, causal=False))
    assert largest_error(scoremod.flex_attention(q, source, batch, mask_mod=mask).out, everything.out) < 1e-12
    either = scoremod.either(scoremod.causal, mask)
    assert (
        largest_error(scoremod.flex_attention(q, source, batch, mask_mod=either).out, everything.out) < 1e-12
    )


def test_tiles_that_a_mask_hides_are_not_read():
    q, source, batch = make_batch([100], [1], freed=[80])
    window = scoremod.both(scoremod.causal, scoremod.sliding_window(20))
    out = scoremod.flex_attention(q, source, batch, mask_mod=window)
    assert np.all(np.isfinite(out.out))
