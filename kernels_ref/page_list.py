"""Compiled page store for recency orders: a doubly linked ring, oldest page first, everything in constant
time.

Under LRU a page that is used becomes the newest, so its place needs no search; a heap would give the same
order for log n as much work. The ring closes over the sentinel at index U.
"""

import numba
import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]

OUTSIDE = -1


@numba.njit(cache=True)
def _unlink(page: int, after: Int32, before: Int32) -> None:
    after[before[page]] = after[page]
    before[after[page]] = before[page]
    after[page] = OUTSIDE


@numba.njit(cache=True)
def ring_guard(ids: Int32, after: Int32, before: Int32, resident: Bool) -> int:
    count = 0
    for page in ids:
        count += resident[page]
        if after[page] != OUTSIDE:
            _unlink(page, after, before)
    return count


@numba.njit(cache=True)
def ring_settle(ids: Int32, after: Int32, before: Int32, resident: Bool) -> int:
    end = len(after) - 1
    new = 0
    for page in ids:
        new += not resident[page]
        resident[page] = True
        newest = before[end]
        after[newest] = page
        before[page] = newest
        after[page] = end
        before[end] = page
    return new


@numba.njit(cache=True)
def ring_evict(count: int, after: Int32, before: Int32, resident: Bool) -> Int32:
    end = len(after) - 1
    out = np.empty(max(count, 0), np.int32)
    for n in range(len(out)):
        page = after[end]
        if page == end:
            return out[:n]
        _unlink(page, after, before)
        resident[page] = False
        out[n] = page
    return out


@numba.njit(cache=True)
def ring_drop(ids: Int32, after: Int32, before: Int32, resident: Bool) -> int:
    count = 0
    for page in ids:
        if resident[page]:
            resident[page] = False
            count += 1
            if after[page] != OUTSIDE:
                _unlink(page, after, before)
    return count


class PageList:
    """Resident pages of 0..unique-1 by recency."""

    def __init__(self, unique: int) -> None:
        self.resident = np.zeros(unique, np.bool_)
        self.count = 0
        self._after = np.full(unique + 1, OUTSIDE, np.int32)
        self._before = np.full(unique + 1, OUTSIDE, np.int32)
        self._after[unique] = self._before[unique] = unique

    def guard(self, ids: Int32) -> int:
        """Keep `ids` from eviction until they are settled; returns how many are resident."""
        return int(ring_guard(ids, self._after, self._before, self.resident))

    def settle(self, ids: Int32) -> None:
        """Make guarded `ids` the newest residents, the last one the newest of all."""
        self.count += int(ring_settle(ids, self._after, self._before, self.resident))

    def evict(self, count: int) -> Int32:
        """Remove the `count` oldest pages; returns them, oldest first."""
        out: Int32 = ring_evict(count, self._after, self._before, self.resident)
        self.count -= len(out)
        return out

    def drop(self, ids: Int32) -> None:
        """Remove those of `ids` that are resident."""
        self.count -= int(ring_drop(ids, self._after, self._before, self.resident))
