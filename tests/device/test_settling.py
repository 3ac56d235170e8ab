"""The account is settled whenever rows for fetches run out: how often that is must not show, to the last bit."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.memory.plane import MemoryPlane

CASES = {
    "one CTA an SM": ("decode_64x8k", "workload.batch=2", "workload.context={uniform: [200, 2000]}"),
    "two CTAs an SM": ("decode_64x8k", "workload.batch=6", "workload.context=900", "workload.kernel=fa2"),
    "two streams": ("prefill_4k", "workload.batch=1", "workload.context=512", "workload.q_len=512"),
    "two launches": ("decode_two_level", "workload.batch=2", "workload.context=3000"),
}


@pytest.mark.parametrize("case", CASES)
def test_results_do_not_depend_on_how_often_the_account_is_settled(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload, *sets = CASES[case]
    hw, spec = load_hardware("h100_sxm").spec, load_workload(workload, tuple(sets)).spec
    once = simulate(hw, spec)
    settled: list[int] = []
    make_room = MemoryPlane._make_room

    def eager(plane: MemoryPlane, rows: int) -> None:
        if plane._reclaim is not None:
            settled.append(plane.windows)
            plane._reclaim()
        make_room(plane, rows)

    monkeypatch.setattr(MemoryPlane, "_make_room", eager)
    often = simulate(hw, spec)
    assert len(settled) > 20
    assert (often.time_ns, often.stalls, often.bytes) == (once.time_ns, once.stalls, once.bytes)
    assert often.energy_j == once.energy_j
