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
def _add_instant(counts: NDArray[np.int64], span: int, account: NDArray[np.float64]) -> bool:
    """Add an instant of `span` ps with the causes in `counts`; False unless each resident CTA has exactly one."""
    busy = _first(counts, 0, N_BUSY)
    if counts[SUMMED] > 0:
        pass
    elif busy >= 0:
        account[busy] += span
    elif counts[RESIDENT] > 0:
        return _share_waits(counts, span, account)
    else:
        idle = _first(counts, FIRST_IDLE, NO_WORK)
        account[idle if idle >= 0 else NO_WORK] += span
    return True


@njit(cache=True)
def _sweep(
    edges: NDArray[np.int64],
    i: int,
    now: int,
    end: int,
    counts: NDArray[np.int64],
    account: NDArray[np.float64],
) -> tuple[int, int]:
    """Walk the edges (SM, time, code, delta) of one SM, in time order, from edge `i` and instant `now` on; counts: how
    many of each code there are, then of each kind. Adds to account [1 + kinds, causes]. Returns the next edge, and the
    time of an instant without a cause or -1.
    """
    while now < end:
        while i < len(edges) and edges[i, 1] <= now:
            counts[edges[i, 2]] += edges[i, 3]
            i += 1
        then = min(edges[i, 1], end) if i < len(edges) else end
        if not _add_instant(counts, then - now, account[0]):
            return i, now
        for kind in range(len(account) - 1):
            there = counts[N_CODES + kind]
            if there > 0:
                _add_instant(counts, (then - now) * there, account[1 + kind])
        now = then
    return i, -1


@loads_fast
@njit(cache=True)
def _sweep_parts(
    edges: NDArray[np.int64],
    begins: NDArray[np.int64],
    marks: NDArray[np.int64],
    counts: NDArray[np.int64],
    account: NDArray[np.float64],
) -> tuple[int, int]:
    """Add to account [parts, 1 + kinds, causes] what lies between the marks [parts + 1] for every SM; counts:
    [N_CODES + kinds], all 0. Else as `_sweep_all`."""
    for sm in range(len(begins) - 1):
        own = edges[begins[sm] : begins[sm + 1]]
        counts[:] = 0
        at = 0
        for part in range(len(marks) - 1):
            at, fault = _sweep(own, at, marks[part], marks[part + 1], counts, account[part])
            if fault >= 0:
                return sm, fault
    return -1, -1


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
        own = edges[begins[sm] : begins[sm + 1]]
        _, fault = _sweep(own, 0, now[sm], end[sm], counts[sm], account[sm : sm + 1])
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


def _in_order(edges: NDArray[np.int64], sms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges by SM and time, and [SMs + 1] where each SM's begin."""
    ordered = edges[np.argsort(edges[:, 0] << TIME_BITS | edges[:, 1], kind="stable")]
    return ordered, np.searchsorted(ordered[:, 0], np.arange(sms + 1))


def _check_causes(sm: int, fault: int) -> None:
    """Whether a sweep found a cause for all: an SM (-1: all had one), and when it had none."""
    if sm >= 0:
        raise SelfCheckError(f"SM {sm} at {fault} ps: a resident CTA has no single cause of waiting")


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
        self._edges, begins = _in_order(np.concatenate([self._edges, edges]), len(self._now))
        return begins

    def _walk(self, begins: NDArray[np.int64], end: NDArray[np.int64]) -> None:
        sm, fault = _sweep_all(self._edges, begins, self._now, end, self._counts, self.account)
        _check_causes(sm, fault)
        self._edges = self._edges[self._edges[:, 1] >= end[self._edges[:, 0]]]


def account_sms(records: Sequence[NDArray[np.int64]], end: int, phases: Sequence[Phase]) -> dict[str, float]:
    """SM-picoseconds by cause over [0, end) from each SM's rows (code, begin, end); every cause is present.

    Raises SelfCheckError when a resident CTA has no cause or several, or the sum does not close to 1e-9.
    """
    idle = np.array([[INDEX[p.cause], p.begin, min(p.end, end)] for p in phases], np.int64).reshape(-1, 3)
    rows, sm = joined([np.concatenate([idle, record]) for record in records])
    return Ledger(len(records)).close(edges_of(rows, sm), end)


def account_parts(
    records: Sequence[NDArray[np.int64]],
    phases: Sequence[Phase],
    marks: NDArray[np.int64],
    kinds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = (),
) -> NDArray[np.float64]:
    """[parts, 1 + kinds, causes] SM-picoseconds between marks [parts + 1] of the time: all of them; then, of each kind,
    those of instants in which spans (SM, begin, end: [N] each) of the kind last, as many times as there are such spans.

    Raises SelfCheckError as `account_sms` does.
    """
    idle = np.array([[INDEX[p.cause], p.begin, p.end] for p in phases], np.int64).reshape(-1, 3)
    rows, sm = joined([np.concatenate([idle, record]) for record in records])
    edges = [edges_of(rows, sm)]
    for number, (whose, begin, end) in enumerate(kinds):
        code = np.full(len(whose), N_CODES + number)
        edges.append(edges_of(np.column_stack([code, begin, end]), whose))
    joint, begins = _in_order(np.concatenate(edges), len(records))
    account = np.zeros((len(marks) - 1, 1 + len(kinds), len(CAUSES)))
    fault = _sweep_parts(joint, begins, marks, np.zeros(N_CODES + len(kinds), np.int64), account)
    _check_causes(*fault)
    for part, length in zip(account, np.diff(marks), strict=True):
        check_closed(part[0], len(records), int(length))
    return account


def check_closed(total: NDArray[np.float64], sms: int, end: int) -> None:
    """The raw sum of all causes equals SMs x time."""
    expected = float(sms) * end
    if abs(float(total.sum()) - expected) > TOLERANCE * max(expected, 1.0):
        raise SelfCheckError(f"the account sums to {total.sum():.0f} SM-ps, not {expected:.0f}")
