"""What happened on an SM, as rows (code, begin, end); the account is made from it afterwards, or now and then.

Codes are indices into `sim.causes.CAUSES`, and RESIDENT for the life of a CTA. Recording costs the event loop one
array append. Chains that ran alone and waits for tiles are kept short, a number and an instant or two, and become
rows when the account asks: the first by the chain's stages, the second by the stamps of the tile's last line.
"""

from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.causes import CAUSES
from sim.device import wait
from sim.device.chain import Chain

RESIDENT = len(CAUSES)
SUMMED = RESIDENT + 1
"""Code of the time of tiles that are accounted for by their sum (`tile_sums`)."""

Rows = NDArray[np.int64]
StampsOf = Callable[[Rows], Rows]
"""Stamps of complete fetches, by number."""


class Recorder:
    """The record of one SM."""

    __slots__ = ("_chains", "_entered", "_left", "_rows", "_summed", "_waits", "seen", "tiles")

    def __init__(self) -> None:
        self.tiles: list[Rows] = []
        """[N, 5] of tiles that a pipeline computed: fetch, since when it was waited for, when its chain began, whether
        all stage buffers were out meanwhile, number of its chain."""
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.tiles.clear()
        self._rows = array("q")
        self._chains = array("q")
        self._waits = array("q")
        self._entered = array("q")
        self._left = array("q")
        self._summed = array("q")
        self.seen = array("q")
        """Fetches of tiles that were computed, beside those in `tiles`."""

    def add(self, code: int, begin: int, end: int) -> None:
        if end > begin:
            self._rows.extend((code, begin, end))

    def enter(self, at: int) -> None:
        """A CTA is resident from `at` on."""
        self._entered.append(at)

    def leave(self, at: int) -> None:
        """A CTA is resident no more."""
        self._left.append(at)

    def summed(self, at: int, more: int) -> None:
        """From `at` on (more: 1), or until then (-1), a CTA alone on its SM does nothing but what is in `tiles`."""
        self._summed.extend((at, SUMMED, more))

    def gate(self, cause: int, begin: int, end: int, sums: bool) -> None:
        """A pipeline could compute nothing while a gate was shut; where its tiles are summed this comes between."""
        if sums:
            self.summed(begin, -1)
            self.summed(end, 1)
        self.add(cause, begin, end)

    def take_tiles(self) -> Rows:
        """[T, 5] `tiles`, which begins anew."""
        tiles = self._tiles()
        self.tiles.clear()
        return tiles

    def chain(self, number: int, begin: int) -> None:
        """A tile's chain began at `begin` and found every unit free."""
        self._chains.extend((number, begin))

    def wait(self, fetch: int, since: int, until: int, starved: bool) -> None:
        """A CTA waited for a fetch (`starved`: with all its stage buffers out)."""
        self._waits.extend((fetch, since, until, starved))

    def edges(self) -> Rows:
        """[M, 3] time_ps, RESIDENT, by how much the CTAs become more; and the same of the time that is SUMMED."""
        edges = [(self._entered, 1), (self._left, -1)]
        residence = [(at, RESIDENT, more) for times, more in edges for at in times]
        return np.concatenate([np.array(residence, np.int64).reshape(-1, 3), _table(self._summed, 3)])

    def residence(self) -> Rows:
        """[N, 3] RESIDENT, begin_ps, end_ps, when all CTAs have left."""
        entered, left = np.sort(self._entered), np.sort(self._left)
        return np.stack([np.full(len(left), RESIDENT), entered, left], axis=1).astype(np.int64)

    def fetches(self) -> Rows:
        """[T] of the tiles that were computed."""
        return np.concatenate([_table(self.seen, 1)[:, 0], self._tiles()[:, 0]])

    def waits(self) -> Rows:
        """[N, 4] fetch, since, until, starved of the waits for tiles."""
        return np.concatenate([_table(self._waits, 4), self._tiles()[:, :4]])

    def ran(self) -> Rows:
        """[N, 2] number and begin of the chains that ran alone."""
        return np.concatenate([_table(self._chains, 2), self._tiles()[:, [4, 2]]])

    def others(self) -> Rows:
        """[N, 3] code, begin_ps, end_ps of what was recorded as such."""
        return _table(self._rows, 3)

    def _tiles(self) -> Rows:
        return np.concatenate([np.empty((0, 5), np.int64), *self.tiles])


def _table(cells: "array[int]", columns: int) -> Rows:
    return np.frombuffer(cells, np.int64).reshape(-1, columns)


def rows_of_work(
    recorders: Sequence[Recorder], chains: Sequence[Chain], stamps_of: StampsOf
) -> tuple[Rows, Rows]:
    """[N, 3] code, begin_ps, end_ps of all but residence, and [N] whose they are. chains: those of the run."""
    others, of_others = joined([recorder.others() for recorder in recorders])
    waits, of_waits = joined([recorder.waits() for recorder in recorders])
    waited = waits[:, 2] > waits[:, 1]
    waits, of_waits = waits[waited], of_waits[waited]
    cut, wait_of_cut = wait.cut(stamps_of(waits[:, 0]), waits[:, 1], waits[:, 2], waits[:, 3] > 0)
    ran, of_ran = joined([recorder.ran() for recorder in recorders])
    stages, of_stages = _stages(chains, ran, of_ran)
    return np.concatenate([others, cut, stages]), np.concatenate(
        [of_others, of_waits[wait_of_cut], of_stages]
    )


def rows_of(recorders: Sequence[Recorder], chains: Sequence[Chain], stamps_of: StampsOf) -> list[Rows]:
    """[N, 3] code, begin_ps, end_ps of each SM, when all CTAs have left."""
    rows, whose = rows_of_work(recorders, chains, stamps_of)
    order = np.argsort(whose, kind="stable")
    parts = np.split(rows[order], np.searchsorted(whose[order], np.arange(1, len(recorders))))
    return [
        np.concatenate([recorder.residence(), part]) for recorder, part in zip(recorders, parts, strict=True)
    ]


def joined(tables: Sequence[Rows]) -> tuple[Rows, Rows]:
    """The rows of all tables, and the number of each one's table."""
    return np.concatenate(tables), np.repeat(np.arange(len(tables)), [len(table) for table in tables])


def _stages(chains: Sequence[Chain], ran: Rows, of_ran: Rows) -> tuple[Rows, Rows]:
    """Rows of the stages of chains that ran, and whose they are."""
    numbers, index = np.unique(ran[:, 0], return_inverse=True)
    rows, whose = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for i, number in enumerate(numbers):
        these = index == i
        rows.append(_repeated(chains[number].rows, ran[these, 1]))
        whose.append(np.repeat(of_ran[these], len(chains[number].rows)))
    return np.concatenate(rows), np.concatenate(whose)


def _repeated(rows: Rows, begins: Rows) -> Rows:
    """Rows of a chain for each of its begins."""
    shift = begins[:, None, None] * np.array([0, 1, 1])
    whole: Rows = (rows[None] + shift).reshape(-1, 3)
    return whole
