"""From a sample to the whole: what the formula must give where the answer is known."""

import numpy as np
import pytest

from sim.sampled.extrapolate import (
    LEAST_ERROR,
    RETURNING,
    Course,
    Run,
    Size,
    Whole,
    extrapolate,
    fitted_pace,
    refill_ratio,
    relative_ci95,
)

RANKS = np.arange(1, 1001, dtype=np.int64)


def whole(detail: Course, coarse: Course, end_ps: int, rounds: int, memory_share: float) -> Whole:
    """One wave of CTAs, sampled and whole."""
    slots = len(RANKS) // rounds
    run = Run(Size(slots, 9 * len(RANKS), slots), end_ps, memory_share)
    return extrapolate(detail, coarse, Size(slots, len(RANKS), slots), run)


def test_a_detail_that_follows_tile_grain_adds_what_tile_grain_adds() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    assert whole(course, course, 5_000_000, rounds=10, memory_share=0).end_ps == pytest.approx(5_000_000)


def test_a_later_begin_carries_over_and_later_tiles_by_half() -> None:
    """The whole takes 5 us at tile grain. The sample's steady part begins 100 ns late; the end is 300 ns late."""
    coarse = Course(RANKS * 1000, 1_100_000)
    late = Course(RANKS * 1000 + 100_000, 1_400_000)
    found = whole(late, coarse, 5_000_000, rounds=10, memory_share=0)
    assert found.end_ps == pytest.approx(5_000_000 + 100_000 + RETURNING * 200_000)


def test_the_pace_is_the_slope_of_the_steady_part() -> None:
    """A ramp of 50 us and a pace of 1.2, exactly."""
    slope, error = fitted_pace(Course(50_000 + RANKS * 1200, 2_000_000), Course(RANKS * 1000, 1_000_000), 10)
    assert slope == pytest.approx(1.2)
    assert error == pytest.approx(0, abs=1e-9)


def test_a_sample_that_scatters_moves_the_pace_less() -> None:
    coarse = Course(RANKS * 1000, 1_000_000)
    calm = Course(RANKS * 1200, 1_200_000)
    jumpy = Course(np.sort(calm.consumed + 150_000 * (RANKS // 250 % 2)), 1_200_000)
    paces = [whole(detail, coarse, 9_000_000, rounds=4, memory_share=0).pace for detail in (calm, jumpy)]
    assert 1 < paces[1] < paces[0] < 1.2


def test_a_sample_moves_the_pace_less_where_memory_rules() -> None:
    coarse = Course(RANKS * 1000, 1_000_000)
    detail = Course(np.sort(RANKS * 1200 + 50_000 * (RANKS // 250 % 2)), 1_200_000)
    rates = [whole(detail, coarse, 9_000_000, rounds=4, memory_share=s).pace for s in (0, 0.5, 1)]
    assert 1.2 > rates[0] > rates[1] > rates[2] > 1


def test_the_interval_narrows_to_the_least_error_where_nothing_is_added() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    found = whole(course, course, course.end, rounds=10, memory_share=0)
    assert relative_ci95(found, found.end_ps, 0.0) == LEAST_ERROR


def test_the_interval_grows_with_the_share_that_is_extrapolated() -> None:
    course = Course(RANKS * 1000, 1_100_000)
    near, far = (whole(course, course, end, rounds=10, memory_share=0) for end in (2_200_000, 11_000_000))
    assert relative_ci95(near, near.end_ps, 0.0) < relative_ci95(far, far.end_ps, 0.0)


def test_what_shortened_ctas_show_counts_by_how_often_the_whole_starts_one() -> None:
    """Ten slots. Two waves of CTAs of 6 tiles: in the middle 72 of 120 tiles 10 start. The whole: 90 in 1600 tiles."""
    sample = Size(20, 120, 10)
    assert refill_ratio(Size(100, 1600, 10), sample) == pytest.approx(90 / 1600 / (10 / 72))
    assert refill_ratio(Size(100, 400, 10), sample) == 1
    assert refill_ratio(Size(10, 1600, 10), Size(10, 120, 10)) == 1


def test_a_pace_that_refills_cause_is_scaled_to_the_whole() -> None:
    coarse, detail = Course(RANKS * 1000, 1_000_000), Course(RANKS * 1100, 1_100_000)
    sample = Size(40, 1000, 20)
    often, seldom = (
        extrapolate(detail, coarse, sample, Run(Size(ctas, 9000, 20), 9_000_000, 0.0)).pace - 1
        for ctas in (320, 170)
    )
    assert often == pytest.approx(2 * seldom)
    assert 0 < seldom < 0.05


def test_sms_that_hold_unequal_numbers_of_ctas_widen_the_interval() -> None:
    course, size = Course(RANKS * 1000, 1_100_000), Size(100, 9000, 120)
    alike, unequal = (
        extrapolate(course, course, Size(100, 1000, 120), Run(size, 9_000_000, 1.0, flag))
        for flag in (False, True)
    )
    assert unequal.end_ps == alike.end_ps
    assert relative_ci95(unequal, unequal.end_ps, 0.0) > relative_ci95(alike, alike.end_ps, 0.0)
    # a sample without scatter leaves the error of two independent estimates, of 3% and of 1%
    assert unequal.pace_error == pytest.approx(0.03 * 0.01 / np.hypot(0.03, 0.01))


def test_the_tail_is_what_the_last_tiles_take_beyond_the_steady_pace() -> None:
    """1000 tiles, 1 ns each, but the last 100 take 5 ns: 500 ns less 100 at the steady pace, of 1400."""
    times = np.where(RANKS <= 900, RANKS * 1000, 900_000 + (RANKS - 900) * 5000)
    assert Course(times, int(times[-1])).tail_share == pytest.approx(400 / 1400, abs=0.005)
    assert Course(RANKS * 1000, 1_000_000).tail_share == pytest.approx(0, abs=0.005)


def test_a_long_tail_of_unequal_sms_is_drawn_to_scale() -> None:
    """From its steady part (300 ns) on the sample takes 800 ns at tile grain, 900 in detail. The whole takes 4,000 more
    than that begin: 5 times as long, 4,500 in detail."""
    coarse = Course(RANKS * 1000, 1_101_000)
    detail = Course(np.sort(np.minimum(RANKS * 1000, 950_000)), 1_201_000)
    size = Size(100, 9000, 120)
    run = Run(size, 4_301_000, 0.5, unequal=True, tail_share=0.2)
    found = extrapolate(detail, coarse, Size(100, 1000, 120), run)
    assert (coarse.first, detail.first) == (301_000, 301_000)
    assert found.end_ps == pytest.approx(301_000 + 4_500_000)
    assert found.pace == pytest.approx(9 / 8)


def test_chance_widens_the_interval() -> None:
    """A standard deviation of 1% of the time, and nothing added: 1.96%, and the least error."""
    course = Course(RANKS * 1000, 1_100_000)
    found = whole(course, course, course.end, rounds=10, memory_share=0)
    assert relative_ci95(found, 1_100_000, 11_000) == pytest.approx(0.0196 + LEAST_ERROR)
