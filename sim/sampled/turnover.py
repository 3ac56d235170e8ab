"""What CTAs cost an SM when they begin and end, apart from what their tiles do.

The CTAs of a sample are short: one follows another many times as often, per tile, as in the whole launch. So an instant
of the sample counts as turnover by the share of the places of its SM whose CTA has consumed no tile yet, or has
consumed its last; the rest of it is the tiles'. Of the whole launch it is known how many CTAs follow another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.accounting import TIME_BITS, account_spans
from sim.device.order import Order
from sim.device.recorder import RESIDENT

Int64 = NDArray[np.int64]
Account = dict[str, float]
"""SM-ps by cause."""


@dataclass(frozen=True)
class Lives:
    """The CTAs of a launch, by SM: records: rows (code, begin, end) of each; entered, left: when one came and went, ps;
    first, last: when one had consumed its first and its last tile. places: for CTAs on an SM."""

    records: Sequence[Int64]
    entered: list[Int64]
    first: list[Int64]
    last: list[Int64]
    left: list[Int64]
    places: int

    def begins(self, window: tuple[int, int]) -> Account:
        """That CTAs in `window` (begin, end; ps) take before their first tile is consumed."""
        return self._account([(self.entered, self.first)], window)

    def ends(self, window: tuple[int, int]) -> Account:
        """The same behind their last tile."""
        return self._account([(self.last, self.left)], window)

    def turns(self, window: tuple[int, int]) -> Account:
        """Both."""
        return self._account([(self.entered, self.first), (self.last, self.left)], window)

    def _account(self, phases: list[tuple[list[Int64], list[Int64]]], window: tuple[int, int]) -> Account:
        stacks = [(_in_line(begins, window), _in_line(ends, window)) for begins, ends in phases]
        total: Account = {}
        for spans in layers(stacks, self.places):
            for cause, value in account_spans(self.records, _by_sm(spans, len(self.records))).items():
                total[cause] = total.get(cause, 0.0) + value / self.places
        return total


def _in_line(at: Sequence[Int64], window: tuple[int, int]) -> Int64:
    """Instants of all SMs, clipped to the window, one SM's behind the other's."""
    return np.concatenate([np.clip(own, *window) + (sm << TIME_BITS) for sm, own in enumerate(at)])


def _by_sm(spans: Int64, sms: int) -> list[Int64]:
    """Of each SM its spans, of all in line."""
    bounds = np.searchsorted(spans[:, 0], np.arange(sms + 1) << TIME_BITS)
    return [spans[i:j] - (sm << TIME_BITS) for sm, (i, j) in enumerate(pairwise(bounds.tolist()))]


def lives(records: Sequence[Int64], order: Order, tile_ptr: Int64, places: int) -> Lives | None:
    """Of the launch whose CTAs have the tiles of tile_ptr [C + 1]; None where CTAs do not leave when they end, as those
    that run ahead."""
    residence = [rows[rows[:, 0] == RESIDENT] for rows in records]
    sm = sm_of_ctas(residence, order.finished_ps)
    if sm is None:
        return None
    first, last = order.consumed_ps[tile_ptr[:-1]], order.consumed_ps[tile_ptr[1:] - 1]
    until = int(order.finished_ps.max())
    own = [rows[rows[:, 2] <= until] for rows in residence]
    return Lives(
        records=records,
        entered=[rows[:, 1] for rows in own],
        first=[first[sm == i] for i in range(len(records))],
        last=[last[sm == i] for i in range(len(records))],
        left=[rows[:, 2] for rows in own],
        places=places,
    )


def sm_of_ctas(residence: Sequence[Int64], finished_ps: Int64) -> Int64 | None:
    """[C] SM on which each CTA ended, told by when one left; None where none did at that instant. residence: of each
    SM, rows (code, begin, end). Of CTAs that end at the same instant it does not matter which is which."""
    sm = np.repeat(np.arange(len(residence)), [len(rows) for rows in residence])
    left = np.concatenate([rows[:, 2] for rows in residence])
    by_time = np.argsort(left, kind="stable")
    ranks = np.argsort(finished_ps, kind="stable")
    ended = finished_ps[ranks]
    at = np.searchsorted(left[by_time], ended) + np.arange(len(ended)) - np.searchsorted(ended, ended)
    if at[-1] >= len(left) or (left[by_time][at] != ended).any():
        return None
    whose = np.empty(len(ended), np.int64)
    whose[ranks] = sm[by_time][at]
    return whose


def layers(phases: Sequence[tuple[Int64, Int64]], count: int) -> list[Int64]:
    """Of each number from 1 to `count`, [K, 2] the spans in which at least so many phases last, which begin and end at
    these instants."""
    steps = [(at, more) for begins, ends in phases for at, more in ((begins, 1), (ends, -1))]
    at = np.concatenate([at for at, _ in steps])
    by_time = np.argsort(at, kind="stable")
    there = np.cumsum(np.concatenate([np.full(len(at), more) for at, more in steps])[by_time])
    at = at[by_time]
    found: list[Int64] = []
    for least in range(1, count + 1):
        edges = np.flatnonzero(np.diff(there >= least, prepend=False, append=False))
        spans = at[np.minimum(edges, len(at) - 1)].reshape(-1, 2)
        found.append(spans[spans[:, 1] > spans[:, 0]])
    return found


def steady_account(seen: Account, run: Lives, window: tuple[int, int], end: int, whole: "Turns") -> Account:
    """Of the whole launch while all places work, from the sample's `seen` in `window`. end: of the sample, ps."""
    of_tiles = _plus(seen, run.turns(window), -1.0)
    tiles = sum(of_tiles.values())
    if tiles <= 0:
        return _times(seen, whole.sm_ps / sum(seen.values()))
    later = (window[0], end)
    begun = sum(int((at >= window[0]).sum()) for at in run.entered)
    ended = sum(int((at >= window[0]).sum()) for at in run.last)
    turns = _times(run.ends(later), whole.refills / max(1, ended))
    turns = _plus(turns, run.begins(later), whole.refills / max(1, begun))
    turning = sum(turns.values())
    if turning > whole.sm_ps:
        turns, turning = _times(turns, whole.sm_ps / turning), whole.sm_ps
    return _plus(turns, of_tiles, (whole.sm_ps - turning) / tiles)


@dataclass(frozen=True)
class Turns:
    """Of a whole launch while all places work: how long that is, and how many CTAs follow another one."""

    sm_ps: float
    refills: int


def _times(account: Mapping[str, float], factor: float) -> Account:
    return {cause: factor * value for cause, value in account.items()}


def _plus(account: Mapping[str, float], other: Mapping[str, float], factor: float) -> Account:
    return {cause: value + factor * other[cause] for cause, value in account.items()}
