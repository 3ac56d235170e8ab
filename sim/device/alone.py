"""A CTA of one stream that has its SM for itself: no other takes a unit from it, nor comes between its fetches.

When a tile's arrival is known its end is known too, and what is asked for then is asked for now. So the CTA is ahead
of the event loop and needs no events of its own, until it reaches a gate that it cannot see through yet.
"""

import simpy

from sim.device.cta import Cta, Steps
from sim.device.job import Context, Job
from sim.device.sm import Sm


class AloneCta(Cta):
    """The same as a `Cta` of one stream on an SM where no other CTA is, to the picosecond."""

    def __init__(self, context: Context, job: Job, sm: Sm, index: int) -> None:
        super().__init__(context, job, sm, index)
        self.tile = self.first
        """The next to be computed."""
        self.here: dict[int, int] = {}
        """When tiles arrive, as far as known."""
        self.at = 0
        """When the units are free."""
        self.ahead = False
        self.stop = context.env.event()
        self.news: simpy.Event | None = None
        """Occurs when another arrival is known, while somebody waits for it."""
        self.ask_memory, self.fetch_offset = context.memory.ask, job.fetch_offset
        self.records = sm.recorder.tiles
        self.is_watched = context.log is not None or len(job.tile_output) > 0

    def _ask(self, tile: int, at: int) -> None:
        self.ask_memory(self.sm.index, tile + self.fetch_offset, at, self._known)

    def _known(self, fetch: int, time: int) -> None:
        self.here[fetch - self.fetch_offset] = time
        if self.ahead:
            self._go()
        elif self.news is not None:
            self.news.succeed()
            self.news = None

    def _tiles(self) -> Steps:
        env = self.context.env
        self.at = self.now
        self._sum(1)
        while self.tile < self.end:
            if self.gate is not None:
                yield from self._tile_now()
                continue
            self.ahead, self.stop = True, env.event()
            self._go()
            yield self.stop
            if self.at > self.now:
                yield env.timeout(self.at - self.now)
            self.pump(self.at)
        self._sum(-1)

    def _sum(self, more: int) -> None:
        """Tiles follow each other from here on, or until here."""
        if self.context.sums:
            self.sm.recorder.summed(self.at, more)

    def _go(self) -> None:
        """Compute every tile whose arrival is known; stop where a gate must be looked at, or the tiles end."""
        here, last = self.here, self.end
        while (time := here.pop(self.tile, None)) is not None:
            since = self.at
            end = self._compute_alone(since, time if time > since else since, self.next < last)
            if not self.pump(end) or self.gate is not None or self.tile == last:
                self.ahead = False
                self.stop.succeed()
                return

    def _tile_now(self) -> Steps:
        """Wait for a tile and compute it in the present: a gate may open at any time, and is passed with what is free
        by then.
        """
        env, tile = self.context.env, self.tile
        if tile >= self.next:
            self._sum(-1)
            while tile >= self.next and self.gate is not None:
                event, cause = self.gate
                since = self.now
                yield event
                self._waited(cause, since, self.now)
            self.at = self.now
            self._sum(1)
        since, starved = self._since(self.now)
        while tile not in self.here:
            self.news = env.event()
            yield self.news
        time = self.here.pop(tile)
        if time > self.now:
            yield env.timeout(time - self.now)
        end = self._compute_alone(since, max(since, self.now), starved)
        if end > self.now:
            yield env.timeout(end - self.now)
        self.pump(end)

    def _compute_alone(self, since: int, begin: int, starved: bool) -> int:
        """Take the next tile, waited for since `since`, through free units from `begin` on; when it is done."""
        job, tile = self.job, self.tile
        self.tile = tile + 1
        chain = job.chain_of[tile]
        self.records += (tile + self.fetch_offset, since, begin, starved, job.numbers[chain])
        self.at = self.covered = end = begin + job.durations[chain]
        if self.is_watched:
            self._leaves(tile, end)
        self.held_bytes -= job.tile_bytes[tile]
        return end
