"""A fetch may be asked for ahead of its time, and its row lives until its stamps have been taken."""

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from sim.config.hardware import Hardware
from sim.memory.layout import Q_FETCH_COUNT
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp
from tests.memory.conftest import table

TIMES = (0, 40_000, 45_000, 900_000, 901_000, 2_500_000)
FETCHES = table([[(at * 8192, 2048)] for at in range(len(TIMES))])


def test_what_is_asked_for_ahead_is_served_as_if_it_were_submitted_then(small: Hardware) -> None:
    env = simpy.Environment(initial_time=0)
    then = MemoryPlane(env, small, FETCHES)

    def submit(sm: int, fetch: int) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(TIMES[fetch])
        yield then.submit(sm, fetch)

    for fetch in range(len(TIMES)):
        env.process(submit(fetch % 2, fetch))
    env.run()
    ahead_env = simpy.Environment(initial_time=0)
    ahead = MemoryPlane(ahead_env, small, FETCHES)
    told: dict[int, int] = {}
    for fetch in reversed(range(len(TIMES))):
        ahead.ask(fetch % 2, fetch, TIMES[fetch], told.__setitem__)
    ahead_env.run()
    assert np.array_equal(ahead.stamps, then.stamps)
    assert [told[fetch] for fetch in range(len(TIMES))] == then.stamps[:, Stamp.SM_ARRIVE].tolist()


def test_a_row_is_free_again_when_its_fetch_is_complete_or_its_stamps_are_released(small: Hardware) -> None:
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, small, FETCHES, keeps_stamps=False)
    free = int(plane._memory[Q_FETCH_COUNT])
    for fetch in range(4):
        plane.submit(0, fetch, kept=fetch < 2)
    env.run()
    assert plane._memory[Q_FETCH_COUNT] == free - 2
    assert (plane.stamps_of(np.arange(2))[:, Stamp.SM_ARRIVE] > 0).all()
    plane.release(np.arange(2))
    assert plane._memory[Q_FETCH_COUNT] == free
