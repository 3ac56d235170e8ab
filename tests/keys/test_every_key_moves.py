"""Every config key moves a time, a byte count, an energy, an area or an error on a witness made for it.

A key that only its echo shows is a lie to whoever sets it; a new key without a witness fails here.
"""

from collections.abc import Mapping
from typing import Any

import hardware_nudges
import micro_nudges
import pytest
import workload_nudges
from key_witness import Nudge, changed_profile_outcome, leaf_keys, outcome_of, profile_outcome
from profile_nudges import EXEMPT as PROFILE_EXEMPT
from profile_nudges import NUDGES as PROFILE_NUDGES
from profile_nudges import ProfileNudge
from witness_table import WITNESSES

from sim.config.hardware import Hardware
from sim.config.kernel_profile import KernelProfile
from sim.config.micro import Micro
from sim.config.workload import Workload


def cases(nudges: Mapping[str, Any]) -> list[Any]:
    """One test per key; a key known to be dead must stay dead until its entry goes."""
    return [
        pytest.param(key, nudge, id=key, marks=dead_mark(nudge.dead) if nudge.dead else ())
        for key, nudge in nudges.items()
    ]


def dead_mark(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=f"dead key: {reason}")


@pytest.mark.parametrize(
    ("model", "nudges", "exempt"),
    [
        (Hardware, hardware_nudges.NUDGES, hardware_nudges.EXEMPT),
        (Workload, workload_nudges.NUDGES, workload_nudges.EXEMPT),
        (Micro, micro_nudges.NUDGES, micro_nudges.EXEMPT),
        (KernelProfile, PROFILE_NUDGES, PROFILE_EXEMPT),
    ],
    ids=["hardware", "workload", "microbenchmark", "kernel profile"],
)
def test_every_key_of_the_schema_has_a_witness_or_a_reason(
    model: type, nudges: Mapping[str, Any], exempt: Mapping[str, str]
) -> None:
    assert sorted(leaf_keys(model)) == sorted([*nudges, *exempt])


def check_moves(key: str, nudge: Nudge, section: str) -> None:
    witness = WITNESSES[nudge.witness]
    before = outcome_of(witness)
    assert before["error"] is None, "the witness itself must run"
    path = f"{section}.{key.replace('NAME', nudge.name)}"
    after = outcome_of(witness.but(f"{path}={nudge.value}"))
    assert nudge.moves == "error" or after["error"] is None, "a refusal is not the effect that was asked for"
    assert after[nudge.moves] != before[nudge.moves]


@pytest.mark.parametrize(("key", "nudge"), cases(hardware_nudges.NUDGES))
def test_every_hardware_key_moves_something(key: str, nudge: Nudge) -> None:
    check_moves(key, nudge, "hw")


@pytest.mark.parametrize(("key", "nudge"), cases(workload_nudges.NUDGES))
def test_every_workload_key_moves_something(key: str, nudge: Nudge) -> None:
    check_moves(key, nudge, "workload")


@pytest.mark.parametrize(("key", "nudge"), cases(micro_nudges.NUDGES))
def test_every_key_of_a_microbenchmark_moves_something(key: str, nudge: Nudge) -> None:
    check_moves(key, nudge, "workload")


@pytest.mark.parametrize(("key", "nudge"), cases(PROFILE_NUDGES))
def test_every_kernel_profile_key_moves_something(key: str, nudge: ProfileNudge) -> None:
    witness = WITNESSES[nudge.witness].but(f"workload.kernel={nudge.profile}")
    if key == "auto":
        witness = witness.but("workload.kernel=auto")
    before = profile_outcome(witness, nudge.profile)
    assert before["error"] is None, "the witness itself must run"
    after = changed_profile_outcome(witness, nudge.profile, key, nudge.value)
    assert nudge.moves == "error" or after["error"] is None, "a refusal is not the effect that was asked for"
    assert after[nudge.moves] != before[nudge.moves]
