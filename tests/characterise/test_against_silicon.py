"""What the shipped machines show under the microbenchmarks beside measured values: within 10% of one of those of each
quantity, but for the deviations that are written down here.
"""

import pytest

from sim.characterise.characterise import SECTIONS, Row, characterise
from sim.config.load import load_hardware, load_measured

TOLERANCE = 0.1
KNOWN_DEVIATIONS = {"gather_read": 0.15, "inflight_read": 0.12}
"""Of our own curves. Gathers: at 512 B the measured kernel's bulk copies wait for its look-ups; by cp.async the
same gather reads as fast as simulated (H200: 4.02 TB/s in place of 3.42). Bytes in flight: look-ups cost less where the
warps of one SM share them.
"""
FALL_OF_H200 = ("replay", 44)
"""MiB at which silicon keeps all but a tenth in L2 and the simulation two thirds; at 40 and 48 they agree."""


def is_judged(row: Row, name: str) -> bool:
    return name != "h200_sxm" or (row.quantity, row.x) != FALL_OF_H200


def off(rows: list[Row]) -> dict[str, float]:
    found = {}
    for row in rows:
        known = KNOWN_DEVIATIONS.get(row.quantity, TOLERANCE) if row.measured[0].own else TOLERANCE
        nearest = min((value.difference for value in row.measured), key=abs)
        if abs(nearest) > known:
            found[f"{row.quantity} at {row.x:g} {row.x_unit}"] = nearest
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a100_sxm_80gb", "h100_sxm", "h200_sxm", "b200"])
def test_every_measured_quantity_is_near_one_of_its_measured_values(name: str) -> None:
    known, hw = load_measured(name), load_hardware(name).spec
    rows = [row for row in characterise(hw, known, SECTIONS).rows if row.measured]
    assert {row.quantity for row in rows} >= set(known.quantities)
    assert off([row for row in rows if is_judged(row, name)]) == {}


@pytest.mark.slow
def test_chases_leave_the_l2_of_h100_where_ours_did() -> None:
    """Over the fall too: copies of far lines let go of the L2 at two thirds of its capacity, the oldest line first."""
    known, hw = load_measured("h100_sxm"), load_hardware("h100_sxm").spec
    rows = characterise(hw, known, ("chase",)).rows
    assert off([row for row in rows if row.quantity == "chase_latency"]) == {}


@pytest.mark.parametrize("name", ["h100_sxm", "h200_sxm"])
def test_an_entry_and_then_a_word_of_its_page_take_the_time_that_we_measured(name: str) -> None:
    rows = [
        row
        for row in characterise(load_hardware(name).spec, load_measured(name), ("table",)).rows
        if row.measured
    ]
    assert [row.quantity for row in rows] == ["table_word"] * 3
    assert off(rows) == {}
