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
from sim.device.recorder import RESIDENT
from sim.errors import SelfCheckError

N_BUSY = len(BUSY)
N_CODES = RESIDENT + 1
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
    times: NDArray[np.int64],
    codes: NDArray[np.int64],
    deltas: NDArray[np.int64],
    end: int,
    account: NDArray[np.float64],
) -> int:
    """Walk the boundaries of one SM, in time order. Returns -1, or the time of an instant without a cause."""
    counts = np.zeros(N_CODES, np.int64)
    now = 0
    i = 0
    while now < end:
        while i < len(times) and times[i] <= now:
            counts[codes[i]] += deltas[i]
            i += 1
        then = min(times[i], end) if i < len(times) else end
        busy = _first(counts, 0, N_BUSY)
        if busy >= 0:
            account[busy] += then - now
        elif counts[RESIDENT] > 0:
            if not _share_waits(counts, then - now, account):
                return now
        else:
            idle = _first(counts, FIRST_IDLE, NO_WORK)
            account[idle if idle >= 0 else NO_WORK] += then - now
        now = then
    return -1


def _boundaries(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    times = np.concatenate([rows[:, 1], rows[:, 2]])
    codes = np.concatenate([rows[:, 0], rows[:, 0]])
    deltas = np.concatenate([np.ones(len(rows), np.int64), np.full(len(rows), -1, np.int64)])
    order = np.argsort(times, kind="stable")
    return times[order], codes[order], deltas[order]


def account_sms(records: Iterable[NDArray[np.int64]], end: int, phases: list[Phase]) -> dict[str, float]:
    """SM-picoseconds by cause over [0, end) from each SM's rows (code, begin, end); every cause is present.

    Raises SelfCheckError when a resident CTA has no cause or several, or the sum does not close to 1e-9.
    """
    idle = np.array([[INDEX[p.cause], p.begin, min(p.end, end)] for p in phases], np.int64).reshape(-1, 3)
    total = np.zeros(len(CAUSES))
    sms = 0
    for sm, rows in enumerate(records):
        times, codes, deltas = _boundaries(np.concatenate([idle, rows]))
        account = np.zeros(len(CAUSES))
        fault = _sweep(times, codes, deltas, end, account)
        if fault >= 0:
            raise SelfCheckError(f"SM {sm} at {fault} ps: a resident CTA has no single cause of waiting")
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
