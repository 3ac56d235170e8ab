"""Copy engines: bring KV pages from a tier into device memory, as asked for or ahead of use.

A page is copied once, as one piece per part of the cache (K, V, scales), then written to device memory through the
memory plane, where it competes with the kernels' reads. `reactive` copies start when a CTA asks for a tile;
`prefetch` copies are queued at the start in the order in which the grid will ask.
"""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from kernels_ref.trace import DEVICE, Step
from sim.config.hardware import Hardware
from sim.tiers.link import TierLink

PS_PER_NS = 1000
WriteBack = Callable[[int], simpy.Event]
"""Submit the write of a page (by its rank among copied pages) to device memory."""


@dataclass(frozen=True)
class PageCopies:
    """Pages outside device memory in order of first use; [N] frame, tier code; pieces per page."""

    frame: NDArray[np.int64]
    tier: NDArray[np.int64]
    piece_bytes: list[tuple[int, ...]]


class CopyEngines:
    """Serves page copies with `copy_engine.engines` engines; every page arrives at most once."""

    def __init__(
        self, env: simpy.Environment, hw: Hardware, step: Step, copies: PageCopies, write: WriteBack
    ) -> None:
        self._env = env
        self._copies = copies
        self._write = write
        self._overhead = round(hw.copy_engine.overhead_ns * PS_PER_NS)
        self.links = {name: TierLink(hw.tiers[name]) for name in step.tiers}
        self._by_code = [None, *self.links.values()]
        self._rank = {int(frame): i for i, frame in enumerate(copies.frame)}
        self._arrival: dict[int, simpy.Event] = {}
        self._queue: deque[int] = deque()
        self._idle: list[simpy.Event] = []
        self.arrived_ps = np.full(len(copies.frame), -1, np.int64)
        for _ in range(hw.copy_engine.engines):
            env.process(self._serve())

    def request(self, frame: int) -> simpy.Event:
        """The event of the page's arrival; queues its copy on first request."""
        rank = self._rank[frame]
        if rank not in self._arrival:
            self._arrival[rank] = self._env.event()
            self._queue.append(rank)
            if self._idle:
                self._idle.pop().succeed()
        return self._arrival[rank]

    def request_all(self) -> None:
        for frame in self._copies.frame.tolist():
            self.request(frame)

    def _serve(self) -> Generator[simpy.Event, Any, None]:
        env = self._env
        while True:
            while not self._queue:
                self._idle.append(env.event())
                yield self._idle[-1]
            rank = self._queue.popleft()
            link = self._by_code[int(self._copies.tier[rank])]
            assert link is not None
            yield env.timeout(self._overhead)
            landed = max(link.read(int(env.now), size) for size in self._copies.piece_bytes[rank])
            env.process(self._land(rank, landed))
            # The engine is held until the link can take more, not for the latency of each page.
            yield env.timeout(max(0, landed - int(env.now) - link.latency_ps))

    def _land(self, rank: int, landed: int) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(landed - self._env.now)
        yield self._write(rank)
        self.arrived_ps[rank] = self._env.now
        self._arrival[rank].succeed()


def pages_to_copy(step: Step, read: NDArray[np.bool_], page_bytes: list[tuple[int, ...]]) -> PageCopies:
    """Pages in a tier that will be read, in the order in which sequences read them: page by page over the batch.

    read: [entries of the block table] whether something reads the page; page_bytes: [formats] sizes of the contiguous
    pieces of one page.
    """
    owner = np.repeat(np.arange(step.sequences), np.diff(step.table_ptr))
    index = np.arange(len(step.table)) - step.table_ptr[owner]
    away = (step.frame_residency[step.table] != DEVICE) & read
    order = np.lexsort((owner, index))
    frames = step.table[order][away[order]].astype(np.int64)
    _, first = np.unique(frames, return_index=True)
    frames = frames[np.sort(first)]
    return PageCopies(
        frame=frames,
        tier=step.frame_residency[frames].astype(np.int64),
        piece_bytes=[page_bytes[fmt] for fmt in step.frame_format[frames]],
    )
