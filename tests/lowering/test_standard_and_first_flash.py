"""Standard attention and the two FlashAttentions at N = 4096, head_dim 64 on an A100, or on a quarter of one.

A quarter has 28 of the 108 SMs and a quarter of L2 and memory, so that a few heads fill it: times per head are four
times those of the whole chip. FA1 needs 128 heads there to fill the whole chip (4 sequences of 32 heads, as in the
benchmark of arXiv:2307.08691, section 4.1), and 32 on the quarter.
"""

from functools import cache

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.errors import InputError
from sim.result import Result

N, DIM, VALUE = 4096, 64, 2
QUARTER = (
    "hw.sm.count=28",
    "hw.l2.capacity_mib=10",
    "hw.l2.slices=20",
    "hw.l2.bandwidth_gb_s=1350",
    "hw.hbm.stacks=1",
    "hw.hbm.pin_gbit_s=3.9825",
)
HEAD = N * DIM * VALUE
"""Bytes of the queries (or keys, or values, or outputs) of one head."""


@cache
def run(kernel: str, heads: int, *sets: str, fidelity: str = "full") -> Result:
    every = (
        f"workload.kernel={kernel}",
        f"workload.model.q_heads={heads}",
        f"workload.model.kv_heads={heads}",
        *sets,
    )
    return simulate(
        load_hardware("a100_sxm_80gb", every).spec,
        load_workload("attention_4k", every).spec,
        fidelity=fidelity,
    )


def test_the_sram_fill_of_flash_attention_follows_from_its_tile_counts() -> None:
    # Each of the 4096 / 128 query blocks reads its rows once and all of K and V.
    result = run("fa2_prefill", 5, *QUARTER)
    blocks = N // 128
    assert result.bytes["sram_fill"] == pytest.approx(5 * (HEAD + blocks * 2 * HEAD), rel=0.01)
    # K and V of a head stay in L2: memory gives each byte about once.
    assert result.bytes["hbm_read"] < 2 * 5 * 3 * HEAD < 0.1 * result.bytes["sram_fill"]


def test_the_sram_fill_under_a_causal_mask_ends_with_each_query_blocks_last_row() -> None:
    # Query block b sees 128 (b + 1) keys: in all 128 x 32 x 33 / 2 of them.
    result = run("fa2_prefill", 5, *QUARTER, "workload.causal=true")
    assert result.bytes["sram_fill"] == pytest.approx(
        5 * (HEAD + 2 * DIM * VALUE * 128 * 32 * 33 // 2), rel=0.01
    )


def test_the_first_flash_attention_reads_queries_and_unfinished_outputs_again_for_every_kv_block() -> None:
    # 16 KV blocks of 256: queries in each, FP32 outputs in all but the first.
    result = run("fa1_prefill", 32, *QUARTER)
    assert result.bytes["sram_fill"] == pytest.approx(32 * (2 * HEAD + 16 * HEAD + 15 * 2 * HEAD), rel=0.01)
    # Written: FP32 after 15 blocks, 16 bit after the last one.
    assert result.bytes["l2_write"] == pytest.approx(32 * (15 * 2 * HEAD + HEAD), rel=0.01)


def test_standard_attention_moves_the_scores_through_memory() -> None:
    # S tiles of 128 x 128 read both operands; S is read whole, P once, V for every row block.
    result = run("standard", 5, *QUARTER)
    scores = N * N * VALUE
    tiles = (N // 128) ** 2 * 2 * 128 * DIM * VALUE
    assert result.bytes["sram_fill"] == pytest.approx(5 * (tiles + 2 * scores + N // 128 * HEAD), rel=0.01)
    assert result.bytes["l2_write"] == pytest.approx(5 * (2 * scores + HEAD), rel=0.01)
    # Two matrices of 168 MB do not stay in 10 MiB of L2: both are written and read, less what L2 still holds.
    assert 0.9 * 5 * 2 * scores < result.bytes["hbm_write"] + 10 * 2**20
    assert result.bytes["hbm_read"] > 0.9 * 5 * 2 * scores


def test_standard_attention_takes_2_to_4_times_as_long_as_the_first_flash_attention() -> None:
    ratio = (run("standard", 5, *QUARTER).time_ns / 5) / (run("fa1_prefill", 32, *QUARTER).time_ns / 32)
    assert 2 < ratio < 4
    # On the whole chip 20 heads of standard attention take 1.73 ms, 50 TFLOP/s; published for PyTorch: 36.


def test_the_first_flash_attention_reaches_25_to_40_percent_of_the_peak() -> None:
    result = run("fa1_prefill", 32, *QUARTER)
    assert 0.25 < result.bounds_ns["tensor"] / result.time_ns < 0.40


@pytest.mark.parametrize("causal", ["true", "false"])
@pytest.mark.parametrize(("dim", "heads"), [(64, 32), (128, 16)])
def test_the_second_flash_attention_reaches_50_to_73_percent_of_the_peak(
    dim: int, heads: int, causal: str
) -> None:
    # 4 sequences and heads of 2048 values together, as in arXiv:2307.08691, section 4.1.
    batch = ("workload.batch=4", f"workload.model.head_dim={dim}", f"workload.causal={causal}")
    result = run("fa2_prefill", heads, *batch, fidelity="sampled")
    assert 0.50 < result.bounds_ns["tensor"] / result.time_ns < 0.73


def test_one_cta_per_head_leaves_most_sms_without_work_at_small_batch() -> None:
    result = run("fa1_prefill", 5, *QUARTER)
    assert result.stalls is not None
    # 5 CTAs of equal length on 28 SMs.
    assert result.stalls["no_work"] == pytest.approx(1 - 5 / 28, abs=0.02)


def test_scores_that_do_not_fit_device_memory_are_refused() -> None:
    with pytest.raises(InputError, match="GiB of scores"):
        run("standard", 32, "workload.context=65536")


def test_the_replay_is_refused_for_kernels_it_does_not_know() -> None:
    sets = ("workload.kernel=standard", "workload.context=256")
    hw, workload = load_hardware("a100_sxm_80gb", sets).spec, load_workload("attention_4k", sets).spec
    with pytest.raises(InputError, match="allowed: flash kernels"):
        simulate(hw, workload, verify=True)


def test_standard_attention_decodes_too() -> None:
    sets = ("workload.phase=decode", "workload.q_len=1", "workload.batch=4", "workload.context=1000")
    result = run("standard", 4, *sets)
    # Rows of 1000 scores; keys and values once per head and sequence.
    assert result.bytes["sram_fill"] == pytest.approx(16 * (2 * 1000 * DIM * VALUE + 2 * 2000), rel=0.1)
