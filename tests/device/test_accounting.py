"""Every SM-instant has exactly one cause; the causes add up to SMs x time."""

import numpy as np
import pytest

from sim.accounting import Phase, account_sms, check_closed
from sim.causes import BUSY, CAUSES, IDLE, INDEX, WAIT
from sim.device.chain import Chain, Step
from sim.device.recorder import RESIDENT, Recorder, rows_of
from sim.errors import SelfCheckError
from sim.memory.stamps import N_STAMPS, Stamp


def recorded(*rows: tuple[int, str, int, int], sms: int = 1) -> list[np.ndarray]:
    recorders = [Recorder() for _ in range(sms)]
    for sm, name, begin, end in rows:
        recorders[sm].add(RESIDENT if name == "resident" else INDEX[name], begin, end)
    return rows_of(recorders, [], np.zeros((0, N_STAMPS), np.int64).__getitem__)


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
    account = account_sms(rows, 100, [])
    assert account["tensor"] == 40
    assert account["softmax"] == 20
    assert account["barrier"] == 40
    assert sum(account.values()) == 100


def test_waiting_ctas_share_an_instant_equally() -> None:
    rows = recorded(
        (0, "resident", 0, 90), (0, "resident", 0, 90), (0, "resident", 0, 90),
        (0, "hbm_queue", 0, 90), (0, "hbm_queue", 0, 90), (0, "barrier", 0, 90),
    )  # fmt: skip
    account = account_sms(rows, 90, [])
    assert account["hbm_queue"] == pytest.approx(60)
    assert account["barrier"] == pytest.approx(30)


def test_an_sm_without_a_cta_is_idle_for_the_reason_of_the_phase_else_has_no_work() -> None:
    phases = [Phase("launch", 0, 10), Phase("dependency", 50, 70)]
    account = account_sms(recorded((0, "resident", 10, 50), (0, "alu", 10, 50), sms=2), 100, phases)
    assert account["launch"] == 20
    assert account["dependency"] == 40
    assert account["alu"] == 40
    assert account["no_work"] == 200 - 100


def test_a_resident_cta_without_a_cause_is_a_broken_self_check() -> None:
    with pytest.raises(SelfCheckError, match="SM 0 at 5 ps"):
        account_sms(recorded((0, "resident", 0, 10), (0, "noc", 0, 5)), 10, [])


def test_a_resident_cta_with_two_causes_is_a_broken_self_check() -> None:
    rows = recorded((0, "resident", 0, 10), (0, "noc", 0, 10), (0, "l2", 4, 6))
    with pytest.raises(SelfCheckError, match="at 4 ps"):
        account_sms(rows, 10, [])


def test_the_sum_is_compared_and_not_normalised() -> None:
    with pytest.raises(SelfCheckError, match="sums to"):
        check_closed(np.array([99.0, 0.5]), 1, 100)


def test_a_chain_and_a_wait_become_the_rows_of_their_stages_and_stamps() -> None:
    chain = Chain(
        0, (Step(0, INDEX["issue"], 5), Step(1, INDEX["tensor"], 10), Step(-1, INDEX["barrier"], 2))
    )
    stamps = np.zeros((1, N_STAMPS), np.int64)
    stamps[0, Stamp.ISSUE] = 4
    stamps[0, Stamp.L2_ARRIVE :] = 7
    stamps[0, Stamp.NOC_QUEUE :] = 0
    recorder = Recorder()
    recorder.wait(0, 0, 9, False)
    recorder.chain(0, 9)
    recorder.chain(0, 30)
    found = {tuple(row) for row in rows_of([recorder], [chain], stamps.__getitem__)[0].tolist()}
    noc = INDEX["noc"]
    assert found == {
        (INDEX["issue"], 0, 4), (noc, 4, 7), (noc, 7, 9),
        (INDEX["issue"], 9, 14), (INDEX["tensor"], 14, 24), (INDEX["barrier"], 24, 26),
        (INDEX["issue"], 30, 35), (INDEX["tensor"], 35, 45), (INDEX["barrier"], 45, 47),
    }  # fmt: skip
