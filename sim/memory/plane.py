"""The memory plane of a device run: SimPy submits fetches, compiled code times their bytes.

Coupling. No request that an SM submits at time t can touch anything shared (L2, memory) before t plus the
way there, and nothing comes back before another way. So when the driver wakes at T it may process every
shared event before T + way there, and knows for good each completion before T + W, W being the way there
and back; later ones stay open, since later requests may overtake them. The driver sleeps until the next
completion can be due and never turns an empty window. Where nothing else is due meanwhile, windows follow each other
in compiled code, ahead of SimPy's clock.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.errors import StuckError
from sim.memory import build, kernel, warming, windows
from sim.memory.counters import as_dict
from sim.memory.fetches import FetchTable
from sim.memory.layout import (
    AT_OUT,
    AT_PORTS,
    BY_PYTHON,
    F_STAMPS,
    FINISHED,
    OUT_COLS,
    P_HEAD,
    PORT_COLS,
    Q_BEGAN,
    Q_DUE,
    Q_FETCH_COUNT,
    Q_FETCH_HEAD,
    Q_FOLLOWING,
    Q_WINDOW,
    Q_WINDOWS,
    STAMP_COLS,
    Memory,
)
from sim.memory.params import Param
from sim.memory.pipelines import Pipelines, TileWork, no_pipelines
from sim.memory.regions import NO_REGIONS, Regions

TIME = itemgetter(0)
Known = Callable[[int, int], None]
NEVER = windows.NEVER
NOTHING = np.empty(0, np.int64)
FEW = 8
"""With less than an eighth of their rows free after stamps were taken, fetches need more rows."""
NORMAL: Any = 1
AFTER_NORMAL: Any = 2
"""Priority behind SimPy's normal events of the instant: order must not depend on how windows were cut."""


class Completion(simpy.Event):
    """Succeeds when a fetch is complete at its SM; the value is the fetch's index."""

    def known(self, fetch: int, time: int) -> None:
        """Let the event occur at `time`."""
        self._ok = True
        self._value = fetch
        self.env.schedule(self, AFTER_NORMAL, time - self.env.now)


class MemoryPlane:
    """Ports, network, L2 and device memory of one device for one launch's fetches. Times are int picoseconds.

    `window_scale` in (0, 1] shortens the windows; it changes how often the driver runs and nothing else.
    `keeps_stamps`: those of all fetches, to the end; else of those that were asked to be kept, until `release`, and
    `reclaim` is called for that when rows for fetches run out.
    `zero_latency`: a what-if in which device memory takes no time but its bursts. `log_rows` bounds the log of
    device memory's commands, which is kept for checkers. `regions`: which class of data an address holds, for an L2
    that keeps classes apart.
    """

    def __init__(
        self,
        env: simpy.Environment,
        hw: Hardware,
        table: FetchTable,
        *,
        window_scale: float = 1.0,
        zero_latency: bool = False,
        log_rows: int = 0,
        regions: Regions = NO_REGIONS,
        keeps_stamps: bool = True,
        reclaim: Callable[[], None] | None = None,
    ):
        if not 0 < window_scale <= 1:
            raise ValueError(f"window_scale: {window_scale}; allowed: above 0, up to 1")
        self.env = env
        self.fetches = table.fetches
        self._regions = regions
        self._reclaim = reclaim
        self._memory: Memory = build.new_memory(
            hw, table, zero_latency=zero_latency, log_rows=log_rows, regions=regions
        )
        self.min_window_ps = 2 * int(self._memory[Param.NEAR])
        self._window = max(1, round(self.min_window_ps * window_scale))
        self._table = (
            np.ascontiguousarray(table.run_ptr, np.int64),
            np.ascontiguousarray(table.kind, np.uint8),
            np.ascontiguousarray(table.cls, np.uint8),
            np.ascontiguousarray(table.entry_ptr, np.int64),
        )
        self._memory[Q_WINDOW] = self._window
        self._rows = np.zeros(table.fetches, np.int32)
        """Where each submitted fetch has its row."""
        # The assist looks along a port's fetches, complete ones among them.
        self._keeps_all = keeps_stamps or bool(self._memory[Param.ASSIST])
        self._waiting: dict[int, Known] = {}
        self._asked_for: list[tuple[int, int, int, bool]] = []
        """In order of time, then of asking: when, SM, fetch, whether it is kept."""
        self._askers = np.zeros(table.fetches, np.uint8)
        """Who asked for each fetch."""
        self._pipelines: Pipelines | None = None
        self._no_pipelines = no_pipelines()
        self._working: dict[int, simpy.Event] = {}
        """Of each SM whose pipeline is under way: occurs when its last tile is computed."""
        self._wake_at = NEVER

    @property
    def stamps(self) -> NDArray[np.int64]:
        """[F, N_STAMPS] ps, columns of `Stamp`, where all are kept; a row is valid once its fetch is complete."""
        return self.stamps_of(np.arange(self.fetches))

    def stamps_of(self, fetches: NDArray[np.int64]) -> NDArray[np.int64]:
        """[N, N_STAMPS] of complete fetches whose stamps are kept."""
        columns = np.arange(F_STAMPS, F_STAMPS + STAMP_COLS)
        stamps: NDArray[np.int64] = self._memory[self._rows[fetches][:, None] + columns]
        return stamps

    def release(self, fetches: NDArray[np.int64]) -> None:
        """The stamps of complete fetches that were kept are of no use any more."""
        if not self._keeps_all:
            kernel.release(self._memory, fetches, self._rows)

    def load_tiles(self, work: TileWork) -> None:
        """From now on SMs can work through the tiles of a launch, whose record begins anew. Raises ValueError while one
        is at work, or what it asked for has not reached its port.
        """
        if self._working or (self._pipelines is not None and self._pipelines.asked):
            raise ValueError("tiles of another launch are still under way")
        self._pipelines = Pipelines(work, int(self._memory[Param.SMS]), self._keeps_all)

    def run_tiles(self, sm: int, tiles: tuple[int, int], root: int, last_line: int) -> simpy.Event:
        """Let an SM work through tiles [first, end) of the launch that is loaded, from now on (`Pipelines.begin`); the
        event occurs when the last one is computed."""
        assert self._pipelines is not None
        done = self._working[sm] = simpy.Event(self.env)
        self._pipelines.begin(sm, tiles, root, last_line, self._now)
        self._wake(self._now + self._window)
        return done

    def tiles_reached(self, sm: int) -> int:
        """ps up to which it is known what the SM's pipeline did."""
        assert self._pipelines is not None
        return self._pipelines.reached(sm)

    def take_tiles(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The record of the launch that is loaded (`Pipelines.take`), which begins anew."""
        assert self._pipelines is not None
        return self._pipelines.take()

    @property
    def windows(self) -> int:
        """Windows so far."""
        return int(self._memory[Q_WINDOWS])

    @property
    def counters(self) -> dict[str, int]:
        """Counters by name (`sim.memory.counters`), and the number of windows."""
        return as_dict(self._memory) | {"windows": self.windows}

    def commands(self) -> NDArray[np.int64]:
        """[N, LOG_COLS] commands of device memory in order of time, as `hbm_log` describes them."""
        return build.commands(self._memory)

    @property
    def _now(self) -> int:
        return int(self.env.now)

    def submit(self, sm: int, fetch: int, at: int | None = None, kept: bool = False) -> Completion:
        """Queue a fetch at an SM's port, now or at the instant `at`; the event occurs when it is complete.

        kept: its stamps will be asked for.
        """
        event = Completion(self.env)
        self.ask(sm, fetch, self._now if at is None else at, event.known, kept)
        return event

    def ask(self, sm: int, fetch: int, at: int, known: Known, kept: bool = True) -> None:
        """Queue a fetch at an SM's port at the instant `at`, the present or later, and call `known(fetch, time)` as
        soon as the time is known for good at which it is complete. Each fetch may be asked for once.
        """
        if self._askers[fetch]:
            raise ValueError(f"fetch {fetch} submitted twice")
        self._askers[fetch] = BY_PYTHON
        self._waiting[fetch] = known
        asked, submission = self._asked_for, (at, sm, fetch, kept or self._keeps_all)
        if not asked or asked[-1][0] <= at:
            asked.append(submission)
        else:
            asked.insert(bisect_right(asked, at, key=TIME), submission)
        if self._wake_at > at + self._window:
            self._wake(at + self._window)

    def warm(self, addresses: Iterable[tuple[int, int]] | NDArray[np.int64], sm: int = 0) -> None:
        """Make (address, bytes) ranges present in L2, in order, as reads by `sm` would have left them."""
        listed = addresses if isinstance(addresses, np.ndarray) else np.array(list(addresses), np.int64)
        ranges = listed.reshape(-1, 2)
        classes = self._regions.classes_at(ranges[:, 0])
        warming.warm_ranges(self._memory, ranges[:, 0].copy(), ranges[:, 1].copy(), classes, sm)

    def warm_fetches(self, fetches: NDArray[np.int64], sms: NDArray[np.int64]) -> None:
        """Leave in L2 what an identical launch that ran `fetches` in this order on `sms` would have left."""
        runs, kinds, _, entries = self._table
        args = np.asarray(fetches, np.int64), np.asarray(sms, np.int64), runs, kinds, entries
        warming.warm_fetches(self._memory, *args)

    def share_held(self, fetches: NDArray[np.int64], sms: NDArray[np.int64]) -> float:
        """Share of the bytes of `fetches` that reads on behalf of `sms` would find in L2, or in the cache behind it."""
        runs = self._table[0]
        args = np.asarray(fetches, np.int64), np.asarray(sms, np.int64), runs
        held, asked = warming.held_bytes(self._memory, *args)
        return float(held) / max(1, int(asked))

    def _wake(self, at: int) -> None:
        if self._wake_at <= at:
            return
        self._wake_at = at
        timeout = self.env.timeout(at - self._now)
        timeout.callbacks.append(self._on_wake)

    def _on_wake(self, _: simpy.Event) -> None:
        if self._wake_at == self._now:
            self._wake_at = NEVER
            if self._memory[Q_DUE]:
                self._tell()
            else:
                self._advance()

    def _advance(self) -> None:
        """Process windows from now on until something is due in Python, which is told of it then."""
        submissions = self._due()
        asked_beside = 0 if self._pipelines is None else self._pipelines.asked
        self._make_room(len(submissions) // windows.SUBMISSION + asked_beside)
        asked = self._asked_for[0][0] if self._asked_for else NEVER
        limit = int(min(self.env.peek(), asked))
        pipes = self._no_pipelines if self._pipelines is None else self._pipelines.cells
        state = self._go_on(pipes, submissions, self._now, limit)
        while state != kernel.DONE:
            if state == kernel.GROW:
                self._memory = build.grown(self._memory, build.pool_rows(self._memory))
                kernel.resume(self._memory)
            else:
                self._make_room(1)
            state = self._go_on(pipes, NOTHING, int(self._memory[Q_BEGAN]), limit)
        if self._memory[Q_DUE] and self._memory[Q_BEGAN] > self._now:
            self._wake(int(self._memory[Q_BEGAN]))
        else:
            self._tell()

    def _go_on(self, pipes: NDArray[np.int64], submissions: NDArray[np.int64], now: int, limit: int) -> int:
        return kernel.advance(
            self._memory, pipes, submissions, *self._table, self._rows, self._askers, now, limit
        )

    def _due(self) -> NDArray[np.int64]:
        """What was asked for up to now, in order of time, cell by cell."""
        count = bisect_right(self._asked_for, self._now, key=TIME)
        if not count:
            return NOTHING
        cells = chain.from_iterable(self._asked_for[:count])
        due = np.fromiter(cells, np.int64, count * windows.SUBMISSION)
        del self._asked_for[:count]
        return due

    def _make_room(self, rows: int) -> None:
        """See that so many rows for fetches are free: have stamps taken, or make more."""
        if self._memory[Q_FETCH_COUNT] >= rows:
            return
        if self._reclaim is not None:
            self._reclaim()
            rows = max(rows, build.KEPT_ROWS // FEW)
        while self._memory[Q_FETCH_COUNT] < rows:
            more = build.pool_rows(self._memory)
            self._memory = build.grown(self._memory, more, Q_FETCH_HEAD)

    def _tell(self) -> None:
        """Tell of what is complete, by (time, SM, port order), and set the next wake-up."""
        count, out = int(self._memory[Q_DUE]), int(self._memory[AT_OUT])
        self._memory[Q_DUE] = 0
        rows = self._memory[out : out + count * OUT_COLS].reshape(count, OUT_COLS).tolist()
        for time, sm, fetch in rows:
            if fetch == FINISHED:
                self._finish(sm, time)
            else:
                self._waiting.pop(fetch)(fetch, time)
        following = int(self._memory[Q_FOLLOWING])
        if self._asked_for:
            following = min(following, self._asked_for[0][0] + self._window)
        if following < NEVER:
            self._wake(max(following, self._now + 1))
        elif self._waiting or self._working:
            raise StuckError(self._stuck())

    def _finish(self, sm: int, time: int) -> None:
        """An SM's last tile is computed at `time`."""
        done = self._working.pop(sm)
        done._ok = True
        done._value = None
        self.env.schedule(done, NORMAL, time - self._now)

    def _stuck(self) -> str:
        ports = build.section(self._memory, AT_PORTS, int(self._memory[Param.SMS]), PORT_COLS)
        return (
            f"memory plane: {len(self._waiting)} fetches incomplete at {self._now} ps and no event left, "
            f"{len(self._working)} SMs at work on tiles; "
            f"SM ports with work: {np.flatnonzero(ports[:, P_HEAD] >= 0)[:16].tolist()}, "
            f"fetches: {sorted(self._waiting)[:16]}"
        )
