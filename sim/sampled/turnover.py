"""What CTAs cost an SM when they begin and end, apart from what their tiles do.

The CTAs of a sample are short: one follows another many times as often, per tile, as in the whole launch. So an instant
of the sample counts as turnover by the share of the places of its SM whose CTA has consumed no tile yet, or has
consumed its last; the rest of it is the tiles'. Of the whole launch it is known how many CTAs follow another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.device.order import Order
from sim.device.recorder import RESIDENT, joined

Int64 = NDArray[np.int64]
Account = NDArray[np.float64]
"""[causes] SM-ps."""


@dataclass(frozen=True)
class Lives:
    """The CTAs of a launch, by SM. sm: [C] of each; entered, left: [C] when those of an SM came and went, ps; first,
    last: when they had consumed their first and their last tile. Each by itself in order of SMs, whichever CTA of the
    SM that was."""

    sm: Int64
    entered: Int64
    first: Int64
    last: Int64
    left: Int64

    @property
    def begins(self) -> tuple[Int64, Int64, Int64]:
        """(SM, begin, end) of what is before CTAs' first tile is consumed."""
        return self.sm, self.entered, self.first

    @property
    def ends(self) -> tuple[Int64, Int64, Int64]:
        """The same behind their last tile."""
        return self.sm, self.last, self.left

    def begun(self, since: int) -> int:
        """How many came from an instant on."""
        return int((self.entered >= since).sum())

    def ended(self, since: int) -> int:
        """How many had consumed their last tile from then on."""
        return int((self.last >= since).sum())


def lives(records: Sequence[Int64], order: Order, tile_ptr: Int64) -> Lives | None:
    """Of the launch whose CTAs have the tiles of tile_ptr [C + 1], from each SM's rows (code, begin, end); None where
    CTAs do not leave when they end, as those that run ahead."""
    residence = [rows[rows[:, 0] == RESIDENT] for rows in records]
    sm = sm_of_ctas(residence, order.finished_ps)
    if sm is None:
        return None
    by_sm = np.argsort(sm, kind="stable")
    first, last = order.consumed_ps[tile_ptr[:-1]], order.consumed_ps[tile_ptr[1:] - 1]
    rows, of_rows = joined(residence)
    own = rows[:, 2] <= order.finished_ps.max()
    return Lives(
        sm=of_rows[own], entered=rows[own, 1], first=first[by_sm], last=last[by_sm], left=rows[own, 2]
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


@dataclass(frozen=True)
class Turns:
    """Of a whole launch while all places work: how long that is, and how many CTAs follow another one."""

    sm_ps: float
    refills: int


def steady_account(
    steady: NDArray[np.float64], tail: NDArray[np.float64], begun: int, ended: int, whole: Turns
) -> Account:
    """Of the whole launch while all places work, from the sample's. steady, tail: [3, causes] the sample's account
    while all places work and behind that: all of it, and what of that is begins and ends of CTAs; begun, ended: how
    many of each the two hold."""
    seen, turning = steady[0], steady[1] + steady[2]
    of_tiles = seen - turning
    if of_tiles.sum() <= 0:
        alike: Account = seen * (whole.sm_ps / seen.sum())
        return alike
    begins = (steady[1] + tail[1]) * (whole.refills / max(1, begun))
    ends = (steady[2] + tail[2]) * (whole.refills / max(1, ended))
    turns: Account = begins + ends
    if turns.sum() > whole.sm_ps:
        turns *= whole.sm_ps / turns.sum()
    turns += of_tiles * ((whole.sm_ps - turns.sum()) / of_tiles.sum())
    return turns


def with_known(account: Account, known: Mapping[int, float]) -> Account:
    """The account, in which some causes have times that are known (SM-ps, by number); the others share the rest in
    proportion. None is more than what is left of the account."""
    whole = float(account.sum())
    mended, left = account.copy(), whole
    for cause, sm_ps in known.items():
        mended[cause] = min(max(0.0, sm_ps), left)
        left -= float(mended[cause])
    others = np.ones(len(account), bool)
    others[list(known)] = False
    shared = float(account[others].sum())
    if shared <= 0:
        return account
    mended[others] *= left / shared
    return mended
