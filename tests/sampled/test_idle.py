"""SMs without work at the end of a launch, beside full runs."""

import pytest

from sim.cli.job import run_named


@pytest.mark.parametrize(
    ("workload", "hardware", "sets"),
    [
        # 1024 CTAs on 132 SMs: the sample has one wave and a bit, whose second wave once stood for all of them.
        ("decode_256x1k", "h200_sxm", ("workload.batch=128", "workload.kernel=fa3")),
        ("verify_32x8k", "b200", ("workload.kernel=fa3", "workload.batch=32", "hw.sm.mma_instructions=[]")),
    ],
)
def test_a_sample_knows_how_long_sms_have_no_work(
    workload: str, hardware: str, sets: tuple[str, ...]
) -> None:
    full, sampled = (
        run_named(workload, hardware, sets, fidelity=fidelity, seed=0, what_if=False, verify=False)
        for fidelity in ("full", "sampled")
    )
    assert sampled.sampling["share"] < 0.3
    assert full.stalls is not None
    assert sampled.stalls is not None
    assert sampled.stalls["no_work"] == pytest.approx(full.stalls["no_work"], abs=0.03)
    assert min(sampled.stalls.values()) >= 0
