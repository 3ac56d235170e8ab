"""Bounded-state kernels: recurrence, chunked form and quadratic form agree."""

import numpy as np
import pytest

from kernels_ref.errors import InputError
from kernels_ref.ssm import (
    LinearState,
    SsmInputs,
    empty_state,
    feature,
    linear_chunked,
    linear_step,
    ssm_chunked,
    ssm_step,
)


def ssm_inputs(tokens=23, heads=4, groups=2, dim=3, state=5, seed=0):
    rng = np.random.default_rng(seed)
    return SsmInputs(
        rng.standard_normal((tokens, heads, dim)),
        rng.random((tokens, heads)),
        rng.standard_normal((tokens, groups, state)),
        rng.standard_normal((tokens, groups, state)),
        -rng.random(heads),
        rng.standard_normal(heads),
    )


def ssm_quadratic(i):
    """y_t = sum_s<=t exp(A sum_(s,t] dt) (C_t . B_s) dt_s x_s + D x_t, written out."""
    y = np.zeros(i.x.shape)
    for head in range(i.x.shape[1]):
        group = head // (i.x.shape[1] // i.b.shape[1])
        for t in range(len(i.x)):
            for s in range(t + 1):
                decay = np.exp(i.a[head] * i.dt[s + 1 : t + 1, head].sum())
                y[t, head] += decay * (i.c[t, group] @ i.b[s, group]) * i.dt[s, head] * i.x[s, head]
            y[t, head] += i.d[head] * i.x[t, head]
    return y


def test_one_token_of_one_state_by_hand():
    # h = exp(0.5 * -2) * 4 + 0.5 * 3 * 2 = 4/e + 3; y = 10 h + 7 * 3
    one = np.ones((1, 1, 1))
    inputs = SsmInputs(3 * one, np.full((1, 1), 0.5), 2 * one, 10 * one, np.array([-2.0]), np.array([7.0]))
    state, y = ssm_step(np.full((1, 1, 1), 4.0), inputs)
    assert state[0, 0, 0] == pytest.approx(4 / np.e + 3, abs=1e-14)
    assert y[0, 0, 0] == pytest.approx(40 / np.e + 30 + 21, abs=1e-13)


def test_the_recurrence_equals_the_quadratic_form():
    inputs = ssm_inputs()
    _, y = ssm_step(empty_state(inputs), inputs)
    assert np.allclose(y, ssm_quadratic(inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 23, 64])
def test_chunks_of_any_size_give_the_recurrence(chunk):
    inputs = ssm_inputs()
    start = np.random.default_rng(1).standard_normal(empty_state(inputs).shape)
    for computed, expected in zip(ssm_chunked(start, inputs, chunk), ssm_step(start, inputs), strict=True):
        assert np.allclose(computed, expected, rtol=0, atol=1e-12)


def test_decode_goes_on_from_the_state_of_the_prefill():
    inputs = ssm_inputs()
    _, whole = ssm_step(empty_state(inputs), inputs)
    state, _ = ssm_chunked(empty_state(inputs), inputs.part(0, 22), 8)
    _, last = ssm_step(state, inputs.part(22, 23))
    assert np.allclose(last[0], whole[-1], rtol=0, atol=1e-12)


def test_inputs_that_do_not_fit_are_bad_input():
    good = ssm_inputs()
    with pytest.raises(InputError, match="G dividing H"):
        SsmInputs(good.x, good.dt[:5], good.b, good.c, good.a, good.d)
    with pytest.raises(InputError, match="chunk 0"):
        ssm_chunked(empty_state(good), good, 0)


def linear_inputs(tokens=19, heads=2, seed=0):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, tokens, heads, 4))
    return q, k, rng.standard_normal((tokens, heads, 3)), np.array([1.0, 0.9])


@pytest.mark.parametrize("chunk", [1, 5, 32])
def test_linear_attention_equals_its_quadratic_form(chunk):
    q, k, v, decay = linear_inputs()
    distance = np.arange(len(q))[:, None] - np.arange(len(q))[None, :]
    weights = np.einsum("thd,shd->hts", feature(q), feature(k))
    weights = np.where(distance >= 0, weights * decay[:, None, None] ** np.maximum(distance, 0), 0)
    expected = np.einsum("hts,shv->thv", weights / weights.sum(axis=2, keepdims=True), v)
    start = LinearState.empty(2, 4, 3)
    assert np.allclose(linear_step(start, q, k, v, decay)[1], expected, rtol=0, atol=1e-12)
    assert np.allclose(linear_chunked(start, q, k, v, decay, chunk)[1], expected, rtol=0, atol=1e-12)


def test_the_state_does_not_grow_with_the_sequence():
    q, k, v, decay = linear_inputs()
    start = LinearState.empty(2, 4, 3)
    state, _ = linear_step(start, q, k, v, decay)
    chunked, _ = linear_chunked(start, q, k, v, decay, 7)
    # 2 heads x (4 x 3 + 4)
    assert state.values == 32
    assert np.allclose(state.s, chunked.s, rtol=0, atol=1e-12)
    assert np.allclose(state.z, chunked.z, rtol=0, atol=1e-12)


def test_the_feature_map_is_elu_plus_one():
    assert feature(np.array([2.0, 0.0, -1.0])).tolist() == [3.0, 1.0, np.exp(-1.0)]
