"""Who works on which item: CTAs of a grid, and persistent CTAs that take items from a counter or every n-th one."""

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest
import simpy

from sim.device import dispatch
from sim.device.dispatch import Plan, run_grid

CTA_PS, PROLOGUE_PS, ITEM_PS = 100, 10, 3


def places_and_end(
    monkeypatch: pytest.MonkeyPatch, work: list[int], plan: Plan, sms: int = 2
) -> tuple[dict[int, tuple[int, int]], int]:
    """(SM, start of work) of each item that takes `work` ps, and the end of the grid."""
    env = simpy.Environment(initial_time=0)
    seen: dict[int, tuple[int, int]] = {}

    class Item:
        def __init__(self, _context: Any, _job: Any, sm: int, index: int) -> None:
            self.sm, self.index = sm, index

        def run(self, entry: int) -> Generator[simpy.Event, Any, None]:
            yield env.timeout(entry)
            seen[self.index] = (self.sm, int(env.now))
            yield env.timeout(work[self.index])

    monkeypatch.setattr(dispatch, "Cta", Item)
    context: Any = SimpleNamespace(env=env)
    job: Any = SimpleNamespace(prologue_ps=PROLOGUE_PS, pipelined=False, runs_ahead=False)
    numbers: Any = list(range(sms))
    env.run(until=run_grid(context, job, numbers, 1, plan))
    return seen, int(env.now)


def plan(scheduling: str, order: list[int]) -> Plan:
    return Plan(order, scheduling, CTA_PS, ITEM_PS)


def test_every_cta_of_a_grid_pays_its_start_and_goes_where_a_slot_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, end = places_and_end(monkeypatch, [500, 50, 50], plan("grid", [0, 1, 2]))
    # SM 1 is free after 100 + 10 + 50; its next CTA works from 160 + 110.
    assert seen == {0: (0, 110), 1: (1, 110), 2: (1, 270)}
    assert end == 610


def test_a_counter_gives_further_items_to_whoever_is_free_without_a_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, end = places_and_end(monkeypatch, [500, 50, 50], plan("counter", [0, 1, 2]))
    assert seen == {0: (0, 110), 1: (1, 110), 2: (1, 163)}
    assert end == 610


def test_strided_items_wait_for_their_own_cta(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, end = places_and_end(monkeypatch, [500, 50, 50], plan("stride", [0, 1, 2]))
    assert seen == {0: (0, 110), 1: (1, 110), 2: (0, 613)}
    assert end == 663


@pytest.mark.parametrize("scheduling", ["grid", "counter", "stride"])
def test_items_start_in_the_order_of_the_plan(monkeypatch: pytest.MonkeyPatch, scheduling: str) -> None:
    seen, _ = places_and_end(monkeypatch, [50] * 5, plan(scheduling, [4, 2, 0, 3, 1]), sms=1)
    assert sorted(seen, key=lambda item: seen[item][1]) == [4, 2, 0, 3, 1]


def test_more_slots_than_items_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheduling in ("grid", "counter", "stride"):
        seen, _ = places_and_end(monkeypatch, [50], plan(scheduling, [0]), sms=4)
        assert seen == {0: (0, 110)}
