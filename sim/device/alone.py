"""A CTA of one stream that has its SM for itself: no other takes a unit from it, nor comes between its fetches.

All it does with its tiles follows from when they arrive, so the memory plane works through them in compiled code
(`memory.pipeline`) and the CTA needs no events of its own until the last one is done.
"""

from sim.device.cta import Cta, Steps
from sim.device.job import Context, Job
from sim.device.sm import Sm


class AloneCta(Cta):
    """The same as a `Cta` of one stream on an SM where no other CTA is, to the picosecond."""

    def __init__(self, context: Context, job: Job, sm: Sm, index: int) -> None:
        self._covered = 0
        self._at_work = False
        super().__init__(context, job, sm, index)

    @property
    def covered(self) -> int:
        """ps up to which the record of what it does is complete."""
        return self.context.memory.tiles_reached(self.sm.index) if self._at_work else self._covered

    @covered.setter
    def covered(self, at: int) -> None:
        self._covered = at

    def pump(self, at: int) -> None:
        """Tiles are asked for in compiled code."""

    def _tiles(self) -> Steps:
        if self.first == self.end:
            return
        root, last_line = self.job.root[self.index], self.job.last_line[self.index]
        self._sum(1)
        done = self.context.memory.run_tiles(self.sm.index, (self.first, self.end), root, last_line)
        self._at_work = True
        yield done
        self._at_work = False
        self.covered = self.now
        self._sum(-1)

    def _sum(self, more: int) -> None:
        """Tiles follow each other from now on, or until now."""
        if self.context.sums:
            self.sm.recorder.summed(self.now, more)
