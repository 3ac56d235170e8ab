"""The closed account: every SM-instant gets exactly one cause (design: closed accounting).

Order of causes at an instant: a unit that works for any resident CTA (tensor, softmax, unpack, alu, issue); else the
waits of the resident CTAs, shared equally; else, with no CTA resident, the reason of the phase (launch,
dependency) or no_work. Each cause is accumulated on its own: nothing is found by subtraction or normalised, and
`check_closed` compares the raw sum with SMs x time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.causes import BUSY, CAUSES, IDLE, INDEX
from sim.device.recorder import RESIDENT, SUMMED, joined
from sim.errors import SelfCheckError
from sim.memory.jit import loads_fast

N_BUSY = len(BUSY)
N_CODES = SUMMED + 1
NO_WORK = INDEX["no_work"]
FIRST_IDLE = INDEX[IDLE[0]]
TOLERANCE = 1e-9
TIME_BITS = 48
"""Of an edge's time in ps: 281 s of simulated time."""


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
    waiting = 0
    for code in range(N_BUSY, FIRST_IDLE):
        waiting += counts[code]
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


@loads_fast
@njit(cache=True)
def _sweep_all(
    edges: NDArray[np.int64],
    begins: NDArray[np.int64],
    now: NDArray[np.int64],
    end: NDArray[np.int64],
    counts: NDArray[np.int64],
    account: NDArray[np.float64],
) -> tuple[int, int]:
    """`_sweep` of every SM; begins: [SMs + 1] where its edges (SM, time, code, delta) begin. Returns (SM, time) of an
    instant without a cause, or (-1, -1).
    """
    for sm in range(len(now)):
        own = edges[begins[sm] : begins[sm + 1], 1:]
        fault = _sweep(own, now[sm], end[sm], counts[sm], account[sm])
        if fault >= 0:
            return sm, fault
        now[sm] = max(now[sm], end[sm])
    return -1, -1


@loads_fast
@njit(cache=True)
def _last_edges(
    edges: NDArray[np.int64], begins: NDArray[np.int64], until: NDArray[np.int64]
) -> NDArray[np.int64]:
    """[SMs] time of each SM's last edge up to `until`; 0: there is none."""
    last = np.zeros(len(until), np.int64)
    for sm in range(len(until)):
        for i in range(begins[sm], begins[sm + 1]):
            if edges[i, 1] > until[sm]:
                break
            last[sm] = edges[i, 1]
    return last


def edges_of(rows: NDArray[np.int64], sm: NDArray[np.int64]) -> NDArray[np.int64]:
    """[2N, 4] SM, time, code, delta: where rows (code, begin, end) of SMs `sm` begin and end."""
    edges = np.empty((2, len(rows), 4), np.int64)
    edges[:, :, 0] = sm
    edges[:, :, 1] = rows[:, 1:].T
    edges[:, :, 2] = rows[:, 0]
    edges[:, :, 3] = np.array([[1], [-1]])
    return edges.reshape(-1, 4)


class Ledger:
    """The accounts of all SMs, which can be settled as time goes on: however often, to the same last bit."""

    def __init__(self, sms: int) -> None:
        self.account = np.zeros((sms, len(CAUSES)))
        self._counts = np.zeros((sms, N_CODES), np.int64)
        self._now = np.zeros(sms, np.int64)
        self._edges = np.zeros((0, 4), np.int64)

    def settle(self, edges: NDArray[np.int64], until: NDArray[np.int64]) -> None:
        """Take more edges, and account for all instants before each SM's last edge up to `until` ([SMs]), before which
        no more come.

        So spans are never cut in two. Raises SelfCheckError when a resident CTA has no cause or several.
        """
        begins = self._take(edges)
        self._walk(begins, np.maximum(self._now, _last_edges(self._edges, begins, until)))

    def close(self, edges: NDArray[np.int64], end: int | NDArray[np.int64]) -> dict[str, float]:
        """SM-picoseconds by cause over [0, end), of all SMs or [SMs] of each, with the last edges; every cause is
        present. Raises SelfCheckError as `settle` does, and when the sum does not close to 1e-9."""
        ends = np.zeros(len(self._now), np.int64) + end
        self._walk(self._take(edges), ends)
        total = np.zeros(len(CAUSES))
        for of_sm in self.account:
            total += of_sm
        check_closed(total, 1, int(ends.sum()))
        return {cause: float(total[i]) for i, cause in enumerate(CAUSES)}

    def _take(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort edges in by SM and time; returns [SMs + 1] where each SM's begin."""
        edges = np.concatenate([self._edges, edges])
        self._edges = edges[np.argsort(edges[:, 0] << TIME_BITS | edges[:, 1], kind="stable")]
        begins: NDArray[np.int64] = np.searchsorted(self._edges[:, 0], np.arange(len(self._now) + 1))
        return begins

    def _walk(self, begins: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        sm, fault = _sweep_all(self._edges, begins, self._now, end, self._counts, self.account)
        if sm >= 0:
            raise SelfCheckError(f"SM {sm} at {fault} ps: a resident CTA has no single cause of waiting")
        self._edges = self._edges[self._edges[:, 1] >= end[self._edges[:, 0]]]


def account_sms(records: Sequence[NDArray[np.int64]], end: int, phases: Sequence[Phase]) -> dict[str, float]:
    """SM-picoseconds by cause over [0, end) from each SM's rows (code, begin, end); every cause is present.

    Raises SelfCheckError when a resident CTA has no cause or several, or the sum does not close to 1e-9.
    """
    idle = np.array([[INDEX[p.cause], p.begin, min(p.end, end)] for p in phases], np.int64).reshape(-1, 3)
    rows, sm = joined([np.concatenate([idle, record]) for record in records])
    return Ledger(len(records)).close(edges_of(rows, sm), end)


def account_window(
    records: Sequence[NDArray[np.int64]], begin: int, end: int, phases: Sequence[Phase]
) -> dict[str, float]:
    """`account_sms` of [begin, end) alone."""
    shifted = [Phase(p.cause, max(0, p.begin - begin), max(0, p.end - begin)) for p in phases]
    return account_sms([_clipped(rows, begin, end) for rows in records], end - begin, shifted)


def account_spans(
    records: Sequence[NDArray[np.int64]], spans: Sequence[NDArray[np.int64]]
) -> dict[str, float]:
    """`account_sms` of parts of the time in which CTAs are resident, of each SM its own: [K, 2] begin, end, in order
    and apart. Each SM has a clock that runs in its spans only."""
    rows, sm = joined(records)
    own, whose = np.concatenate(spans), np.repeat(np.arange(len(spans)), [len(of_sm) for of_sm in spans])
    lengths = own[:, 1] - own[:, 0]
    ends = np.zeros(len(spans), np.int64)
    np.add.at(ends, whose, lengths)
    before = np.cumsum(lengths) - lengths - (np.cumsum(ends) - ends)[whose]
    first = np.searchsorted(whose, sm)
    known = np.flatnonzero(np.searchsorted(whose, sm, side="right") > first)
    rows, sm, first = rows[known], sm[known], first[known]
    at = np.searchsorted(
        own[:, 0] + (whose << TIME_BITS), rows[:, 1:] + (sm << TIME_BITS)[:, None], side="right"
    )
    at = np.maximum(first[:, None], at - 1)
    rows[:, 1:] = before[at] + np.clip(rows[:, 1:] - own[at, 0], 0, lengths[at])
    lasting = rows[:, 2] > rows[:, 1]
    return Ledger(len(records)).close(edges_of(rows[lasting], sm[lasting]), ends)


def _clipped(rows: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
    part = rows.copy()
    part[:, 1:] = np.clip(rows[:, 1:], begin, end) - begin
    return part[part[:, 2] > part[:, 1]]


def check_closed(total: NDArray[np.float64], sms: int, end: int) -> None:
    """The raw sum of all causes equals SMs x time."""
    expected = float(sms) * end
    if abs(float(total.sum()) - expected) > TOLERANCE * max(expected, 1.0):
        raise SelfCheckError(f"the account sums to {total.sum():.0f} SM-ps, not {expected:.0f}")
