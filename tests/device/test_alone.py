"""A CTA that has its SM for itself runs ahead of the event loop; its plain twin takes an event for every tile."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.device import dispatch
from sim.device.alone import AloneCta
from sim.device.cta import Cta, Steps

CUT = "workload.mapping={tile_tokens: 64, stages: %d, splits: %d, ctas_per_sm: 1}"
RAGGED = "workload.context={uniform: [200, 3000]}"
CASES = {
    "streams": ("decode_64x8k", "workload.batch=4", RAGGED, CUT % (2, 1)),
    "table lines of two levels": ("decode_two_level", "workload.batch=4", RAGGED, CUT % (3, 2)),
    "expansion": ("decode_64x8k_int4", "workload.batch=4", RAGGED, CUT % (4, 2)),
    "arithmetic": (
        "prefill_4k",
        "workload.batch=1",
        "workload.context=512",
        "workload.q_len=512",
        CUT % (2, 1),
    ),
    "tiles that write": (
        *("prefill_4k", "workload.batch=1", "workload.context=256", "workload.q_len=256"),
        "workload.kernel=fa1_prefill",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_cta_alone_on_its_sm_does_what_any_cta_does_to_the_bit(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload, *sets = CASES[case]
    hw, spec = load_hardware("a100_sxm_80gb").spec, load_workload(workload, tuple(sets)).spec
    made: list[type[Cta]] = []
    life = Cta.run

    def seen(cta: Cta, entry: int) -> Steps:
        made.append(type(cta))
        return life(cta, entry)

    monkeypatch.setattr(Cta, "run", seen)
    ahead = simulate(hw, spec)
    assert AloneCta in made
    monkeypatch.setattr(dispatch, "AloneCta", Cta)
    plain = simulate(hw, spec)
    assert made.count(Cta) >= made.count(AloneCta)
    assert (ahead.time_ns, ahead.stalls, ahead.bytes) == (plain.time_ns, plain.stalls, plain.bytes)
    assert ahead.energy_j == plain.energy_j
