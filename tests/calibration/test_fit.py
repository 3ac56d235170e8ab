"""The search on times that are known in closed form: overheads by hand, parameters recovered, bounds kept."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sim.calibration.fit import cautious_overheads, fit, group_overheads, residuals, uncertainty
from sim.calibration.parameters import Parameter

A = ("vllm", "h100_sxm", "16bit")
B = ("sglang", "h100_sxm", "fp8")
RATE = Parameter("rate", 0.5, 4.0, 2.0, "us per MB")
START = Parameter("start", 0.0, 10.0, 4.0, "us per wave")


def test_uncertainty_is_five_percent_and_the_timer() -> None:
    assert uncertainty(np.array([8.0, 80.0])).tolist() == pytest.approx([0.15, 0.06])


def test_an_overhead_is_the_weighted_median_of_what_is_missing() -> None:
    measured = np.array([11.0, 13.0, 30.0, 50.0])
    simulated = np.array([10.0, 10.0, 10.0, 48.0])
    # Group A misses 1, 3 and 20 us. Weights 1 / (t x uncertainty) = 1 / (0.05 t + 0.8): 0.741, 0.690, 0.435;
    # half of their sum is 0.933, which the second reaches.
    found = group_overheads(measured, simulated, [A, A, A, B])
    assert found == {A: 3.0, B: 2.0}


def test_a_cautious_overhead_is_the_usual_one_where_rows_miss_very_different_times() -> None:
    """Three rows miss 1, 13 and 25 us: a median of 13 with deviations 12, 0, 12, so a standard deviation of
    1.4826 x 12 x 1.2533 / sqrt(3) = 12.87 us beside one of 2.7: a share of 0.0422 of it counts, and 5.2 us of the rest.
    One row alone has the timer's 0.8 x 1.2533 = 1.003 us: a share of 0.8788."""
    measured, simulated = np.array([11.0, 23.0, 35.0, 12.0]), np.full(4, 10.0)
    found = cautious_overheads(measured, simulated, [A, A, A, B])
    assert found == pytest.approx({A: 5.2 + 0.0422 * (13 - 5.2), B: 5.2 + 0.8788 * (2 - 5.2)}, abs=0.01)


@pytest.mark.parametrize(("measured", "overhead"), [(100.0, 20.0), (5.0, 0.0)])
def test_an_overhead_is_from_0_to_20_us(measured: float, overhead: float) -> None:
    assert group_overheads(np.array([measured]), np.array([10.0]), [A]) == {A: overhead}


def test_a_residual_is_the_log_error_over_the_uncertainty() -> None:
    # The group misses -2 us, so that nothing is added: ln(10 / 8) / (0.05 + 0.8 / 8).
    found = residuals(np.array([8.0]), np.array([10.0]), [A])
    assert found.tolist() == pytest.approx([math.log(1.25) / 0.15])


SIZE = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
WAVES = np.array([1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0])


def model(values: np.ndarray) -> np.ndarray:
    return values[0] * SIZE + values[1] * WAVES


def test_known_parameters_are_recovered_with_their_overheads() -> None:
    groups = [A, B] * 4
    added = np.array([3.0, 7.0] * 4)
    measured = model(np.array([1.7, 2.5])) + added
    values = fit((RATE, START), (0.6, 9.0), measured, groups, model, 40)
    # What a parameter is usually pulls a little where few rows tell.
    assert values.tolist() == pytest.approx([1.7, 2.5], rel=0.03)
    assert group_overheads(measured, model(values), groups) == pytest.approx({A: 3.0, B: 7.0}, abs=0.5)


def test_one_wild_row_moves_little() -> None:
    measured = model(np.array([1.7, 2.5])) + 4.0
    measured[5] *= 3
    values = fit((RATE, START), (1.0, 5.0), measured, [A] * 8, model, 40)
    assert values.tolist() == pytest.approx([1.7, 2.5], rel=0.1)


def test_bounds_are_kept_and_a_start_on_them_moves() -> None:
    measured = model(np.array([9.0, 2.5]))
    values = fit((RATE, START), (RATE.low, START.high), measured, [A] * 8, model, 40)
    assert RATE.low <= values[0] <= RATE.high
    assert START.low <= values[1] <= START.high
    assert values[0] > 3.9


def test_a_parameter_without_effect_takes_its_usual_value() -> None:
    measured = 1.7 * SIZE
    values = fit((RATE, START), (1.0, 6.0), measured, [A] * 8, lambda v: v[0] * SIZE, 40)
    assert values[1] == pytest.approx(START.usual, rel=0.01)


def test_a_narrow_expectation_holds_against_what_few_rows_say_of_a_parameter() -> None:
    """One row of 100 us is 94 at the usual value of 4: a residual of ln(0.94) / 0.058 = -1.07, and 0.26 more for each
    step of the parameter. Against an expectation of 5 wide (half of the range) the least sum of squares is at
    1.07 x 0.26 / (0.26^2 + 1 / 5^2) = 2.6 above; of 0.2, at 0.01."""
    measured, known = np.array([100.0]), {A: 0.0}

    def predict(values: np.ndarray) -> np.ndarray:
        return np.array([88.0 + 1.5 * values[0]])

    wide, narrow = (
        fit((replace(START, spread=spread),), (4.0,), measured, [A], predict, 40, known)[0]
        for spread in (0.5, 0.02)
    )
    assert wide == pytest.approx(6.6, abs=0.3)
    assert narrow == pytest.approx(4.01, abs=0.02)
