"""A wait for a tile is cut by the stamps of its last line; the parts cover the wait without gaps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.causes import CAUSES
from sim.device import wait
from sim.memory.stamps import N_STAMPS, Stamp


def stamped(**values: int) -> NDArray[np.int64]:
    row = np.zeros((1, N_STAMPS), np.int64)
    for name, value in values.items():
        row[0, Stamp[name]] = value
    return row


STAMPS = {
    "SUBMIT": 0,
    "INFLIGHT_WAIT": 30,
    "TRANSLATION_WAIT": 5,
    "ISSUE": 50,
    "TLB_WAIT": 10,
    "L2_ARRIVE": 100,
    "L2_QUEUE": 20,
    "L2_DONE": 150,
    "HBM_ENQUEUE": 150,
    "HBM_QUEUE": 200,
    "HBM_DONE": 450,
    "NOC_QUEUE": 25,
    "SM_ARRIVE": 515,
}


def cut(since: int, until: int, starved: bool, **changes: int) -> dict[str, int]:
    found: dict[str, int] = {}
    at = since
    parts, _ = wait.cut(
        stamped(**STAMPS | changes), np.array([since]), np.array([until]), np.array([starved])
    )
    for code, begin, end in parts.tolist():
        assert begin == at
        at = end
        found[CAUSES[code]] = found.get(CAUSES[code], 0) + end - begin
    assert at == until
    return found


def test_latency_that_more_stage_buffers_would_have_hidden_is_sram_full() -> None:
    parts = cut(0, 515, True)
    # 15 ps of address generation, 5 of translation, 30 at the cap, 10 of TLB; queues 20 + 200 + 25;
    # the rest is latency.
    assert parts["issue"] == 15
    assert parts["translation"] == 5
    assert parts["inflight_limit"] == 30
    assert parts["tlb"] == 10
    assert parts["l2"] == 20
    assert parts["hbm_queue"] == 200
    assert parts["noc"] == 25
    assert parts["sram_full"] == 515 - 15 - 5 - 30 - 10 - 20 - 200 - 25


def test_latency_behind_the_outstanding_cap_is_inflight_limit() -> None:
    parts = cut(0, 515, False)
    assert "sram_full" not in parts
    assert parts["inflight_limit"] == 30 + (515 - 15 - 5 - 30 - 10 - 20 - 200 - 25)


def test_latency_that_nothing_could_have_hidden_stays_with_its_stage() -> None:
    parts = cut(0, 515, False, INFLIGHT_WAIT=0)
    assert parts["hbm_service"] == 100
    assert parts["l2"] == 20 + 30
    assert parts["noc"] == 40 + 25 + 40


def test_the_way_into_the_memory_controller_is_part_of_the_access() -> None:
    parts = cut(0, 515, False, INFLIGHT_WAIT=0, L2_DONE=138)
    assert parts["hbm_service"] == 100 + 12
    assert parts["hbm_queue"] == 200
    assert cut(0, 515, True, L2_DONE=138)["hbm_queue"] == 200


@pytest.mark.parametrize("since", [60, 120, 400, 514])
def test_only_stages_that_overlap_the_wait_are_charged(since: int) -> None:
    parts = cut(since, 515, False, INFLIGHT_WAIT=0)
    assert sum(parts.values()) == 515 - since
    assert "issue" not in parts


def test_a_wait_for_an_mshr_is_divided_as_the_miss_that_holds_one_spends_its_time() -> None:
    """A miss holds it for 300 ps: 200 in memory's queue, 100 in the access. Of a wait of 90, 60 are the queue's, and 30
    the latency that more MSHRs would have hidden."""
    later = {name: STAMPS[name] + 90 for name in ("L2_DONE", "HBM_ENQUEUE", "HBM_DONE", "SM_ARRIVE")}
    parts = cut(0, 605, True, **later, MSHR_WAIT=90, L2_QUEUE=90)
    assert parts["hbm_queue"] == 200 + 60
    assert parts["l2"] == 30


def test_a_wait_for_mshrs_whose_misses_wait_for_a_link_is_the_networks() -> None:
    """Of 400 ps a miss spends 200 in memory's queue, 100 in the access, 100 before the link that the data cross."""
    later = {name: STAMPS[name] + 80 for name in ("L2_DONE", "HBM_ENQUEUE", "HBM_DONE")}
    late = {"MSHR_WAIT": 80, "L2_QUEUE": 80, "NOC_QUEUE": 125, "LINK_QUEUE": 100, "SM_ARRIVE": 695}
    parts = cut(0, 695, True, **later, **late)
    assert parts["hbm_queue"] == 200 + 40
    assert parts["noc"] == 125 + 20
    assert parts["l2"] == 20
