"""A sleeping channel can be taken out of the event queue, which finds rows of the calendar only."""

from sim.memory.events import BUCKETS, SHIFT
from sim.memory.hbm_train import MAX_SLEEP_PS


def test_the_calendar_covers_the_longest_sleep_of_a_channel() -> None:
    assert BUCKETS << SHIFT > MAX_SLEEP_PS
