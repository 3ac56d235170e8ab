"""A resident CTA whose loads and stores are apart from its products, as in warp-specialised kernels.

While the consumers finish an item (scale, convert, hand over to a TMA store), the producer loads for the next one, and
nobody waits for the store but the end of the grid. In the FlashAttention-3 source (mainloop, `load`) the next K may
come as soon as a buffer is free, the queries when the last ones are multiplied (barrier QueryEmpty), V when the result
has left the memory that it shares with V (barrier_O). Here a tile is one fetch, and the first one has the queries with
it: it is asked for in between, when all tiles of the item before are computed.
"""

from collections.abc import Callable

import simpy

from sim.device.cta import STORE, Cta, Steps
from sim.device.job import Context, Job
from sim.device.sm import Sm


class AheadCta(Cta):
    """One item of a resident CTA. take: the number of the next item, None where there is none."""

    def __init__(
        self, context: Context, job: Job, sm: Sm, index: int, take: Callable[[], int | None]
    ) -> None:
        super().__init__(context, job, sm, index)
        self.take = take
        self.successor: AheadCta | None = None
        self.writes: list[simpy.Event] = []
        """Results of this slot's items that are on their way."""

    def _finish(self) -> Steps:
        self._look_ahead()
        yield from self._spend(self.job.epilogue_ps)
        self._write()
        if self.successor is not None:
            self.successor.writes = [write for write in self.writes if not write.processed]
            return
        since = self.now
        yield self.context.env.all_of(self.writes)
        self._waited(STORE, since, self.now)

    def _look_ahead(self) -> None:
        """Take the next item and fill the buffers with its first tiles."""
        index = self.take()
        if index is not None:
            self.successor = AheadCta(self.context, self.job, self.sm, index, self.take)
            self.successor.pump(self.now)

    def _write(self) -> None:
        """Send the result on its way."""
        output, log = self.job.output[self.index], self.context.log
        if output >= 0:
            write = self.context.memory.submit(self.sm.index, output + self.job.fetch_offset, self.now)
            self.writes.append(write)
        if log is not None:
            log.finished(self.now, self.index)
