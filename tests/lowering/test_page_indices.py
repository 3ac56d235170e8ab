"""Page indices that a kernel asks for when it is about to copy a block, and not ahead."""

from pathlib import Path

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_profile, load_workload

H100 = load_hardware("h100_sxm").spec
SWIFT = (
    "base: flashinfer\nname: swift\nrun_clk: 0\ntile_issue_clk: 0\nbarrier_clk: 0\nsoftmax_ops_per_score: 0\n"
)
"""A loop of next to no instructions, so that a CTA waits for nothing but memory."""
BLOCK, BLOCKS = 128, 64


def walk_ns(folder: Path, page_indices: str, page_tokens: int) -> float:
    """Time of one CTA that walks BLOCKS blocks of K and V, found in L2 with their block table."""
    profile = folder / f"{page_indices}.yaml"
    profile.write_text(SWIFT + f"page_indices: {page_indices}\n")
    sets = (
        f"workload.kernel={profile}",
        "workload.model={layers: 1, q_heads: 8, kv_heads: 1, head_dim: 128, hidden: 1024, ffn: 1024, vocab: 1000}",
        "workload.batch=1",
        f"workload.context={BLOCK * BLOCKS}",
        f"workload.page_tokens={page_tokens}",
        "workload.page_order=sequential",
        "workload.l2_state=warm",
        "workload.mapping={tile_tokens: 64, stages: 2, splits: 1}",
    )
    return simulate(H100, load_workload("decode_16x8k", sets).spec).time_ns


@pytest.mark.parametrize(("page_tokens", "blocks_per_line"), [(1, 1), (4, 1), (16, 4)])
def test_each_further_line_costs_a_cta_a_trip_to_l2(
    tmp_path: Path, page_tokens: int, blocks_per_line: int
) -> None:
    """K of the next block is asked for when that of this one is used, and comes a latency later. Where its page is
    asked for at that moment, and not one line ahead, it comes a trip to L2 later still, at most to the far
    partition and behind the 32 KiB of V that are on their way to the same port. Of 32 indices a line, a block of 128
    tokens needs one or more with pages of up to 4 tokens, and four share one with pages of 16."""
    near = 2 * H100.noc.latency_ns + H100.l2.latency_ns
    behind_v = 32 * 1024 / H100.noc.port_bytes_per_clk / H100.sm.clock_ghz
    lines = BLOCKS / blocks_per_line - 1
    more = walk_ns(tmp_path, "at_use", page_tokens) - walk_ns(tmp_path, "ahead", page_tokens)
    assert near <= more / lines <= near + 2 * H100.noc.far_extra_ns + behind_v


def test_flashinfer_alone_asks_when_it_copies() -> None:
    assert load_profile("flashinfer").page_indices == "at_use"
    assert load_profile("fa3").page_indices == "ahead"


def test_flashinfer_reads_h20_at_its_published_rate_with_pages_and_less_with_single_tokens() -> None:
    """3.4 of 4 TB/s on 78 SMs with pages of 8 to 128 tokens (three published sources)."""
    h20 = ("hw.sm.count=78", "hw.hbm.peak_gb_s=4000", "hw.l2.capacity_mib=60")
    time_ns = {}
    for page in (1, 16):
        sets = ("workload.kernel=flashinfer", "workload.batch=16", f"workload.page_tokens={page}")
        result = simulate(load_hardware("h200_sxm", h20).spec, load_workload("decode_16x8k", sets).spec)
        time_ns[page] = result.time_ns
        kv_bytes = result.bytes["sram_fill"]
    assert kv_bytes / time_ns[16] > 3200
    assert time_ns[1] > 1.03 * time_ns[16]
