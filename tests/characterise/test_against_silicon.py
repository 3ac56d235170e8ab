"""What the shipped machines show under the microbenchmarks is within 10% of a published value of each quantity."""

import pytest

from sim.characterise.characterise import characterise
from sim.config.load import load_hardware, load_measured

TOLERANCE = 0.1
SECTIONS = ("chase", "stream", "inflight")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a100_sxm_80gb", "h100_sxm", "h200_sxm", "b200"])
def test_every_measured_quantity_is_near_one_of_its_published_values(name: str) -> None:
    known = load_measured(name)
    rows = [row for row in characterise(load_hardware(name).spec, known, SECTIONS).rows if row.measured]
    assert {row.quantity for row in rows} >= set(known.quantities)
    off = {
        f"{row.quantity} at {row.x:g} {row.x_unit}": row.simulated
        for row in rows
        if min(abs(value.difference) for value in row.measured) > TOLERANCE
    }
    assert off == {}
