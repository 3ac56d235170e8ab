"""SMs without work at the end of a launch, by hand and beside full runs."""

import numpy as np
import pytest

from sim.cli.job import run_named
from sim.sampled.idle import idle_share


@pytest.mark.parametrize(
    ("ctas", "per_sm", "memory_share", "expected"),
    [
        # Six equal CTAs on four SMs: two idle through the second wave, a quarter of all SM-time.
        (6, 1, 0.0, 0.25),
        # Of a stream of memory the two that are left have twice as much each: half a wave, 2 x 0.5 of 4 x 1.5.
        (6, 1, 1.0, 1 / 6),
        # Whole waves leave nobody idle, however many there are.
        (400, 1, 0.0, 0.0),
        # 402: two SMs idle through the last of 101 waves.
        (402, 1, 0.0, 0.5 / 101),
        # Two places an SM: CTAs 9 and 10 are the only ones of their SMs, the other two idle through the second wave.
        (10, 2, 0.0, 0.25),
    ],
)
def test_the_tail_of_equal_ctas(ctas: int, per_sm: int, memory_share: float, expected: float) -> None:
    tiles = np.full(ctas, 8)
    assert idle_share(tiles, np.arange(ctas), 4, per_sm, memory_share) == pytest.approx(expected)


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
