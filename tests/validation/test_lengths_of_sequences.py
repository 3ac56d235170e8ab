"""Lengths that a benchmark drew: the stated mean exactly, the stated spread, and more time than equal lengths."""

from dataclasses import replace

import numpy as np
import pytest

from sim.cli.attention_case import time_case
from sim.validation.cases import Machines, Mapped, map_row
from sim.validation.lengths import drawn_lengths
from sim.validation.names import shipped_names
from tests.validation.rows import ROW

MLA = replace(
    ROW, kernel="FlashMLA", batch=128, q_heads=16, kv_heads=1, head_dim=576, context=4096, page_size=64
)


def case_of(**cells: object) -> Mapped:
    case = map_row(replace(MLA, **cells), shipped_names(), Machines())
    assert isinstance(case, Mapped), case
    return case


def test_normal_lengths_have_the_stated_mean_and_half_of_it_as_deviation() -> None:
    drawn = np.array(drawn_lengths("normal", 4000, 4096, 2))
    assert drawn.mean() == 4096
    assert drawn.min() == 2
    # Cut at zero, two deviations below the mean: 1.0043 times the mean, 0.966 of the deviation, by the moments of the
    # censored normal; scaled back to the mean 0.962.
    assert drawn.std() == pytest.approx(0.962 * 2048, rel=0.03)
    assert (drawn == 2).mean() == pytest.approx(0.0228, abs=0.007)


def test_lengths_up_to_the_context_are_even_and_the_first_is_the_longest() -> None:
    drawn = np.array(drawn_lengths("up_to", 4000, 1000, 1))
    assert drawn[0] == drawn.max() == 1000
    assert drawn.mean() == pytest.approx(500.5, rel=0.03)
    assert drawn.std() == pytest.approx(1000 / 12**0.5, rel=0.03)


@pytest.mark.parametrize("kind", ["normal", "up_to"])
def test_every_sequence_has_its_new_tokens(kind: str) -> None:
    assert set(drawn_lengths(kind, 64, 5, 5)) == {5}
    assert drawn_lengths(kind, 1, 77, 1) == (77,)
    assert drawn_lengths(kind, 9, 300, 4) == drawn_lengths(kind, 9, 300, 4)


def test_the_notes_say_how_lengths_were_drawn() -> None:
    assert case_of(notes="varlen=false; context is mean_sk").workload.context == 4096
    varied = case_of(notes="varlen=true; context is mean_sk")
    assert sum(varied.workload.context) == 128 * 4096
    assert varied.kv_bytes == 128 * 4096 * 576 * 2
    assert varied.shape.flops == 128 * 16 * 4096 * (576 + 512) * 2
    longest = case_of(notes="lengths vary up to it")
    assert max(longest.workload.context) == 4096
    assert longest.kv_bytes == sum(longest.workload.context) * 576 * 2


def test_too_many_sequences_are_left_to_the_bounds_of_a_workload() -> None:
    skipped = map_row(replace(MLA, batch=10**12, notes="varlen=true"), shipped_names(), Machines())
    assert not isinstance(skipped, Mapped)
    assert "batch" in skipped.reason


def test_varied_lengths_take_longer_than_equal_ones_of_the_same_bytes() -> None:
    """Parts of equal payload: those with a sequence's end pay a second item, and some sequences are combined."""
    times = [
        time_case(case.hw, case.workload, fidelity="sampled", seed=0).time_ns
        for case in (case_of(notes=notes) for notes in ("", "varlen=true"))
    ]
    assert 1.03 < times[1] / times[0] < 1.15
