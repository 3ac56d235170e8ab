"""Inline ECC in results: check bits apart from the data, in energy, bounds and every fidelity."""

from functools import cache

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_runtime, load_workload, model_of
from sim.kernel_report import joined
from sim.layer import report_around
from sim.result import Result

HEADS = ("workload.batch=4", "workload.context=4096", "workload.layout=NHD")
"""256 B for each token and head: half a block, whose other half is another head's."""


@cache
def decode(block: int, *sets: str, fidelity: str = "full") -> Result:
    hw = load_hardware("l40s", (f"hw.hbm.inline_ecc_bytes={block}",)).spec
    spec = load_workload("decode_16x8k", (*HEADS, *sets)).spec
    return simulate(hw, spec, fidelity=fidelity)


def test_check_bits_are_apart_from_the_data_and_cost_the_energy_of_their_bytes() -> None:
    plain, checked = decode(0), decode(512)
    assert "hbm_ecc" not in plain.bytes
    assert checked.bytes["hbm_read"] == pytest.approx(plain.bytes["hbm_read"], rel=1e-3)
    data = checked.bytes["hbm_read"] + checked.bytes["hbm_write"]
    assert data / 16 < checked.bytes["hbm_ecc"] <= 1.01 * data / 8
    assert checked.counters["hbm_ecc"] == checked.bytes["hbm_ecc"]
    assert checked.time_ns > plain.time_ns
    pj_per_byte = 8 * load_hardware("l40s").spec.energy.hbm_pj_per_bit
    assert checked.energy_j is not None
    assert checked.energy_j["hbm"] == pytest.approx(
        (data + checked.bytes["hbm_ecc"]) * pj_per_byte * 1e-12, rel=1e-9
    )
    assert checked.bandwidth_gb_s["hbm"] == pytest.approx(data / checked.time_ns)


@pytest.mark.parametrize("fidelity", ["full", "bound"])
def test_the_memory_bound_is_that_of_whole_blocks_beside_their_check_bits(fidelity: str) -> None:
    plain, checked = (decode(block, fidelity=fidelity) for block in (0, 512))
    assert checked.bounds_ns["hbm"] / plain.bounds_ns["hbm"] == pytest.approx(17 / 16)
    assert checked.time_ns >= checked.bound_ns


@pytest.mark.parametrize(("layout", "low", "high"), [("HND", 0.99, 1.01), ("NHD", 0.7, 1.0)])
def test_a_sample_is_within_its_interval_and_counts_the_check_bits_of_the_whole(
    layout: str, low: float, high: float
) -> None:
    """Heads that read a block together share its check bits: in a sample, whose CTAs are short, they keep step longer
    than in the whole, and a quarter of the check bits are not seen.
    """
    large = ("workload.kernel=fa2", "workload.batch=48", f"workload.layout={layout}")
    sampled, full = (decode(512, *large, fidelity=fidelity) for fidelity in ("sampled", "full"))
    assert sampled.sampling["share"] < 0.5
    assert sampled.time_ns == pytest.approx(full.time_ns, rel=sampled.sampling["relative_ci95"])
    assert low <= sampled.bytes["hbm_ecc"] / full.bytes["hbm_ecc"] <= high


def test_the_rest_of_a_step_streams_whole_blocks() -> None:
    """GEMMs are bound by their weights, which memory brings at 16/17 of its peak, check bits beside them."""
    spec = load_workload("step_llama3_8b", ()).spec
    plain, checked = (
        joined(
            report_around(
                spec.batch,
                spec.batch,
                model_of(spec),
                spec,
                load_hardware("l40s", (f"hw.hbm.inline_ecc_bytes={block}",)).spec,
                load_runtime("vllm"),
            ),
            {},
        )
        for block in (0, 512)
    )
    data = plain.bytes["hbm_read"] + plain.bytes["hbm_write"]
    assert checked.bytes["hbm_ecc"] == pytest.approx(data / 16, rel=1e-6)
    assert checked.bounds_ns["hbm"] / plain.bounds_ns["hbm"] == pytest.approx(17 / 16)
    assert 1.04 < checked.time_ns / plain.time_ns < 17 / 16
