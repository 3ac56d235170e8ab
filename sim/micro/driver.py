"""A microbenchmark on the memory plane, without SMs' arithmetic: slots on SMs work off one list of fetches.

One slot alone is a dependent chain: each load starts when the one before is here. Plain loads make no descriptor and
pay no run set-up (`gather.issue_clk`), which only gathers do.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.accounting import account_sms
from sim.causes import INDEX
from sim.config.hardware import Hardware
from sim.device.recorder import RESIDENT, Recorder, rows_of
from sim.memory.fetches import FetchKind, FetchTable, TrafficClass
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp

PS_PER_NS = 1000
LAUNCH, ISSUE, STORE, TRANSLATION = (INDEX[c] for c in ("launch", "issue", "store", "translation"))
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


@dataclass(frozen=True)
class Crew:
    """How SMs take fetches: `slots` at a time each, the first SMs of the chip; slots begin spread over `spread_ns`.

    A slot's next block begins `launch_ns` after the last one's end, and spends `issue_ns` on instructions.
    """

    sms: int
    slots: int
    launch_ns: float = 0.0
    issue_ns: float = 0.0
    spread_ns: float = 0.0

    @property
    def workers(self) -> int:
        return self.sms * self.slots


ONE_LOAD = Crew(1, 1)


def leave_cold(_plane: MemoryPlane) -> None:
    """Nothing is in the L2."""


@dataclass(frozen=True)
class Benchmark:
    """Fetches, the SMs that take them, and what the L2 held before."""

    hw: Hardware
    """The machine as these loads see it."""
    table: FetchTable
    crew: Crew
    distinct_bytes: int
    """Of memory that is touched, each byte once."""
    passes: int = 1
    """How often they are touched."""
    warm: Callable[[MemoryPlane], None] = leave_cold
    warm_up: int = 0
    """Fetches that are complete before the window opens."""
    sm_of: Int64 | None = None
    """[F] the SM that takes each fetch; none: whichever is free."""

    @property
    def is_warm(self) -> bool:
        return self.warm is not leave_cold


@dataclass(frozen=True)
class Outcome:
    """What a benchmark did: in its steady window (all of it where slots have fewer than three fetches), and in all."""

    window: Window
    whole: Window
    arrivals_ps: Int64
    """[F] when each fetch was complete."""
    account: Callable[[], dict[str, float]]
    """SM-picoseconds by cause over the whole run, made when asked for."""


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


def run(bench: Benchmark, zero_latency: bool = False) -> Outcome:
    """All slots take fetches in order from one list, as a block scheduler hands out blocks, or from their SM's own.

    The window opens when every slot has had its first fetch and `warm_up` fetches are complete, and closes before the
    list runs dry; the fetches in it are all of one size, or those of one slot. zero_latency: a what-if in which device
    memory takes no time but its bursts.
    """
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, bench.hw, bench.table, zero_latency=zero_latency)
    bench.warm(plane)
    count, workers = bench.table.fetches, bench.crew.workers
    first, last = max(bench.warm_up, workers), count - workers
    recorders = [Recorder() for _ in range(bench.hw.sm.count)]
    marks = _work_off(plane, env, bench, recorders, (first, last))
    end, stamps = int(env.now), plane.stamps
    sizes = np.add.reduceat(bench.table.run_bytes, bench.table.run_ptr[:-1], dtype=np.int64)
    whole = steady = Window(end / PS_PER_NS, plane.counters, int(sizes.sum()))
    if first < last:
        (opened, before), (closed, after) = marks
        grown = {name: value - before[name] for name, value in after.items()}
        steady = Window((closed - opened) / PS_PER_NS, grown, int(sizes[first:last].sum()))
    return Outcome(
        window=steady,
        whole=whole,
        arrivals_ps=stamps[:, Stamp.SM_ARRIVE],
        account=partial(_account, recorders, stamps, end),
    )


def _work_off(
    plane: MemoryPlane,
    env: simpy.Environment,
    bench: Benchmark,
    recorders: list[Recorder],
    at: tuple[int, int],
) -> list[tuple[int, dict[str, int]]]:
    """Run to the end; time and counters when `at` fetches were complete."""
    crew, cause = bench.crew, _causes(bench.table)
    marks: list[tuple[int, dict[str, int]]] = []
    lists, complete = _lists(bench), iter(range(1, plane.fetches + 1))
    issue_ps = round(crew.issue_ns * PS_PER_NS)
    turn_ps = round(crew.launch_ns * PS_PER_NS) + issue_ps

    def slot(sm: int, wait_ps: int) -> Generator[simpy.Event, Any, None]:
        record = recorders[sm]
        for fetch in lists[sm]:
            if wait_ps:
                begin = int(env.now)
                yield env.timeout(wait_ps)
                record.add(LAUNCH, begin, begin + wait_ps - issue_ps)
                record.add(ISSUE, begin + wait_ps - issue_ps, begin + wait_ps)
            wait_ps = turn_ps
            since = int(env.now)
            yield plane.submit(sm, fetch)
            now = int(env.now)
            record.add(RESIDENT, since - issue_ps, now)
            if cause[fetch] < 0:
                record.wait(fetch, since, now, starved=False)
            else:
                record.add(cause[fetch], since, now)
            if next(complete) in at:
                marks.append((now, plane.counters))

    for worker in range(crew.workers):
        begin_ps = turn_ps + round(crew.spread_ns * worker / crew.workers * PS_PER_NS)
        env.process(slot(worker % crew.sms, begin_ps))
    env.run()
    return marks


def _lists(bench: Benchmark) -> list[Iterator[int]]:
    """[SMs] the fetches that each of them takes; one and the same list where any may take any."""
    if bench.sm_of is None:
        return [iter(range(bench.table.fetches))] * bench.crew.sms
    return [iter(np.flatnonzero(bench.sm_of == sm).tolist()) for sm in range(bench.crew.sms)]


def _causes(table: FetchTable) -> list[int]:
    """[F] what waiting for a fetch is: a store, a translation, or -1: as the stamps of its last line say."""
    read = np.where(table.cls == TrafficClass.METADATA, TRANSLATION, -1)
    causes: list[int] = np.where(table.kind == FetchKind.WRITE, STORE, read).tolist()
    return causes


def _account(recorders: list[Recorder], stamps: Int64, end: int) -> dict[str, float]:
    return account_sms(rows_of(recorders, (), stamps.__getitem__), end, [])
