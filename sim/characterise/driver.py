"""Fetches on the memory plane without SMs' arithmetic: one dependent chain, or all SMs working off one list.

Benchmarks read with plain loads: no descriptor and no run set-up (`gather.issue_clk`), which only gathers pay.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.memory.fetches import FetchKind, FetchTable, TrafficClass
from sim.memory.plane import MemoryPlane

PS_PER_NS = 1000
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """What happened between two instants of a run."""

    time_ns: float
    counters: dict[str, int]
    """Counters' growth (`sim.memory.counters`)."""
    arrived_bytes: int
    """Wanted bytes of the fetches that became complete."""

    @property
    def gb_s(self) -> float:
        """10^9 bytes per second."""
        return self.arrived_bytes / self.time_ns


def plain_loads(hw: Hardware) -> Hardware:
    """The machine as load instructions see it."""
    return hw.model_copy(update={"gather": hw.gather.model_copy(update={"engine": False, "issue_clk": 0.0})})


def fetch_table(
    addresses: Int64, run_bytes: int, runs: int = 1, kind: FetchKind = FetchKind.READ
) -> FetchTable:
    """[F x runs] addresses, each the start of `run_bytes`; every `runs` of them are one fetch."""
    count = len(addresses) // runs
    return FetchTable(
        run_ptr=np.arange(count + 1, dtype=np.int64) * runs,
        run_addr=addresses,
        run_bytes=np.full(len(addresses), run_bytes, np.int32),
        kind=np.full(count, kind, np.uint8),
        cls=np.full(count, TrafficClass.KV, np.uint8),
    )


def chain(plane: MemoryPlane, env: simpy.Environment, first: int = 0, sm: int = 0) -> Window:
    """Submit all fetches by one SM, each when the one before has come back; the window opens at fetch `first`."""
    start: list[tuple[int, dict[str, int]]] = []

    def follow() -> Generator[simpy.Event, Any, None]:
        for fetch in range(plane.table.fetches):
            if fetch == first:
                start.append((int(env.now), plane.counters))
            yield plane.submit(sm, fetch)

    env.process(follow())
    env.run()
    return _window(start[0], (int(env.now), plane.counters))


@dataclass(frozen=True)
class Crew:
    """How SMs take fetches: `slots` at a time each, `turn_ns` between one's end and the next one's start; slots begin
    spread over `spread_ns`.
    """

    sms: int
    slots: int
    turn_ns: float = 0.0
    spread_ns: float = 0.0


def work_off(plane: MemoryPlane, env: simpy.Environment, crew: Crew, warm_up: int = 0) -> Window:
    """All SMs take fetches, all of the same size, in order from one list, as a block scheduler hands out blocks.

    The window opens when every slot has had its first fetch and `warm_up` fetches are complete, and closes before the
    list runs dry. Needs more than two fetches for each slot.
    """
    marks: list[tuple[int, dict[str, int]]] = []
    count, workers = plane.table.fetches, crew.sms * crew.slots
    left = iter(range(count))
    complete = iter(range(1, count + 1))
    first, last = max(warm_up, workers), count - workers
    turn_ps = round(crew.turn_ns * PS_PER_NS)

    def slot(sm: int, wait_ps: int) -> Generator[simpy.Event, Any, None]:
        for fetch in left:
            if wait_ps:
                yield env.timeout(wait_ps)
            wait_ps = turn_ps
            yield plane.submit(sm, fetch)
            if next(complete) in (first, last):
                marks.append((int(env.now), plane.counters))

    for worker in range(workers):
        begin = crew.turn_ns + crew.spread_ns * worker / workers
        env.process(slot(worker % crew.sms, round(begin * PS_PER_NS)))
    env.run()
    window = _window(marks[0], marks[1])
    size = int(plane.table.run_bytes[: plane.table.run_ptr[1]].sum())
    return Window(window.time_ns, window.counters, (last - first) * size)


def _window(begin: tuple[int, dict[str, int]], end: tuple[int, dict[str, int]]) -> Window:
    grown = {name: value - begin[1][name] for name, value in end[1].items()}
    return Window((end[0] - begin[0]) / PS_PER_NS, grown, grown["wanted"])


def new_plane(hw: Hardware, table: FetchTable) -> tuple[MemoryPlane, simpy.Environment]:
    """A cold plane on a clock of its own."""
    env = simpy.Environment(initial_time=0)
    return MemoryPlane(env, hw, table), env
