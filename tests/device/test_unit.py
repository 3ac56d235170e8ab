"""A unit of an SM is work-conserving: nobody waits for an idle unit, and no instant is booked twice."""

from hypothesis import given
from hypothesis import strategies as st

from sim.device.unit import Unit


def test_a_job_on_a_free_unit_runs_at_once() -> None:
    assert Unit().reserve(10, 5, 10) == [(10, 15)]


def test_no_work_books_nothing() -> None:
    assert Unit().reserve(10, 0, 10) == []


def test_a_later_job_fills_the_gap_before_an_earlier_booking_and_goes_on_behind_it() -> None:
    unit = Unit()
    unit.reserve(20, 10, 0)
    # 6 ps of work from 16 on: 4 fit before the booking at 20..30, 2 follow it.
    assert unit.reserve(16, 6, 16) == [(16, 20), (30, 32)]


def test_work_booked_ahead_is_kept_when_its_job_books_again_behind_it() -> None:
    # One job expands at 10..20 and needs the exponentials at 30..35; another one asks at time 5 from 7 on.
    unit = Unit()
    unit.reserve(10, 10, 0)
    unit.reserve(30, 5, 0)
    assert unit.reserve(7, 10, 5) == [(7, 10), (20, 27)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(0, 15)), max_size=12))
def test_bookings_never_overlap_and_never_idle_while_a_job_waits(jobs: list[tuple[int, int, int]]) -> None:
    unit, taken, now = Unit(), set[int](), 0
    for delay, duration, ahead in jobs:
        now += delay // 3
        ready = now + ahead
        booked = unit.reserve(ready, duration, now)
        mine = {t for begin, end in booked for t in range(begin, end)}
        assert len(mine) == duration
        assert not mine & taken
        last = max(mine, default=ready)
        assert all(t in taken | mine for t in range(ready, last)), "an instant was left idle"
        taken |= mine
