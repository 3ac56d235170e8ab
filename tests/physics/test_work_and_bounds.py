"""Work and bounds from counting, not from the simulator."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.bounds import attention_bounds_ns, check_not_beaten
from sim.cli.job import simulate
from sim.config.load import load_hardware, load_model, load_workload
from sim.errors import InputError, SelfCheckError
from sim.formats import KV_STORAGE, token_bytes
from sim.kv_report import kv_report
from sim.memory.peaks import data_peak_gb_s
from sim.work import _most_tokens, step_work, visible_scores


def step_of(contexts: list[int], q_len: list[int], window: int = 0, shared: int = 0, page: int = 16) -> Step:
    shape = Geometry(8, 2, 16, 16, window=window)
    batch = Batch(
        "prefill", shape, np.array(contexts, np.int32), np.array(q_len, np.int32), page,
        page_order="sequential", shared_prefix=shared,
    )  # fmt: skip
    return make_step(batch, 0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=4),
    st.sampled_from([0, 1, 7, 40]),
)
def test_scores_are_the_query_key_pairs_that_see_each_other(rows: list[tuple[int, int]], window: int) -> None:
    contexts = [max(a, b) for a, b in rows]
    q_len = [min(a, b) for a, b in rows]
    expected = 0
    for context, new in zip(contexts, q_len, strict=True):
        for row in range(new):
            position = context - new + row
            first = max(0, position - window + 1) if window else 0
            expected += position - first + 1
    assert visible_scores(step_of(contexts, q_len, window)) == expected


def test_shared_blocks_count_once_and_the_unfilled_part_of_a_block_never() -> None:
    # Two sequences of 40 and 50 tokens share 32: 32 + 8 + 18 tokens of 2 heads x (16 + 16) values x 2 B.
    assert step_work(step_of([40, 50], [1, 1], shared=32)).kv_bytes == (32 + 8 + 18) * 2 * 32 * 2


def test_a_window_needs_only_its_last_tokens() -> None:
    # One query at position 99 sees keys 60 to 99.
    assert step_work(step_of([100], [1], window=40)).kv_bytes == 40 * 2 * 32 * 2


def test_a_warm_cache_can_save_at_most_its_capacity() -> None:
    hw = load_hardware("h100_sxm").spec
    work = step_work(step_of([100_000], [1], page=64))
    cold = attention_bounds_ns(work, ("fp16",), hw, warm=False)["hbm"]
    warm = attention_bounds_ns(work, ("fp16",), hw, warm=True)["hbm"]
    assert cold == pytest.approx((work.kv_bytes + work.query_bytes) / 3353.6, rel=1e-3)
    assert warm == 0
    # 12.8 MB fit; 256 times as much do not, and what does not fit must be read.
    big = step_work(step_of([100_000] * 16, [1] * 16, page=64))
    saved = (
        attention_bounds_ns(big, ("fp16",), hw, warm=False)["hbm"]
        - attention_bounds_ns(big, ("fp16",), hw, warm=True)["hbm"]
    )
    assert saved * 3353.6 == pytest.approx(50 * 2**20, rel=1e-3)


def test_a_result_below_its_bound_is_an_error_and_never_clamped() -> None:
    check_not_beaten(100.0, {"hbm": 100.0})
    with pytest.raises(SelfCheckError, match="beats the hbm bound"):
        check_not_beaten(99.9, {"hbm": 100.0})


@pytest.mark.parametrize(
    ("fmt", "bits"),
    # Published layouts: NVFP4 4.5, MXFP4 4.25, INT8 per token and head 8.125 at 128 values, FP8 per tensor 8,
    # KIVI groups of 32 with FP16 scale and zero point: one more bit per value.
    [("fp16", 16), ("fp8_e4m3", 8), ("int8", 8.125), ("int4", 5), ("mxfp4", 4.25), ("nvfp4", 4.5)],
)
def test_bits_per_value_with_metadata(fmt: str, bits: float) -> None:
    assert token_bytes(fmt, 8, 128, 128) * 8 / (8 * 256) == bits
    assert KV_STORAGE[fmt].data_bytes(128) == KV_STORAGE[fmt].bits * 16


def test_an_mla_row_is_stored_once() -> None:
    # 512 latent + 64 rotary values of 2 B.
    assert token_bytes("bf16", 1, 576, 512, latent=True) == 1152


def test_more_kv_than_capacity_is_bad_input_with_the_sizes() -> None:
    # 10 GiB at 32K for all 80 layers: 16 sequences do not fit 80 GiB beside the weights of one device.
    workload = load_workload("step_llama3_70b_tp8", ("workload.tensor_parallel=1",)).spec
    model = load_model("llama3_70b")
    step = make_step(
        Batch("decode", Geometry(64, 8, 128, 128), np.full(16, 32768, np.int32), np.ones(16, np.int32), 64), 0
    )
    with pytest.raises(InputError, match=r"160\.00 GiB of KV blocks"):
        kv_report(step, model, workload, load_hardware("h100_sxm").spec)


@pytest.mark.parametrize("window", [0, 24])
def test_the_compiled_count_of_tokens_in_frames_is_its_plain_twin(window: int) -> None:
    # Two rows share frame 0; row 1 ends inside its last page.
    table, ptr = np.array([0, 1, 2, 0, 3], np.int32), np.array([0, 3, 5], np.int64)
    end = np.array([48, 20], np.int64)
    first = np.maximum(0, end - window) if window else np.zeros(2, np.int64)
    compiled, plain = np.zeros(4, np.int32), np.zeros(4, np.int32)
    _most_tokens(ptr, table, first, end, 16, compiled)
    _most_tokens.py_func(ptr, table, first, end, 16, plain)
    assert compiled.tolist() == plain.tolist() == ([16, 8, 16, 4] if window else [16, 16, 16, 4])


def test_without_causality_every_new_token_sees_the_whole_context() -> None:
    # 5 and 7 queries of 2 x 4 heads over 40 and 50 keys.
    causal = step_of([40, 50], [5, 7])
    step = replace(causal, geometry=replace(causal.geometry, causal=False))
    assert visible_scores(step) == 5 * 40 + 7 * 50
    assert step_work(step).flops == 2 * 8 * (5 * 40 + 7 * 50) * (16 + 16)
    assert step_work(step).kv_bytes == step_work(causal).kv_bytes


@pytest.mark.parametrize("workload", ["step_jamba", "step_mamba2", "decode_ssm"])
def test_states_count_in_the_bound_that_is_printed_and_in_the_one_that_is_checked(workload: str) -> None:
    sets = ("workload.batch=4", "workload.context=1024")
    hw, spec = load_hardware("h200_sxm").spec, load_workload(workload, sets).spec
    printed, checked = (simulate(hw, spec, fidelity=fidelity).bounds_ns for fidelity in ("bound", "full"))
    assert printed == pytest.approx(checked)


def test_states_are_read_and_written_as_far_as_caches_do_not_keep_them() -> None:
    # 64 sequences x 80 heads x 64 x 128 x 4 B = 167.8 MB; 60 MiB of them may still be in L2 at the end.
    hw = load_hardware("h200_sxm").spec
    size, room = 64 * 80 * 64 * 128 * 4, 60 * 2**20
    bound = simulate(hw, load_workload("decode_ssm").spec, fidelity="bound").bounds_ns["hbm"]
    assert bound * data_peak_gb_s(hw.hbm) == pytest.approx(2 * size - room)
