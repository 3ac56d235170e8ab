"""A power limit caps the SM clock where the tensor cores are the load, in all of a result."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.result import Result

CLOCK, HALF = 1.41, 0.705
MODEL = (
    "workload.model={layers: 2, q_heads: 8, kv_heads: 8, head_dim: 128, hidden: 1024, ffn: 4096, vocab: 1024}"
)


def run(phase: str, limit: float | None, *sets: str, fidelity: str = "full") -> Result:
    """Two layers with 512 tokens of context on an A100."""
    every = (
        f"workload.phase={phase}",
        f"workload.q_len={512 if phase == 'prefill' else 1}",
        "workload.batch=4",
        "workload.context=512",
        "workload.causal=false",
        MODEL,
        *sets,
    )
    limits = () if limit is None else (f"hw.sm.busy_clock_ghz={limit}",)
    hw = load_hardware("a100_sxm_80gb", limits).spec
    return simulate(hw, load_workload("decode_64x8k", every).spec, fidelity=fidelity)


def test_half_the_clock_doubles_the_time_of_tensor_cores_in_the_gemms_of_a_prefill_step() -> None:
    step = ("workload.kind=step",)
    free, capped = run("prefill", None, *step), run("prefill", HALF, *step)
    tensor = [r.stalls["tensor"] * r.time_ns for r in (free, capped) if r.stalls]
    assert tensor[1] == pytest.approx(2 * tensor[0], rel=1e-6)
    assert capped.bounds_ns["tensor"] == pytest.approx(2 * free.bounds_ns["tensor"], rel=1e-6)
    assert capped.hardware["sm"]["clock_ghz"] == CLOCK


def test_peaks_follow_the_clock_that_the_limit_leaves() -> None:
    # Four sequences, 8 heads, two products of 512 x 512 x 128; 2048 FLOP per clock on each of 108 SMs.
    flops = 4 * 8 * 2 * 2 * 512 * 512 * 128
    result = run("prefill", HALF, "workload.kernel=fa2_prefill")
    peak = 108 * 2048 * HALF
    assert result.bounds_ns["tensor"] == pytest.approx(flops / peak)
    assert result.utilisation["tensor"] == pytest.approx(flops / peak / result.time_ns)
    bound = run("prefill", HALF, fidelity="bound")
    assert bound.bounds_ns["tensor"] == pytest.approx(flops / peak)


def test_decode_waits_for_memory_at_the_full_clock() -> None:
    free, capped = run("decode", None, "workload.kind=step"), run("decode", HALF, "workload.kind=step")
    assert capped.time_ns == free.time_ns
    assert capped.utilisation == free.utilisation
