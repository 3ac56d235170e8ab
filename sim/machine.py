"""Build the modelled device and run launches on it: the one place that wires components together."""

from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from sim.accounting import Phase, account_sms
from sim.config.hardware import Hardware
from sim.device.chain import Chain, chains_of
from sim.device.dispatch import Plan, run_grid
from sim.device.job import Context, Job
from sim.device.order import Order
from sim.device.sm import Sm
from sim.device.stage_times import PS_PER_NS, ps_per_clk, stage_times
from sim.errors import StuckError
from sim.lowering.launch import Launch
from sim.memory.fetches import FetchTable
from sim.memory.plane import MemoryPlane
from sim.memory.regions import NO_REGIONS, Regions
from sim.memory.stamps import Stamp
from sim.tiers.copy_engine import CopyEngines
from sim.tiers.placement import TierPlan, make_gate


@dataclass(frozen=True)
class RunDetail:
    """What a run leaves for those who look at parts of it: each SM's record, its phases, the end of each launch."""

    records: tuple[np.ndarray, ...]
    phases: tuple[Phase, ...]
    ends_ps: tuple[int, ...]


@dataclass(frozen=True)
class RunOutcome:
    """What one simulated kernel (launches in dependent order) did. Times in ps."""

    time_ps: int
    account: dict[str, float]
    """SM-picoseconds by cause."""
    counters: dict[str, int]
    arrivals_ps: np.ndarray
    """[F] when each fetch was complete at its SM."""
    orders: tuple[Order, ...] = ()
    """Per launch, when asked for."""
    pages_arrived_ps: np.ndarray | None = None
    """[pages copied] when each was in device memory."""
    tier_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes brought in, by name of the tier."""
    detail: RunDetail | None = None
    """When asked for."""


def join_tables(tables: Sequence[FetchTable]) -> tuple[FetchTable, list[int]]:
    """One table for a whole run, and the number of the first fetch of each part."""
    if len(tables) == 1:
        return tables[0], [0]
    fetches = np.cumsum([0] + [t.fetches for t in tables])
    runs = np.cumsum([0] + [len(t.run_addr) for t in tables])
    entries = np.cumsum([0] + [len(t.entry_addr) for t in tables])
    joined = FetchTable(
        run_ptr=_join_ptr([t.run_ptr for t in tables], runs),
        run_addr=np.concatenate([t.run_addr for t in tables]),
        run_bytes=np.concatenate([t.run_bytes for t in tables]),
        kind=np.concatenate([t.kind for t in tables]),
        cls=np.concatenate([t.cls for t in tables]),
        entry_ptr=_join_ptr([_full_ptr(t) for t in tables], entries),
        entry_addr=np.concatenate([t.entry_addr for t in tables]),
    )
    return joined, [int(f) for f in fetches[:-1]]


def _full_ptr(table: FetchTable) -> np.ndarray:
    return table.entry_ptr if len(table.entry_ptr) > 1 else np.zeros(table.fetches + 1, np.int64)


def _join_ptr(ptrs: list[np.ndarray], offsets: np.ndarray) -> np.ndarray:
    shifted = [p[1:] + o for p, o in zip(ptrs, offsets[:-1], strict=True)]
    return np.concatenate([np.zeros(1, np.int64), *shifted])


PART_TILES = 1 << 14
"""Tiles whose stages are timed at once: as lists these take ten times the memory of all that is kept of them."""


def make_job(
    launch: Launch, formats: tuple[str, ...], hw: Hardware, fetch_offset: int, first_chain: int
) -> Job:
    ctas, times = launch.ctas, stage_times(launch, formats, hw, slice(0))
    parts = (slice(at, at + PART_TILES) for at in range(0, launch.tiles, PART_TILES))
    chains, chain_of = chains_of((stage_times(launch, formats, hw, part) for part in parts), first_chain)
    return Job(
        tile_ptr=_integers(ctas.tile_ptr),
        tile_line=_integers(launch.tile_line),
        tile_bytes=_integers(launch.work.packed_bytes),
        last_line=_integers(ctas.last_line),
        root=_integers(ctas.root),
        output=_integers(ctas.output),
        tile_output=_integers(np.zeros(0) if launch.tile_output is None else launch.tile_output),
        fetch_offset=fetch_offset,
        buffer_bytes=launch.buffer_bytes,
        alone=launch.ctas_per_sm == 1 and launch.streams == 1,
        streams=launch.streams,
        prologue_ps=times.prologue,
        epilogue_ps=times.epilogue,
        chains=chains,
        chain_of=chain_of,
    )


def _integers(values: np.ndarray) -> "array[int]":
    """Python integers in half the memory where they fit."""
    small = not len(values) or (values.min() >= -(1 << 31) and values.max() < 1 << 31)
    code = "i" if small else "q"
    return array(code, values.astype(code).tobytes())


def launch_gap_ps(hw: Hardware, how: str) -> int:
    """Time before a kernel's first CTA can start: from a stream, inside a graph, or not counted."""
    gap = {"graph": hw.launch.graph_ns, "stream": hw.launch.stream_ns, "none": 0.0}[how]
    return round(gap * PS_PER_NS)


@dataclass(frozen=True)
class RunOptions:
    """How a run is made. how: launch from a `graph`, a `stream`, or not counted (`none`); warm: the L2 holds what one
    identical run leaves; resident: [N, 3] (address, bytes, SM) that L2 holds instead, as read by that SM; record_order:
    keep the order of work and the account's rows; window_scale: see MemoryPlane."""

    how: str = "graph"
    warm: bool = False
    resident: np.ndarray | None = None
    record_order: bool = False
    window_scale: float = 1.0
    zero_latency: bool = False
    """Device memory takes no time but its bursts (a what-if)."""
    regions: Regions = NO_REGIONS
    """Which class of data an address holds, for an L2 that keeps classes apart."""


class Machine:
    """A fresh device with launches to run on it, one after the other; pages in tiers come in on the way."""

    def __init__(
        self, hw: Hardware, launches: Sequence[Launch], options: RunOptions, tiers: TierPlan | None = None
    ) -> None:
        self._hw, self._launches, self._options = hw, launches, options
        self._env = simpy.Environment(initial_time=0)
        tables = [launch.fetches for launch in launches] + ([tiers.writes] if tiers else [])
        table, self._offsets = join_tables(tables)
        ports = hw if tiers is None else _with_copy_ports(hw)
        self._plane = MemoryPlane(
            self._env,
            ports,
            table,
            window_scale=options.window_scale,
            zero_latency=options.zero_latency,
            regions=options.regions,
        )
        self._sms = [Sm(index) for index in range(hw.sm.count)]
        self._chains: list[Chain] = []
        self._engines = self._copy_engines(tiers) if tiers else None
        self._gate = make_gate(self._env, tiers, self._engines) if tiers and self._engines else None
        self._prefetch = tiers is not None and tiers.prefetch

    def _copy_engines(self, tiers: TierPlan) -> CopyEngines:
        """Engines write through ports of their own, behind those of the SMs, in turn."""
        first = self._offsets[len(self._launches)]
        count, engines = self._hw.sm.count, self._hw.copy_engine.engines

        def write(rank: int) -> simpy.Event:
            return self._plane.submit(count + rank % engines, first + rank)

        return CopyEngines(self._env, self._hw, tiers.step, tiers.copies, write)

    def run(self, formats: tuple[str, ...]) -> RunOutcome:
        """Run to the end; the account covers [0, end of the last launch).

        Raises StuckError when work remains but nothing can happen, SelfCheckError when the account does not close.
        """
        if self._options.warm:
            self._plane.warm_fetches(*_warming_order(self._launches, self._offsets, self._hw))
        if self._options.resident is not None:
            for sm in np.unique(self._options.resident[:, 2]).tolist():
                mine = self._options.resident[:, 2] == sm
                self._plane.warm(self._options.resident[mine, :2], sm)
        if self._engines is not None and self._prefetch:
            self._engines.request_all()
        gap, cta_ps = launch_gap_ps(self._hw, self._options.how), round(self._hw.launch.cta_ns * PS_PER_NS)
        orders = [Order.of(launch) for launch in self._launches]
        phases: list[Phase] = []
        ends: list[int] = []
        for index, launch in enumerate(self._launches):
            if index and launch.follows_at_once:
                gap = cta_ps = 0
            phases.append(
                Phase(
                    "dependency" if index else "launch", int(self._env.now), int(self._env.now) + gap + cta_ps
                )
            )
            job = make_job(launch, formats, self._hw, self._offsets[index], len(self._chains))
            self._chains += job.chains
            self._run_grid(launch, job, orders[index], index, gap, cta_ps)
            ends.append(int(self._env.now))
        end = int(self._env.now)
        links = self._engines.links if self._engines else {}
        record = self._options.record_order
        records: Iterable[np.ndarray] = tuple(self._records()) if record else self._records()
        return RunOutcome(
            time_ps=end,
            account=account_sms(records, end, phases),
            counters=self._plane.counters,
            arrivals_ps=self._plane.stamps[:, Stamp.SM_ARRIVE],
            orders=tuple(orders) if record else (),
            pages_arrived_ps=self._engines.arrived_ps if self._engines else None,
            tier_bytes={name: link.moved_bytes for name, link in links.items()},
            detail=RunDetail(tuple(records), tuple(phases), tuple(ends)) if record else None,
        )

    def _records(self) -> Iterator[np.ndarray]:
        """Each SM's record as rows, one SM at a time."""
        return (sm.recorder.rows(self._chains, self._plane.stamps) for sm in self._sms)

    def _run_grid(self, launch: Launch, job: Job, order: Order, index: int, gap: int, cta_ps: int) -> None:
        env = self._env
        gate = self._gate if index == 0 else None
        log = order if self._options.record_order else None
        context = Context(env, self._plane, gate, log)
        item_ps = round(launch.item_clk * ps_per_clk(self._hw))
        plan = Plan(_start_order(launch).tolist(), launch.scheduling, cta_ps, item_ps)

        def start() -> Generator[simpy.Event, Any, None]:
            yield env.timeout(gap)
            yield run_grid(context, job, self._sms, launch.ctas_per_sm, plan)

        try:
            env.run(until=env.process(start()))
        except RuntimeError as error:
            raise StuckError(f"{launch.name}: nothing can happen after {env.now} ps: {error}") from error


def _with_copy_ports(hw: Hardware) -> Hardware:
    """The machine as the memory plane sees it: one more port for each copy engine."""
    return hw.model_copy(
        update={"sm": hw.sm.model_copy(update={"count": hw.sm.count + hw.copy_engine.engines})}
    )


def _start_order(launch: Launch) -> np.ndarray:
    return np.arange(launch.ctas.count) if launch.start_order is None else launch.start_order


def _warming_order(
    launches: Sequence[Launch], offsets: list[int], hw: Hardware
) -> tuple[np.ndarray, np.ndarray]:
    """(fetch, SM) of one identical run, in grid order: CTAs breadth first over the slots, tiles in turn."""
    fetches: list[np.ndarray] = []
    sms: list[np.ndarray] = []
    for launch, offset in zip(launches, offsets, strict=True):
        ctas = launch.ctas
        cta = np.repeat(np.arange(ctas.count), np.diff(ctas.tile_ptr))
        rank = np.arange(launch.tiles) - ctas.tile_ptr[cta]
        turn = np.argsort(_start_order(launch))
        wave = turn[cta] // (hw.sm.count * launch.ctas_per_sm)
        order = np.lexsort((turn[cta], rank, wave))
        fetches += [order + offset, ctas.output[ctas.output >= 0].astype(np.int64) + offset]
        sms += [turn[cta[order]] % hw.sm.count, turn[ctas.output >= 0] % hw.sm.count]
        if launch.tile_output is not None:
            writes = launch.tile_output[order]
            fetches.append(writes[writes >= 0].astype(np.int64) + offset)
            sms.append(turn[cta[order]][writes >= 0] % hw.sm.count)
    return np.concatenate(fetches), np.concatenate(sms)
