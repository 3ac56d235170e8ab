"""Every SM-instant has exactly one cause; the causes add up to SMs x time."""

import numpy as np
import pytest

from sim.accounting import Phase, account_sms, check_closed
from sim.causes import BUSY, CAUSES, IDLE, INDEX, WAIT
from sim.device.recorder import RESIDENT, Recorder
from sim.errors import SelfCheckError


def recorded(*rows: tuple[int, str, int, int]) -> np.ndarray:
    recorder = Recorder()
    for sm, name, begin, end in rows:
        recorder.add(sm, RESIDENT if name == "resident" else INDEX[name], begin, end)
    return recorder.rows()


def test_the_list_of_causes_is_closed_and_has_no_duplicates() -> None:
    assert CAUSES == BUSY + WAIT + IDLE
    assert len(set(CAUSES)) == len(CAUSES) == 21


def test_a_working_unit_hides_every_wait_and_tensor_hides_softmax() -> None:
    rows = recorded(
        (0, "resident", 0, 100),
        (0, "tensor", 0, 40),
        (0, "softmax", 30, 60),
        (0, "barrier", 60, 100),
    )
    account = account_sms(rows, 1, 100, [])
    assert account["tensor"] == 40
    assert account["softmax"] == 20
    assert account["barrier"] == 40
    assert sum(account.values()) == 100


def test_waiting_ctas_share_an_instant_equally() -> None:
    rows = recorded(
        (0, "resident", 0, 90), (0, "resident", 0, 90), (0, "resident", 0, 90),
        (0, "hbm_queue", 0, 90), (0, "hbm_queue", 0, 90), (0, "barrier", 0, 90),
    )  # fmt: skip
    account = account_sms(rows, 1, 90, [])
    assert account["hbm_queue"] == pytest.approx(60)
    assert account["barrier"] == pytest.approx(30)


def test_an_sm_without_a_cta_is_idle_for_the_reason_of_the_phase_else_has_no_work() -> None:
    phases = [Phase("launch", 0, 10), Phase("dependency", 50, 70)]
    account = account_sms(recorded((0, "resident", 10, 50), (0, "alu", 10, 50)), 2, 100, phases)
    assert account["launch"] == 20
    assert account["dependency"] == 40
    assert account["alu"] == 40
    assert account["no_work"] == 200 - 100


def test_a_resident_cta_without_a_cause_is_a_broken_self_check() -> None:
    with pytest.raises(SelfCheckError, match="SM 0 at 5 ps"):
        account_sms(recorded((0, "resident", 0, 10), (0, "noc", 0, 5)), 1, 10, [])


def test_a_resident_cta_with_two_causes_is_a_broken_self_check() -> None:
    rows = recorded((0, "resident", 0, 10), (0, "noc", 0, 10), (0, "l2", 4, 6))
    with pytest.raises(SelfCheckError, match="at 4 ps"):
        account_sms(rows, 1, 10, [])


def test_the_sum_is_compared_and_not_normalised() -> None:
    with pytest.raises(SelfCheckError, match="sums to"):
        check_closed(np.array([99.0, 0.5]), 1, 100)
