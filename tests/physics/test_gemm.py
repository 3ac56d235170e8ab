"""GEMMs by roofline with wave quantisation, collectives by the ring formula."""

import pytest

from sim.config.load import load_hardware, load_model
from sim.lowering.gemm import Gemm, all_reduce_ns, gemm_time, projections

HW = load_hardware("h100_sxm").spec
MODEL = load_model("llama3_8b")


def test_a_thin_gemm_streams_its_weights() -> None:
    # One token: 4096 x 4096 weights of 2 B at 3353.6 GB/s are 10.0 us.
    assert gemm_time(Gemm("out", 1, 4096, 4096), MODEL, HW).time_ns == pytest.approx(10_010, rel=0.01)


def test_one_tile_more_than_a_wave_takes_a_second_wave() -> None:
    # 11 x 12 = 132 tiles are one wave of 132 SMs, 7 x 19 = 133 are two; K is long enough that memory keeps up.
    full = gemm_time(Gemm("a", 128 * 11, 128 * 12, 16384), MODEL, HW)
    more = gemm_time(Gemm("b", 128 * 7, 128 * 19, 16384), MODEL, HW)
    assert more.time_ns == pytest.approx(2 * full.time_ns)
    # 131 of 132 SMs idle through the second wave.
    assert more.idle_ns == pytest.approx(131 * full.time_ns)


def test_the_sm_time_of_a_gemm_is_covered_by_its_causes() -> None:
    for gemm in projections(MODEL, 64, 1):
        t = gemm_time(gemm, MODEL, HW)
        assert t.tensor_ns + t.idle_ns + t.memory_ns == pytest.approx(t.time_ns * HW.sm.count)


def test_tensor_parallelism_divides_the_weights() -> None:
    whole = sum(g.n * g.k for g in projections(MODEL, 1, 1))
    assert sum(g.n * g.k for g in projections(MODEL, 1, 8)) == whole / 8


def test_a_ring_all_reduce_moves_twice_its_bytes_less_a_share_and_hops_twice_round() -> None:
    # 14 hops of 8 devices: 14/8 x 1 MB / 450 GB/s + 14 x 0.7 us.
    assert all_reduce_ns(1_000_000, 8, HW) == pytest.approx(14 / 8 * 1e6 / 450 + 14 * 700)
    assert all_reduce_ns(1_000_000, 1, HW) == 0
