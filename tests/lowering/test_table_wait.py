"""Waits for page indices that a kernel does not load ahead."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_profile, load_workload
from sim.lowering.table_wait import barrier_clk


@pytest.mark.parametrize(
    ("page_tokens", "share"),
    [(1, 1.0), (2, 1.0), (4, 0.5), (16, 0.125), (128, 1 / 64)],
)
def test_a_line_of_32_indices_serves_tiles_of_64_tokens(page_tokens: int, share: float) -> None:
    profile = load_profile("flashinfer").model_copy(update={"barrier_clk": 100.0, "table_wait_clk": 1600.0})
    assert barrier_clk(profile, page_tokens, 64) == pytest.approx(100 + 1600 * share)
    assert barrier_clk(profile, page_tokens, 64, index_bytes=8) == pytest.approx(
        100 + 1600 * min(1, 2 * share)
    )


def test_a_kernel_that_loads_indices_ahead_has_its_barriers_only() -> None:
    profile = load_profile("fa3")
    assert barrier_clk(profile, 1, 128) == profile.barrier_clk


def test_flashinfer_reads_h20_at_its_published_rate_with_pages_and_not_with_single_tokens() -> None:
    """3.4 of 4 TB/s on 78 SMs with pages of 8 to 128 tokens (three published sources)."""
    h20 = ("hw.sm.count=78", "hw.hbm.peak_gb_s=4000", "hw.l2.capacity_mib=60")
    time_ns = {}
    for page in (1, 16):
        sets = ("workload.kernel=flashinfer", "workload.batch=16", f"workload.page_tokens={page}")
        result = simulate(load_hardware("h200_sxm", h20).spec, load_workload("decode_16x8k", sets).spec)
        time_ns[page] = result.time_ns
        kv_bytes = result.bytes["sram_fill"]
    assert kv_bytes / time_ns[16] > 3200
    assert time_ns[1] > 1.2 * time_ns[16]
