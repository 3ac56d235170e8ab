"""State-space layers: what an SM holds of their updates, and what an update is not."""

from typing import Any

import pytest

from sim.cli.job import run_named
from sim.config.load import load_hardware, load_model, load_profile
from sim.errors import InputError
from sim.lowering.ssm import build_state_update
from sim.result import Result

MAMBA, UPDATE = load_model("mamba2_2p7b"), load_profile("ssm_update")


def run(workload: str, *sets: str, fidelity: str = "full") -> Result:
    how: dict[str, Any] = {"fidelity": fidelity, "seed": 0, "what_if": False, "verify": False}
    return run_named(workload, "h100_sxm", sets, **how)


@pytest.mark.parametrize(
    ("sets", "ctas"),
    [
        # 4 warps x 32 lanes x 96 registers x 4 B = 48 KiB of 256: five; 33 KiB of 228 of SRAM would be six.
        ((), 5),
        (("sm.sram_kib=512",), 5),
        (("sm.regfile_kib=512",), 6),
        (("sm.regfile_kib=512", "sm.sram_kib=512"), 10),
    ],
)
def test_registers_and_sram_both_limit_the_updates_of_an_sm(sets: tuple[str, ...], ctas: int) -> None:
    hw = load_hardware("h100_sxm", sets).spec
    assert build_state_update(MAMBA, 1, 1, UPDATE, hw).ctas_per_sm == ctas


def test_an_update_whose_registers_do_not_fit_is_refused_with_the_sums() -> None:
    with pytest.raises(InputError, match=r"48 KiB of registers per CTA; .* and 32 KiB"):
        run("decode_ssm", "workload.batch=1", "sm.regfile_kib=32")


@pytest.mark.parametrize("fidelity", ["bound", "full"])
@pytest.mark.parametrize("workload", ["decode_ssm", "step_jamba"])
def test_a_scan_of_many_tokens_is_refused_and_not_timed_as_one_update(workload: str, fidelity: str) -> None:
    with pytest.raises(InputError, match=r"phase: found prefill .* allowed: decode or verify"):
        run(workload, "workload.batch=1", "workload.phase=prefill", "workload.context=64", fidelity=fidelity)
    with pytest.raises(InputError, match=r"q_len: found 4 .* allowed: 1"):
        run(workload, "workload.batch=1", "workload.phase=verify", "workload.q_len=4", fidelity=fidelity)


def test_keys_that_say_nothing_of_states_are_refused() -> None:
    with pytest.raises(
        InputError, match="kernel: 'fa3' does not compute ssm layers; allowed: auto, ssm_update"
    ):
        run("decode_ssm", "workload.batch=1", "workload.kernel=fa3")
    with pytest.raises(InputError, match=r"mapping: .* allowed: auto"):
        run("decode_ssm", "workload.batch=1", "workload.mapping={ctas_per_sm: 2}")


def test_attention_of_a_hybrid_has_a_kernel_of_its_name_beside_the_states() -> None:
    layers = ("workload.model.layers=8", "workload.model.experts.layers=4")
    result = run("step_jamba", "workload.batch=1", "workload.context=64", "workload.kernel=fa3", *layers)
    assert result.mapping["kernel"] == "fa3"
