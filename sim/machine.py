"""Build the modelled device and run launches on it: the one place that wires components together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import simpy

from sim.accounting import Phase, account_sms
from sim.config.hardware import Hardware
from sim.device.cta import Context, Job
from sim.device.dispatch import run_grid
from sim.device.order import Order
from sim.device.recorder import Recorder
from sim.device.sm import Sm
from sim.device.stage_times import PS_PER_NS, stage_times
from sim.device.wait import TileWait
from sim.errors import StuckError
from sim.lowering.launch import Launch
from sim.memory.fetches import FetchTable
from sim.memory.plane import MemoryPlane
from sim.memory.stamps import Stamp

PageGate = Callable[[int], simpy.Event | None]


@dataclass(frozen=True)
class RunOutcome:
    """What one simulated kernel (launches in dependent order) did. Times in ps."""

    time_ps: int
    launch_ends_ps: tuple[int, ...]
    account: dict[str, float]
    """SM-picoseconds by cause."""
    counters: dict[str, int]
    arrivals_ps: np.ndarray
    """[F] when each fetch was complete at its SM."""
    orders: tuple[Order, ...] = ()
    """Per launch, when asked for."""
    tier_bytes: dict[str, int] = field(default_factory=dict)
    """`tier.<name>.in` and `.out`."""
    tier_kind_bytes: dict[str, int] = field(default_factory=dict)


def join_tables(launches: Sequence[Launch]) -> tuple[FetchTable, list[int]]:
    """One fetch table for all launches of a run, and the number of each launch's first fetch."""
    tables = [launch.fetches for launch in launches]
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


def make_job(launch: Launch, formats: tuple[str, ...], hw: Hardware, fetch_offset: int) -> Job:
    ctas = launch.ctas
    return Job(
        tile_ptr=ctas.tile_ptr.tolist(),
        tile_line=launch.tile_line.tolist(),
        tile_bytes=launch.work.packed_bytes.tolist(),
        first_line=ctas.first_line.tolist(),
        last_line=ctas.last_line.tolist(),
        root=ctas.root.tolist(),
        output=ctas.output.tolist(),
        fetch_offset=fetch_offset,
        buffer_bytes=launch.buffer_bytes,
        streams=launch.streams,
        times=stage_times(launch, formats, hw),
    )


def launch_gap_ps(hw: Hardware, how: str) -> int:
    """Time before a kernel's first CTA can start: from a stream, inside a graph, or not counted."""
    gap = {"graph": hw.launch.graph_ns, "stream": hw.launch.stream_ns, "none": 0.0}[how]
    return round(gap * PS_PER_NS)


def run_launches(
    hw: Hardware,
    launches: Sequence[Launch],
    formats: tuple[str, ...],
    *,
    how: str = "graph",
    warm: bool = False,
    record_order: bool = False,
    page_gate: Callable[[simpy.Environment, MemoryPlane], PageGate] | None = None,
    window_scale: float = 1.0,
) -> RunOutcome:
    """Run `launches` one after the other on a fresh device; the account covers [0, end of the last).

    warm: the L2 holds what one identical run leaves. Raises StuckError when work remains but nothing can happen.
    """
    env = simpy.Environment(initial_time=0)
    table, offsets = join_tables(launches)
    plane = MemoryPlane(env, hw, table, window_scale=window_scale)
    if warm:
        plane.warm_fetches(*_warming_order(launches, offsets, hw))
    recorder = Recorder()
    sms = [Sm(index, recorder) for index in range(hw.sm.count)]
    gate = page_gate(env, plane) if page_gate else _all_resident
    waits = TileWait(plane)
    gap, cta_ps = launch_gap_ps(hw, how), round(hw.launch.cta_ns * PS_PER_NS)
    ends: list[int] = []
    orders: list[Order] = []
    phases: list[Phase] = []
    for launch, offset in zip(launches, offsets, strict=True):
        begin = int(env.now)
        orders.append(Order.of(launch))
        context = Context(env, plane, recorder, waits, gate, orders[-1] if record_order else None)
        job = make_job(launch, formats, hw, offset)
        grid = env.process(
            _after(env, gap, lambda c=context, j=job, n=launch.ctas_per_sm: run_grid(c, j, sms, n, cta_ps))
        )
        _run_until(env, grid, plane)
        cause = "dependency" if ends else "launch"
        phases.append(Phase(cause, begin, begin + gap + cta_ps))
        ends.append(int(env.now))
    return RunOutcome(
        time_ps=ends[-1],
        launch_ends_ps=tuple(ends),
        account=account_sms(recorder.rows(), hw.sm.count, ends[-1], phases),
        counters=plane.counters,
        arrivals_ps=plane.stamps[:, Stamp.SM_ARRIVE],
        orders=tuple(orders) if record_order else (),
    )


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
        wave = cta // (hw.sm.count * launch.ctas_per_sm)
        order = np.lexsort((cta, rank, wave))
        fetches += [order + offset, ctas.output[ctas.output >= 0].astype(np.int64) + offset]
        sms += [cta[order] % hw.sm.count, np.flatnonzero(ctas.output >= 0) % hw.sm.count]
    return np.concatenate(fetches), np.concatenate(sms)


def _all_resident(_tile: int) -> None:
    return None


def _after(env: simpy.Environment, delay: int, start: Callable[[], simpy.Event]):  # type: ignore[no-untyped-def]
    yield env.timeout(delay)
    yield start()


def _run_until(env: simpy.Environment, done: simpy.Event, plane: MemoryPlane) -> None:
    try:
        env.run(until=done)
    except RuntimeError as error:
        raise StuckError(
            f"nothing can happen any more at {env.now} ps; {plane.describe_pending()}"
        ) from error
