"""What a CTA's wait for a tile was spent on: the wait is cut by the time stamps of the tile's last line.

Queueing goes to the resource that had the queue. The uncontended latency goes to what kept more bytes from
being in flight to hide it: `sram_full` if all stage buffers were out, `inflight_limit` if the SM's cap on
outstanding bytes had been reached, else to the stage itself (`noc`, `l2`, `hbm_service`).
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.causes import INDEX
from sim.memory.stamps import Stamp

Part = tuple[int, int, int]

CODE = {
    name: INDEX[name] for name in ("noc", "l2", "hbm_queue", "hbm_service", "sram_full", "inflight_limit")
}
ISSUE, TLB, TRANSLATION = INDEX["issue"], INDEX["tlb"], INDEX["translation"]


class Stamped(Protocol):
    @property
    def stamps(self) -> NDArray[np.int64]: ...


class TileWait:
    """Cuts waits by the stamps that the memory plane leaves for each completed fetch."""

    def __init__(self, plane: Stamped) -> None:
        self._plane = plane

    def cut(self, fetch: int, since: int, until: int, starved: bool) -> Iterator[Part]:
        """(cause code, begin, end) of each part of [since, until), in order of time, without gaps."""
        at = since
        for cause, end in self._stages(fetch, starved):
            stop = min(max(end, at), until)
            if stop > at:
                yield cause, at, stop
                at = stop
        if at < until:
            yield CODE["noc"], at, until

    def _stages(self, fetch: int, starved: bool) -> Iterator[tuple[int, int]]:
        """(cause, end time) of the stages of the line that arrived last."""
        row = self._plane.stamps[fetch]
        capped = int(row[Stamp.INFLIGHT_WAIT]) > 0
        hidden = CODE["sram_full"] if starved else CODE["inflight_limit"] if capped else -1
        latency = {name: hidden if hidden >= 0 else CODE[name] for name in ("noc", "l2", "hbm_service")}
        issue = int(row[Stamp.ISSUE])
        table = issue - int(row[Stamp.INFLIGHT_WAIT])
        yield ISSUE, table - int(row[Stamp.TRANSLATION_WAIT])
        yield TRANSLATION, table
        yield CODE["inflight_limit"], issue
        yield TLB, issue + int(row[Stamp.TLB_WAIT])
        arrive = int(row[Stamp.L2_ARRIVE])
        yield latency["noc"], arrive
        yield CODE["l2"], arrive + int(row[Stamp.L2_QUEUE])
        yield latency["l2"], int(row[Stamp.L2_DONE])
        yield CODE["hbm_queue"], int(row[Stamp.HBM_ENQUEUE]) + int(row[Stamp.HBM_QUEUE])
        yield latency["hbm_service"], int(row[Stamp.HBM_DONE])
        yield CODE["noc"], int(row[Stamp.HBM_DONE]) + int(row[Stamp.NOC_QUEUE])
        yield latency["noc"], int(row[Stamp.SM_ARRIVE])
