"""A resident CTA: it keeps its stage buffers full and takes tiles through the SM in order.

The producer side asks for a tile as soon as byte credits allow and the tile's gates are open (its block-table
line has arrived, its pages are in device memory). The consumer side waits for the tile, computes, and gives the
buffer back. Every wait is recorded with its cause.
"""

from collections.abc import Generator
from typing import Any

import simpy

from sim.causes import INDEX
from sim.device.chain import DELAY, ISSUE
from sim.device.job import Context, Job
from sim.device.sm import WAITING, Sm

STORE, TRANSLATION, TIER = (INDEX[c] for c in ("store", "translation", "tier"))
DEPENDENT_LOAD = INDEX["l2"]
"""Waiting for the log-sum-exps of the splits, which the first launch has just left in L2."""

Steps = Generator[simpy.Event, Any, None]
Gate = tuple[simpy.Event, int]


class Cta:
    """One CTA on one SM."""

    def __init__(self, context: Context, job: Job, sm: Sm, index: int) -> None:
        self.context = context
        self.job = job
        self.sm = sm
        self.index = index
        self.first = job.tile_ptr[index]
        self.end = job.tile_ptr[index + 1]
        self.next = self.first
        self.arrivals: dict[int, simpy.Event] = {}
        self.lines: dict[int, simpy.Event] = {}
        self.held_bytes = 0
        self.gate: Gate | None = None
        self.open_line: int | None = None
        self.covered = 0
        self.release: simpy.Event = context.env.event()

    @property
    def now(self) -> int:
        """The simulated present in ps (SimPy keeps whatever number it was given; here always an int)."""
        return int(self.context.env.now)

    # -- producer ----------------------------------------------------------------------------------

    def pump(self, at: int) -> None:
        """Ask, at the present `at`, for every tile that credits and gates allow."""
        if self.gate is not None:
            return
        job, gated = self.job, self.context.page_gate is not None
        sizes, lines, end = job.tile_bytes, job.tile_line, self.end
        while (tile := self.next) < end and (
            self.held_bytes == 0 or self.held_bytes + sizes[tile] <= job.buffer_bytes
        ):
            if gated or lines[tile] != self.open_line:
                gate = self._closed_gate(tile, at)
                if gate is not None:
                    self.gate = gate
                    gate[0].callbacks.append(self._reopen)
                    return
            self.next = tile + 1
            self.held_bytes += sizes[tile]
            fetch = tile + self.job.fetch_offset
            self.arrivals[tile] = self.context.memory.submit(self.sm.index, fetch, at, kept=True)

    def _reopen(self, _event: simpy.Event) -> None:
        self.gate = None
        self.pump(self.now)

    def _closed_gate(self, tile: int, at: int) -> Gate | None:
        line = self.job.tile_line[tile]
        if line != self.open_line:
            gate = self._closed_line(line, at)
            if gate is not None:
                return gate
            self.open_line = line
        pages = self.context.page_gate(tile) if self.context.page_gate is not None else None
        return None if pages is None or pages.processed else (pages, TIER)

    def _closed_line(self, line: int, at: int) -> Gate | None:
        """What the entries of a block-table line wait for; the next line is asked for ahead of its use."""
        root = self.job.root[self.index]
        if root >= 0 and not (event := self._line(root, at)).processed:
            return event, TRANSLATION if line >= 0 else DEPENDENT_LOAD
        if line >= 0:
            event = self._line(line, at)
            if line < self.job.last_line[self.index]:
                self._line(line + 1, at)
            if not event.processed:
                return event, TRANSLATION
        return None

    def _line(self, line: int, at: int) -> simpy.Event:
        """The block-table fetch `line`, asked for on first use."""
        if line not in self.lines:
            self.lines[line] = self.context.memory.submit(self.sm.index, line + self.job.fetch_offset, at)
        return self.lines[line]

    # -- consumer ----------------------------------------------------------------------------------

    def run(self, entry: int) -> Steps:
        """The whole life of the CTA (or of one item of a persistent one), `entry` ps before its first fetch."""
        self.covered = self.now
        self.sm.enter(self, self.now)
        yield from self._spend(entry)
        self.pump(self.now)
        yield from self._tiles()
        yield from self._finish()
        self.sm.leave(self, self.now)

    def _tiles(self) -> Steps:
        streams = self.job.streams
        return self._one_stream() if streams == 1 else self._streams(streams)

    def _one_stream(self) -> Steps:
        """Tile after tile: wait, compute, give the buffer back."""
        timeout, arrivals, now = self.context.env.timeout, self.arrivals, self.now
        for tile in range(self.first, self.end):
            event = arrivals.pop(tile, None)
            if event is None:
                yield from self._await_tile(tile)
                now = self.now
            elif event.callbacks is not None:  # not processed: the tile is on its way
                since, starved = self._since(now)
                yield event
                now = self.now
                self._arrived(tile, since, now, starved)
            done = self._compute(tile, now, now)
            if done > now:
                yield timeout(done - now)
                now = done
            self._consumed(tile, now)
            self.pump(now)

    def _streams(self, count: int) -> Steps:
        """Streams take their shares of the same tiles, each at its own pace, at most one tile apart (ping-pong)."""
        env = self.context.env
        ready = [self.now] * count
        for tile in range(self.first, self.end):
            yield from self._await_tile(tile)
            now = self.now
            ready = [self._compute(tile, at if at > now else now, now) for at in ready]
            self._when(max(ready), tile)
            if min(ready) > self.now:
                yield env.timeout(min(ready) - self.now)
        if max(ready) > self.now:
            yield env.timeout(max(ready) - self.now)

    def _when(self, at: int, tile: int) -> None:
        """Give the tile's buffer back at time `at`."""
        self.release = self.context.env.timeout(at - self.now)
        self.release.callbacks.append(lambda _event: self._give_back(tile))

    def _give_back(self, tile: int) -> None:
        self._consumed(tile, self.now)
        self.pump(self.now)

    def _consumed(self, tile: int, at: int) -> None:
        """The CTA is done with a tile at `at`, and its buffer free."""
        self._leaves(tile, at)
        self.sm.recorder.seen.append(tile + self.job.fetch_offset)
        self.held_bytes -= self.job.tile_bytes[tile]

    def _leaves(self, tile: int, at: int) -> None:
        """What follows from a tile that was computed, beside its buffer."""
        if self.context.log is not None:
            self.context.log.consumed(at, self.index, tile)
        job = self.job
        if job.tile_output and (write := job.tile_output[tile]) >= 0:
            self.context.memory.submit(self.sm.index, write + job.fetch_offset, at)

    def _await_tile(self, tile: int) -> Steps:
        while tile not in self.arrivals:
            if self.gate is None:
                # One stream is ahead while the other works on the last buffer: its end is the credit.
                yield self.release
                continue
            event, cause = self.gate
            since = self.now
            yield event
            self._waited(cause, since, self.now)
        event = self.arrivals.pop(tile)
        if event.processed:
            return
        since, starved = self._since(self.now)
        yield event
        self._arrived(tile, since, self.now, starved)

    def _since(self, now: int) -> tuple[int, bool]:
        """From when on a wait for a tile counts, and whether all stage buffers are out."""
        return now if now > self.covered else self.covered, self.gate is None and self.next < self.end

    def _arrived(self, tile: int, since: int, now: int, starved: bool) -> None:
        """Record the wait for a tile, which ends now."""
        if now > since:
            self.sm.recorder.wait(tile + self.job.fetch_offset, since, now, starved)
            self.covered = now

    def _compute(self, tile: int, ready: int, now: int) -> int:
        """Take one stream's share of a tile through the units; when it is done."""
        sm, chain = self.sm, self.job.chains[self.job.chain_of[tile]]
        if sm.free_at <= ready == now and ready >= self.covered:
            self.covered = at = sm.run_alone(chain, ready)
            return at
        at = ready
        sm.present = now
        for unit, code, duration in chain.steps:
            if unit == DELAY:
                self._waited(code, at, at + duration)
                at += duration
            else:
                begin, at = at, sm.work(unit, code, at, duration)
                if code >= WAITING:  # its turn at the unit and its wait for it alike
                    self._waited(code, begin, at)
        return at

    def _spend(self, duration: int) -> Steps:
        """Instructions of the CTA before and after its tiles: mostly latency, for which other CTAs do not wait."""
        if duration:
            self._waited(ISSUE, self.now, self.now + duration)
            yield self.context.env.timeout(duration)

    def _finish(self) -> Steps:
        yield from self._spend(self.job.epilogue_ps)
        output = self.job.output[self.index]
        if output >= 0:
            since = self.now
            yield self.context.memory.submit(self.sm.index, output + self.job.fetch_offset, since)
            self._waited(STORE, since, self.now)
        if self.context.log is not None:
            self.context.log.finished(self.now, self.index)

    def _waited(self, cause: int, begin: int, end: int) -> None:
        """Record a wait, once: a CTA of two streams has one cause at a time."""
        if end > self.covered:
            self.sm.recorder.add(cause, max(begin, self.covered), end)
            self.covered = end
