"""The order in which a launch's work was done, for the functional replay: times in ps, -1 until it happened."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.lowering.launch import Launch


@dataclass(frozen=True)
class Order:
    """consumed: [T] when the last stream was done with a tile; finished: [C] when a CTA had written its result."""

    consumed_ps: NDArray[np.int64]
    finished_ps: NDArray[np.int64]

    @classmethod
    def of(cls, launch: Launch) -> "Order":
        return cls(np.full(launch.tiles, -1, np.int64), np.full(launch.ctas.count, -1, np.int64))

    def consumed(self, now: int, _cta: int, tile: int) -> None:
        self.consumed_ps[tile] = now

    def computed(self, ends: NDArray[np.int64], tiles: NDArray[np.int64]) -> None:
        self.consumed_ps[tiles] = ends

    def finished(self, now: int, cta: int) -> None:
        self.finished_ps[cta] = now
