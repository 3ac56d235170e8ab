"""Build the modelled device and run launches on it: the one place that wires components together."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from sim.accounting import Ledger, Phase, account_sms, edges_of
from sim.causes import INDEX
from sim.config.hardware import Hardware
from sim.device.chain import Chain
from sim.device.cta import DEPENDENT_LOAD, TRANSLATION
from sim.device.dispatch import Plan, run_grid
from sim.device.job import Context, Job
from sim.device.order import Order
from sim.device.recorder import joined, rows_of, rows_of_work
from sim.device.sm import Sm
from sim.device.tile_sums import tile_sums
from sim.errors import StuckError
from sim.jobs import Program, join_tables, make_program
from sim.launch_times import code_ps, following_ps
from sim.lowering.launch import Launch
from sim.memory.plane import MemoryPlane
from sim.memory.regions import NO_REGIONS, Regions
from sim.memory.stamps import Stamp
from sim.tiers.copy_engine import CopyEngines
from sim.tiers.placement import TierPlan, make_gate
from sim.warming_order import warming_order


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
    """[F] when each fetch was complete at its SM; empty unless the order was asked for."""
    orders: tuple[Order, ...] = ()
    """Per launch, when asked for."""
    pages_arrived_ps: np.ndarray | None = None
    """[pages copied] when each was in device memory."""
    tier_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes brought in, by name of the tier."""
    detail: RunDetail | None = None
    """When asked for."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is made. how: launch from a `graph`, a `stream`, or not counted (`none`); warm: the L2 holds what one
    identical run leaves; lost: share of a kernel's code that L2 does not hold where it is not warm; resident: [N, 3]
    (address, bytes, SM) that L2 holds instead, as read by that SM; record_order: keep the order of work and the
    account's rows; window_scale: see MemoryPlane."""

    how: str = "graph"
    warm: bool = False
    lost: float = 1.0
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
        self._hw, self._launches, self._options = hw, tuple(launches), options
        self._env = simpy.Environment(initial_time=0)
        tables = [launch.fetches for launch in launches] + ([tiers.writes] if tiers else [])
        table, self._offsets = join_tables(tables)
        ports = hw if tiers is None else _with_copy_ports(hw, tiers.ports)
        self._plane = MemoryPlane(
            self._env,
            ports,
            table,
            window_scale=options.window_scale,
            zero_latency=options.zero_latency,
            regions=options.regions,
            keeps_stamps=options.record_order,
            reclaim=None if options.record_order else self._settle,
        )
        self._sms = [Sm(index) for index in range(hw.sm.count)]
        self._ledger = Ledger(len(self._sms))
        self._chains: list[Chain] = []
        self._sums = not options.record_order
        """Whether all launches so far had one CTA an SM: whole picoseconds, whose sums no order changes."""
        self._engines = self._copy_engines(tiers) if tiers else None
        self._gate = make_gate(self._env, tiers, self._engines) if tiers and self._engines else None
        self._prefetch = tiers is not None and tiers.prefetch
        self._at_work: tuple[Context, Job] | None = None
        """Of the launch whose tiles the plane works through (`memory.pipeline`)."""

    def _copy_engines(self, tiers: TierPlan) -> CopyEngines:
        """Engines write through ports of their own, behind those of the SMs: the slices of a page at the same time."""
        offset, count = self._offsets[len(self._launches)], self._hw.sm.count

        def write(rank: int) -> simpy.Event:
            first, end = tiers.write_ptr[rank : rank + 2]
            slices = [
                self._plane.submit(count + fetch - first, offset + fetch) for fetch in range(first, end)
            ]
            return self._env.all_of(slices)

        return CopyEngines(self._env, self._hw, tiers.step, tiers.copies, write)

    def run(self, formats: tuple[str, ...]) -> RunOutcome:
        """Run to the end; the account covers [0, end of the last launch).

        Raises StuckError when work remains but nothing can happen, SelfCheckError when the account does not close.
        """
        lost = self._options.lost
        if self._options.warm:
            self._plane.warm_fetches(
                *warming_order(self._launches, self._offsets[: len(self._launches)], self._hw)
            )
        if self._options.resident is not None:
            for sm in np.unique(self._options.resident[:, 2]).tolist():
                mine = self._options.resident[:, 2] == sm
                self._plane.warm(self._options.resident[mine, :2], sm)
        if self._options.warm or self._options.resident is not None:
            lost = 1 - self._plane.share_held(*_first_fetches(self._launches[0], self._hw))
        if self._engines is not None and self._prefetch:
            self._engines.request_all()
        record = self._options.record_order
        orders = [Order.of(launch) for launch in self._launches] if record else []
        phases: list[Phase] = []
        ends: list[int] = []
        for index, program in enumerate(self._programs(formats)):
            if not program.job.alone:
                self._add_sums()
                self._sums = False
            gap, cta_ps = self._start_ps(program, lost)
            now = int(self._env.now)
            phases.append(Phase("dependency" if index else "launch", now, now + gap + cta_ps))
            if not record:
                self._record(phases[-1])
            self._run_grid(program, orders[index] if record else None, index, gap, cta_ps)
            ends.append(int(self._env.now))
        end = int(self._env.now)
        links = self._engines.links if self._engines else {}
        records = tuple(self._records()) if record else ()
        return RunOutcome(
            time_ps=end,
            account=account_sms(records, end, phases) if record else self._closed(end),
            counters=self._plane.counters,
            arrivals_ps=self._plane.stamps[:, Stamp.SM_ARRIVE] if record else np.empty(0, np.int64),
            orders=tuple(orders),
            pages_arrived_ps=self._engines.arrived_ps if self._engines else None,
            tier_bytes={name: link.moved_bytes for name, link in links.items()},
            detail=RunDetail(records, tuple(phases), tuple(ends)) if record else None,
        )

    def _start_ps(self, program: Program, lost: float) -> tuple[int, int]:
        """Before a launch, its gap and its wait for code, of which L2 has lost a share; from there to the first
        instruction of a CTA."""
        hw, options, early = self._hw, self._options, program.launched_early
        gap, cta_ps = following_ps(hw, options.how, at_once=program.follows_at_once, early=early)
        code = code_ps(hw, program.code_trips, lost, early=early, zero_latency=options.zero_latency)
        return gap + code, cta_ps

    def _programs(self, formats: tuple[str, ...]) -> list[Program]:
        """The launches as they are run; they themselves, which take far more memory, are let go."""
        programs: list[Program] = []
        for launch, offset in zip(self._launches, self._offsets, strict=False):
            programs.append(make_program(launch, formats, self._hw, offset, len(self._chains)))
            self._chains += programs[-1].job.chains
        self._launches = ()
        return programs

    def _records(self) -> list[np.ndarray]:
        """Each SM's record as rows."""
        return rows_of([sm.recorder for sm in self._sms], self._chains, self._plane.stamps_of)

    def _record(self, phase: Phase) -> None:
        for sm in self._sms:
            sm.recorder.add(INDEX[phase.cause], phase.begin, phase.end)

    def _settle(self) -> None:
        """Account for what the SMs have recorded, and let it go: so records do not grow with the length of a run."""
        now = int(self._env.now)
        self._take_tiles()
        self._add_sums()
        self._ledger.settle(self._taken(), np.array([sm.recorded(now) for sm in self._sms]))

    def _take_tiles(self) -> None:
        """Enter what the plane did with tiles in the records of their SMs."""
        if self._at_work is None:
            return
        context, job = self._at_work
        tiles, waits = self._plane.take_tiles()
        by_sm = tiles[np.argsort(tiles[:, 0], kind="stable"), 1:]
        ends = np.cumsum(np.bincount(tiles[:, 0], minlength=len(self._sms)))
        for sm, rows in zip(self._sms, np.split(by_sm, ends[:-1]), strict=True):
            if len(rows):
                sm.recorder.tiles.append(rows)
        for number, has_line, begin, end in waits.tolist():
            cause = TRANSLATION if has_line else DEPENDENT_LOAD
            self._sms[number].recorder.gate(cause, begin, end, context.sums)
        if context.log is not None:
            durations = np.array([chain.duration for chain in self._chains], np.int64)
            context.log.computed(tiles[:, 3] + durations[tiles[:, 5]], tiles[:, 1] - job.fetch_offset)

    def _add_sums(self) -> None:
        """Account for the tiles of CTAs that had their SMs for themselves."""
        if not self._sums:
            return
        tiles = [sm.recorder.take_tiles() for sm in self._sms]
        sums = tile_sums(tiles, self._chains, self._plane.stamps_of)
        self._ledger.account += sums
        self._plane.release(np.concatenate(tiles)[:, 0])

    def _closed(self, end: int) -> dict[str, float]:
        """The whole account."""
        self._add_sums()
        return self._ledger.close(self._taken(), end)

    def _taken(self) -> np.ndarray:
        """All records as edges of the account; they begin anew."""
        recorders = [sm.recorder for sm in self._sms]
        work = edges_of(*rows_of_work(recorders, self._chains, self._plane.stamps_of))
        residence, sm = joined([recorder.edges() for recorder in recorders])
        edges = np.concatenate([np.column_stack([sm, residence]), work])
        self._plane.release(np.concatenate([recorder.fetches() for recorder in recorders]))
        for recorder in recorders:
            recorder.clear()
        return edges

    def _run_grid(self, program: Program, order: Order | None, index: int, gap: int, cta_ps: int) -> None:
        env = self._env
        gate = self._gate if index == 0 else None
        context = Context(env, self._plane, gate, order, self._sums and program.job.alone)
        plan = Plan(
            program.order, program.scheduling, cta_ps, program.item_ps, program.search_ps, program.sequence
        )

        if program.job.pipelined and gate is None:
            self._plane.load_tiles(program.job.work())
            self._at_work = context, program.job

        def start() -> Generator[simpy.Event, Any, None]:
            yield env.timeout(gap)
            yield run_grid(context, program.job, self._sms, program.ctas_per_sm, plan)

        try:
            env.run(until=env.process(start()))
        except RuntimeError as error:
            raise StuckError(f"{program.name}: nothing can happen after {env.now} ps: {error}") from error
        self._take_tiles()
        self._at_work = None


def _with_copy_ports(hw: Hardware, ports: int) -> Hardware:
    """The machine as the memory plane sees it: with the ports of the copy engines."""
    return hw.model_copy(update={"sm": hw.sm.model_copy(update={"count": hw.sm.count + ports})})


def _first_fetches(launch: Launch, hw: Hardware) -> tuple[np.ndarray, np.ndarray]:
    """(fetch, SM) of the first tiles of the CTAs that start at once. Of all that an identical launch before has read,
    they are as old as its code: what is left of them tells what is left of that."""
    ctas = launch.order[: hw.sm.count * launch.ctas_per_sm]
    return launch.ctas.tile_ptr[ctas], np.arange(len(ctas)) % hw.sm.count
