"""The way of a persistent CTA past sequences to its next item costs what it should, on the whole device too."""

import pytest

from sim.cli.job import engine_step
from sim.config.load import load_hardware, load_profile, load_workload, model_of
from sim.config.split import Split
from sim.lowering.item_search import groups_passed
from sim.simulate import Case, simulate_case


def test_a_group_has_31_sequences_and_the_first_one_is_free() -> None:
    assert [groups_passed(0, n) for n in (0, 30, 31, 61, 62, 93)] == [0, 0, 1, 1, 2, 3]
    assert [groups_passed(40, n) for n in (41, 70, 71, 12)] == [0, 0, 1, 0]


def test_the_account_has_the_search_of_every_item() -> None:
    """124 items of one sequence each on 62 SMs, dealt out beforehand: SMs 31 to 61 pass one group on the way to their
    first item, and each SM passes two (62 // 31) on the way to its second: 155 groups."""
    hw = load_hardware("h100_sxm", ("sm.count=62",)).spec
    sets = ("workload.batch=124", "workload.context=256", "workload.tensor_parallel=8", "workload.kernel=fa3")
    workload = load_workload("decode_16x8k", sets).spec
    model = model_of(workload)
    step = engine_step(workload, model, 0, hw)
    dealt = {"scheduling": "stride", "split": Split(), "max_splits": 1}
    profile = load_profile("fa3").model_copy(update=dealt)

    def issue_ns(search_clk: float) -> float:
        profiles = [profile.model_copy(update={"search_clk": search_clk})]
        result = simulate_case(Case(hw, workload, model, profiles, step))
        assert result.stalls is not None
        return result.stalls["issue"] * result.time_ns * 62

    group_ns = 1700 / hw.sm.clock_ghz
    assert issue_ns(1700) - issue_ns(0) == pytest.approx(155 * group_ns, rel=5e-3)
