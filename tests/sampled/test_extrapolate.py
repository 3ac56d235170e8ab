"""From a sample to the whole: what the formula must give where the answer is known."""

import numpy as np
import pytest

from sim.sampled.extrapolate import LEAST_ERROR, Course, extrapolate, fitted_pace, relative_ci95

RANKS = np.arange(1, 1001, dtype=np.int64)


def test_a_detail_that_follows_tile_grain_adds_what_tile_grain_adds() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    assert extrapolate(course, course, 5_000_000, rounds=10, memory_share=0).end_ps == pytest.approx(
        5_000_000
    )


def test_the_pace_is_the_slope_of_the_steady_part() -> None:
    """A ramp of 50 us and a pace of 1.2, exactly."""
    slope, error = fitted_pace(Course(50_000 + RANKS * 1200, 2_000_000), Course(RANKS * 1000, 1_000_000), 10)
    assert slope == pytest.approx(1.2)
    assert error == pytest.approx(0, abs=1e-9)


def test_a_sample_that_scatters_moves_the_pace_less() -> None:
    coarse = Course(RANKS * 1000, 1_000_000)
    calm = Course(RANKS * 1200, 1_200_000)
    jumpy = Course(np.sort(calm.consumed + 150_000 * (RANKS // 250 % 2)), 1_200_000)
    paces = [
        extrapolate(detail, coarse, 9_000_000, rounds=4, memory_share=0).pace for detail in (calm, jumpy)
    ]
    assert 1 < paces[1] < paces[0] < 1.2


def test_a_sample_moves_the_pace_less_where_memory_rules() -> None:
    coarse = Course(RANKS * 1000, 1_000_000)
    detail = Course(np.sort(RANKS * 1200 + 50_000 * (RANKS // 250 % 2)), 1_200_000)
    rates = [extrapolate(detail, coarse, 9_000_000, rounds=4, memory_share=s).pace for s in (0, 0.5, 1)]
    assert 1.2 > rates[0] > rates[1] > rates[2] > 1


def test_the_interval_narrows_to_the_least_error_where_nothing_is_added() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    whole = extrapolate(course, course, course.end, rounds=10, memory_share=0)
    assert relative_ci95(whole, whole.end_ps) == LEAST_ERROR


def test_the_interval_grows_with_the_share_that_is_extrapolated() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    near, far = (
        extrapolate(course, course, end, rounds=10, memory_share=0) for end in (2_200_000, 11_000_000)
    )
    assert relative_ci95(near, near.end_ps) < relative_ci95(far, far.end_ps)
