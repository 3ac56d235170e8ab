"""What a CTA's wait for a tile was spent on: the wait is cut by the time stamps of the tile's last line.

Queueing goes to the resource that had the queue. The uncontended latency goes to what kept more bytes from
being in flight to hide it: `sram_full` if all stage buffers were out, `inflight_limit` if the SM's cap on
outstanding bytes had been reached, else to the stage itself (`noc`, `l2`, `hbm_service`).
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.causes import INDEX
from sim.memory.stamps import Stamp

Part = tuple[int, int, int]

NOC, L2, HBM_QUEUED, HBM_SERVICE = (INDEX[c] for c in ("noc", "l2", "hbm_queue", "hbm_service"))
SRAM_FULL, INFLIGHT = INDEX["sram_full"], INDEX["inflight_limit"]
ISSUE, TLB, TRANSLATION = INDEX["issue"], INDEX["tlb"], INDEX["translation"]
INFLIGHT_WAIT, ISSUED, TLB_WAIT, TRANSLATION_WAIT = (
    int(s) for s in (Stamp.INFLIGHT_WAIT, Stamp.ISSUE, Stamp.TLB_WAIT, Stamp.TRANSLATION_WAIT)
)
L2_ARRIVE, L2_QUEUE, L2_DONE = int(Stamp.L2_ARRIVE), int(Stamp.L2_QUEUE), int(Stamp.L2_DONE)
HBM_ENQUEUE, HBM_QUEUE, HBM_DONE = int(Stamp.HBM_ENQUEUE), int(Stamp.HBM_QUEUE), int(Stamp.HBM_DONE)
NOC_QUEUE, SM_ARRIVE = int(Stamp.NOC_QUEUE), int(Stamp.SM_ARRIVE)


class Stamped(Protocol):
    @property
    def stamps(self) -> NDArray[np.int64]: ...


class TileWait:
    """Cuts waits by the stamps that the memory plane leaves for each completed fetch."""

    def __init__(self, plane: Stamped) -> None:
        self._plane = plane

    def cut(self, fetch: int, since: int, until: int, starved: bool) -> list[Part]:
        """(cause code, begin, end) of each part of [since, until), in order of time, without gaps."""
        parts: list[Part] = []
        at = since
        for cause, end in stages(self._plane.stamps[fetch].tolist(), starved):
            stop = end if end < until else until
            if stop > at:
                parts.append((cause, at, stop))
                at = stop
        if at < until:
            parts.append((NOC, at, until))
        return parts


def stages(row: list[int], starved: bool) -> tuple[tuple[int, int], ...]:
    """(cause, end time) of each stage of the line that arrived last, from its stamps."""
    capped = row[INFLIGHT_WAIT]
    hidden = SRAM_FULL if starved else INFLIGHT if capped > 0 else -1
    noc, l2, hbm = (NOC, L2, HBM_SERVICE) if hidden < 0 else (hidden, hidden, hidden)
    issue, arrive, done = row[ISSUED], row[L2_ARRIVE], row[HBM_DONE]
    return (
        (ISSUE, issue - capped - row[TRANSLATION_WAIT]),
        (TRANSLATION, issue - capped),
        (INFLIGHT, issue),
        (TLB, issue + row[TLB_WAIT]),
        (noc, arrive),
        (L2, arrive + row[L2_QUEUE]),
        (l2, row[L2_DONE]),
        (HBM_QUEUED, row[HBM_ENQUEUE] + row[HBM_QUEUE]),
        (hbm, done),
        (NOC, done + row[NOC_QUEUE]),
        (noc, row[SM_ARRIVE]),
    )
