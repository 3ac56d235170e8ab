"""What happened on an SM, as rows (code, begin, end); the account is made from it afterwards.

Codes are indices into `sim.causes.CAUSES`, and RESIDENT for the life of a CTA. Recording costs the event loop one
array append. Chains that ran alone and waits for tiles are kept short, a number and an instant or two, and become
rows when the account asks: the first by the chain's stages, the second by the stamps of the tile's last line.
"""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.causes import CAUSES
from sim.device import wait
from sim.device.chain import Chain

RESIDENT = len(CAUSES)

Rows = NDArray[np.int64]


class Recorder:
    """The record of one SM."""

    __slots__ = ("_chains", "_rows", "_waits", "tiles")

    def __init__(self) -> None:
        self._rows = array("q")
        self._chains = array("q")
        self._waits = array("q")
        self.tiles: list[int] = []

    def add(self, code: int, begin: int, end: int) -> None:
        if end > begin:
            self._rows.extend((code, begin, end))

    def chain(self, number: int, begin: int) -> None:
        """A tile's chain began at `begin` and found every unit free."""
        self._chains.extend((number, begin))

    def wait(self, fetch: int, since: int, until: int, starved: bool) -> None:
        """A CTA waited for a fetch (`starved`: with all its stage buffers out)."""
        self._waits.extend((fetch, since, until, starved))

    def rows(self, chains: Sequence[Chain], stamps: Rows) -> Rows:
        """[N, 3] code, begin_ps, end_ps. chains: those of the run; stamps: of its fetches."""
        waits = _table(self._waits, 4)
        tiles = np.array(self.tiles, np.int64).reshape(-1, 5)
        waits = np.concatenate([waits, tiles[:, :4]])
        cut = wait.cut(stamps[waits[:, 0]], waits[:, 1], waits[:, 2], waits[:, 3] > 0)
        return np.concatenate([_table(self._rows, 3), cut, *self._chain_rows(chains)])

    def _chain_rows(self, chains: Sequence[Chain]) -> list[Rows]:
        ran = _table(self._chains, 2)
        tiles = np.array(self.tiles, np.int64).reshape(-1, 5)
        ran = np.concatenate([ran, tiles[:, [4, 2]]])
        numbers, index = np.unique(ran[:, 0], return_inverse=True)
        return [_repeated(chains[number].rows, ran[index == i, 1]) for i, number in enumerate(numbers)]


def _table(cells: "array[int]", columns: int) -> Rows:
    return np.frombuffer(cells, np.int64).reshape(-1, columns)


def _repeated(rows: Rows, begins: Rows) -> Rows:
    """Rows of a chain for each of its begins."""
    shift = begins[:, None, None] * np.array([0, 1, 1])
    whole: Rows = (rows[None] + shift).reshape(-1, 3)
    return whole
