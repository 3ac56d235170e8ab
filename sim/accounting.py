"""The closed account: every SM-instant gets exactly one cause (design: closed accounting).

Order of causes at an instant: a unit that works for any resident CTA (tensor, softmax, unpack, alu, issue); else the
waits of the resident CTAs, shared equally; else, with no CTA resident, the reason of the phase (launch,
dependency) or no_work. Each cause is accumulated on its own: nothing is found by subtraction or normalised, and
`check_closed` compares the raw sum with SMs x time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.causes import BUSY, CAUSES, IDLE, INDEX
from sim.device.recorder import RESIDENT, SUMMED
from sim.errors import SelfCheckError

N_BUSY = len(BUSY)
N_CODES = SUMMED + 1
NO_WORK = INDEX["no_work"]
FIRST_IDLE = INDEX[IDLE[0]]
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Phase:
    """What an SM without a CTA is told from `begin` to `end`: launch or dependency."""

    cause: str
    begin: int
    end: int


@njit(cache=True)
def _first(counts: NDArray[np.int64], begin: int, end: int) -> int:
    """The first code in [begin, end) that is present, or -1."""
    for code in range(begin, end):
        if counts[code] > 0:
            return code
    return -1


@njit(cache=True)
def _share_waits(counts: NDArray[np.int64], span: int, account: NDArray[np.float64]) -> bool:
    """Divide an instant among the resident CTAs' waits; False unless each CTA has exactly one."""
    waiting = counts[N_BUSY:FIRST_IDLE].sum()
    if waiting != counts[RESIDENT]:
        return False
    for code in range(N_BUSY, FIRST_IDLE):
        account[code] += span * counts[code] / waiting
    return True


@njit(cache=True)
def _sweep(
    edges: NDArray[np.int64],
    now: int,
    end: int,
    counts: NDArray[np.int64],
    account: NDArray[np.float64],
) -> int:
    """Walk the edges (time, code, delta) of one SM, in time order, from `now` on; counts: how many of each code there
    are. Returns -1, or the time of an instant without a cause.
    """
    i = 0
    while now < end:
        while i < len(edges) and edges[i, 0] <= now:
            counts[edges[i, 1]] += edges[i, 2]
            i += 1
        then = min(edges[i, 0], end) if i < len(edges) else end
        busy = _first(counts, 0, N_BUSY)
        if counts[SUMMED] > 0:
            pass
        elif busy >= 0:
            account[busy] += then - now
        elif counts[RESIDENT] > 0:
            if not _share_waits(counts, then - now, account):
                return now
        else:
            idle = _first(counts, FIRST_IDLE, NO_WORK)
            account[idle if idle >= 0 else NO_WORK] += then - now
        now = then
    return -1


def edges_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """[2N, 3] time, code, delta: where rows (code, begin, end) begin and end."""
    begins = np.stack([rows[:, 1], rows[:, 0], np.ones(len(rows), np.int64)], axis=1)
    ends = np.stack([rows[:, 2], rows[:, 0], np.full(len(rows), -1)], axis=1)
    edges: NDArray[np.int64] = np.concatenate([begins, ends])
    return edges


class Ledger:
    """The account of one SM, which can be settled as time goes on: however often, to the same last bit."""

    def __init__(self, sm: int) -> None:
        self.sm = sm
        self.account = np.zeros(len(CAUSES))
        self._counts = np.zeros(N_CODES, np.int64)
        self._now = 0
        self._edges = np.zeros((0, 3), np.int64)

    def settle(self, edges: NDArray[np.int64], until: int) -> None:
        """Take more edges, and account for all instants before the last edge up to `until`, before which no more come.

        So spans are never cut in two. Raises SelfCheckError when a resident CTA has no cause or several.
        """
        self._take(edges)
        times = self._edges[:, 0]
        reached = int(np.searchsorted(times, until, side="right"))
        if reached:
            self._walk(int(times[reached - 1]))

    def close(self, edges: NDArray[np.int64], end: int) -> NDArray[np.float64]:
        """[causes] SM-picoseconds over [0, end), with the last edges."""
        self._take(edges)
        self._walk(end)
        return self.account

    def _take(self, edges: NDArray[np.int64]) -> None:
        edges = np.concatenate([self._edges, edges])
        self._edges = edges[np.argsort(edges[:, 0], kind="stable")]

    def _walk(self, end: int) -> None:
        past = int(np.searchsorted(self._edges[:, 0], end, side="left"))
        fault = _sweep(self._edges[:past], self._now, end, self._counts, self.account)
        if fault >= 0:
            raise SelfCheckError(f"SM {self.sm} at {fault} ps: a resident CTA has no single cause of waiting")
        self._edges = self._edges[past:].copy()
        self._now = max(self._now, end)


def account_sms(records: Iterable[NDArray[np.int64]], end: int, phases: list[Phase]) -> dict[str, float]:
    """SM-picoseconds by cause over [0, end) from each SM's rows (code, begin, end); every cause is present.

    Raises SelfCheckError when a resident CTA has no cause or several, or the sum does not close to 1e-9.
    """
    idle = np.array([[INDEX[p.cause], p.begin, min(p.end, end)] for p in phases], np.int64).reshape(-1, 3)
    edges = (edges_of(np.concatenate([idle, rows])) for rows in records)
    return closed((Ledger(sm).close(of_sm, end) for sm, of_sm in enumerate(edges)), end)


def closed(accounts: Iterable[NDArray[np.float64]], end: int) -> dict[str, float]:
    """The sum of the SMs' accounts over [0, end). Raises SelfCheckError when it does not close to 1e-9."""
    total = np.zeros(len(CAUSES))
    sms = 0
    for account in accounts:
        total += account
        sms += 1
    check_closed(total, sms, end)
    return {cause: float(total[i]) for i, cause in enumerate(CAUSES)}


def account_window(
    records: Iterable[NDArray[np.int64]], begin: int, end: int, phases: Sequence[Phase]
) -> dict[str, float]:
    """`account_sms` of [begin, end) alone."""
    shifted = [Phase(p.cause, max(0, p.begin - begin), max(0, p.end - begin)) for p in phases]
    return account_sms((_clipped(rows, begin, end) for rows in records), end - begin, shifted)


def _clipped(rows: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
    part = rows.copy()
    part[:, 1:] = np.clip(rows[:, 1:], begin, end) - begin
    return part[part[:, 2] > part[:, 1]]


def check_closed(total: NDArray[np.float64], sms: int, end: int) -> None:
    """The raw sum of all causes equals SMs x time."""
    expected = float(sms) * end
    if abs(float(total.sum()) - expected) > TOLERANCE * max(expected, 1.0):
        raise SelfCheckError(f"the account sums to {total.sum():.0f} SM-ps, not {expected:.0f}")
