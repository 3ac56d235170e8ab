"""A small machine whose every latency is a round number, and helpers to run fetches on the plane."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import simpy

from sim.config.hardware import Hardware
from sim.config.load import load_hardware
from sim.memory.fetches import FetchTable
from sim.memory.plane import MemoryPlane

Run = tuple[int, int]
"""Address, bytes."""


@pytest.fixture(scope="session")
def h100() -> Hardware:
    return load_hardware("h100_sxm").spec


def changed(hw: Hardware, **values: Any) -> Hardware:
    """A copy with `section__key=value` replaced; a section alone replaces it."""
    data = hw.model_dump()
    for key, value in values.items():
        section, _, field = key.partition("__")
        if field:
            data[section][field] = value
        else:
            data[section] = value
    return Hardware.model_validate(data)


@pytest.fixture(scope="session")
def small(h100: Hardware) -> Hardware:
    """4 SMs at 1 GHz, 1 stack of HBM3; near 50 ns, L2 40 ns, controller 100 ns; no refresh, the bus is all for data."""
    return changed(
        h100,
        sm__count=4,
        sm__clock_ghz=1.0,
        sm__max_inflight_kib=64,
        noc__latency_ns=50,
        noc__far_extra_ns=0,
        l2__capacity_mib=1,
        l2__effective_fraction=1.0,
        l2__latency_ns=40,
        l2__slices=8,
        l2__bandwidth_gb_s=1024,
        l2__partitions=1,
        l2__replacement="lru",
        l2__far_copies=False,
        hbm__stacks=1,
        hbm__pin_gbit_s=6.4,
        hbm__controller_ns=100,
        hbm__refresh="none",
        hbm__busy_fraction=0.0,
        hbm__hash=False,
        gather__issue_clk=10,
        gather__bytes_per_clk=128,
        tlb__l2_latency_ns=0,
    )


def table(fetches: Sequence[Sequence[Run]], writes: Sequence[int] = ()) -> FetchTable:
    """One fetch for each list of runs; those in `writes` are writes."""
    runs = [run for fetch in fetches for run in fetch]
    kind = np.zeros(len(fetches), np.uint8)
    kind[list(writes)] = 1
    return FetchTable(
        run_ptr=np.concatenate([[0], np.cumsum([len(fetch) for fetch in fetches])]).astype(np.int64),
        run_addr=np.array([run[0] for run in runs], np.int64),
        run_bytes=np.array([run[1] for run in runs], np.int32),
        kind=kind,
        cls=np.zeros(len(fetches), np.uint8),
    )


@dataclass
class Outcome:
    """What a run gave: the plane, when it ended, and when each fetch's event occurred, in order."""

    plane: MemoryPlane
    table: FetchTable
    end: int
    seen: list[tuple[int, int]]

    def counter(self, name: str) -> int:
        return self.plane.counters[name]

    def gb_s(self, name: str = "hbm_read") -> float:
        """Bytes per nanosecond over the run."""
        return self.counter(name) / self.end * 1000


def drive(
    hw: Hardware,
    fetches: FetchTable,
    sm_of: Callable[[int], int],
    depth: int = 1,
    prepare: Callable[[MemoryPlane], None] | None = None,
    **options: Any,
) -> Outcome:
    """Each SM works through its fetches in order with `depth` of them submitted at a time."""
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, hw, fetches, **options)
    if prepare:
        prepare(plane)
    seen: list[tuple[int, int]] = []
    queues: dict[int, list[int]] = {}
    for fetch in range(fetches.fetches):
        queues.setdefault(sm_of(fetch), []).append(fetch)

    def work(sm: int, queue: list[int]) -> Generator[simpy.Event, Any, None]:
        while queue:
            value = yield plane.submit(sm, queue.pop(0))
            seen.append((int(env.now), int(value)))

    for sm, queue in queues.items():
        for _ in range(depth):
            env.process(work(sm, queue))
    env.run()
    return Outcome(plane, fetches, max((time for time, _ in seen), default=0), seen)
