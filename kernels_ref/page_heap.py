"""Compiled page store: which pages are resident, and which of them goes next.

Residents wait in up to two binary heaps (segments) ordered by (key, tie), smallest first; a page's place in
its heap is known, so that it leaves from the middle in O(log n). With `leaf_only` a page is in a heap only
while no resident page continues it. The functions are ordinary Python over arrays and run uncompiled
through `.py_func`.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

RESIDENTS = 2
"""Index of the number of resident pages in `PageState.sizes`, after the two heap lengths."""


class PageState(NamedTuple):
    """State of pages 0..U-1."""

    heaps: Int32
    """[2, U]"""
    sizes: Int64
    """[3] length of each heap, resident pages (those waiting for their children are in no heap)."""
    place: Int32
    """[U] index in its heap, -1 outside."""
    segment: Int8
    resident: Bool
    guarded: Bool
    """[U] belongs to the request being served."""
    parent: Int32
    """[U] page before it in its prefix, -1 for a first one."""
    children: Int32
    """[U] resident pages that continue it."""
    key: Float
    tie: Int64


def page_state(parent: Int32) -> PageState:
    """No page resident."""
    unique = len(parent)
    return PageState(
        heaps=np.empty((2, unique), np.int32),
        sizes=np.zeros(3, np.int64),
        place=np.full(unique, -1, np.int32),
        segment=np.zeros(unique, np.int8),
        resident=np.zeros(unique, np.bool_),
        guarded=np.zeros(unique, np.bool_),
        parent=parent,
        children=np.zeros(unique, np.int32),
        key=np.zeros(unique, np.float64),
        tie=np.zeros(unique, np.int64),
    )


@numba.njit(cache=True)
def _before(a: int, b: int, key: Float, tie: Int64) -> bool:
    return bool(key[a] < key[b] or (key[a] == key[b] and tie[a] < tie[b]))


# The two sifts get single arrays: a tuple of ten would cost ten reference counts at every call.
@numba.njit(cache=True)
def _rise(at: int, page: int, heap: Int32, place: Int32, key: Float, tie: Int64) -> None:
    while at > 0:
        above = (at - 1) >> 1
        other = heap[above]
        if not _before(page, other, key, tie):
            break
        heap[at] = other
        place[other] = at
        at = above
    heap[at] = page
    place[page] = at


@numba.njit(cache=True)
def _sink(at: int, page: int, heap: Int32, length: int, place: Int32, key: Float, tie: Int64) -> None:
    while True:
        below = 2 * at + 1
        if below >= length:
            break
        if below + 1 < length and _before(heap[below + 1], heap[below], key, tie):
            below += 1
        other = heap[below]
        if not _before(other, page, key, tie):
            break
        heap[at] = other
        place[other] = at
        at = below
    heap[at] = page
    place[page] = at


@numba.njit(cache=True)
def _push(page: int, s: PageState) -> None:
    segment = s.segment[page]
    at = s.sizes[segment]
    s.sizes[segment] = at + 1
    _rise(at, page, s.heaps[segment], s.place, s.key, s.tie)


@numba.njit(cache=True)
def _pull(page: int, s: PageState) -> None:
    """Take `page` out of its heap, if it is in one; its key is still the one with which it was pushed."""
    at = s.place[page]
    if at < 0:
        return
    s.place[page] = -1
    segment = s.segment[page]
    heap = s.heaps[segment]
    length = s.sizes[segment] - 1
    s.sizes[segment] = length
    last = heap[length]
    if last == page:
        return
    if at > 0 and _before(last, heap[(at - 1) >> 1], s.key, s.tie):
        _rise(at, last, heap, s.place, s.key, s.tie)
    else:
        _sink(at, last, heap, length, s.place, s.key, s.tie)


@numba.njit(cache=True)
def _leave(page: int, leaf_only: bool, s: PageState) -> None:
    """`page` is resident no longer; its parent may become evictable."""
    _pull(page, s)
    s.resident[page] = False
    s.sizes[RESIDENTS] -= 1
    above = s.parent[page]
    if above >= 0:
        s.children[above] -= 1
        if leaf_only and s.children[above] == 0 and s.resident[above] and not s.guarded[above]:
            _push(above, s)


@numba.njit(cache=True)
def leading(ids: Int32, first: Bool, second: Bool) -> tuple[int, int]:
    """Leading ids that are resident: (in the first store, only in the second)."""
    one = two = 0
    for page in ids:
        if first[page]:
            one += 1
        elif second[page]:
            two += 1
        else:
            break
    return one, two


@numba.njit(cache=True)
def guard(ids: Int32, s: PageState) -> int:
    """Keep `ids` from eviction: out of the heaps until `settle`. Returns how many of them are resident."""
    count = 0
    for page in ids:
        s.guarded[page] = True
        count += s.resident[page]
        _pull(page, s)
    return count


@numba.njit(cache=True)
def settle(ids: Int32, leaf_only: bool, s: PageState) -> None:
    """Make guarded `ids` resident and evictable again, under the keys stored for them."""
    for page in ids:
        s.guarded[page] = False
        if not s.resident[page]:
            s.resident[page] = True
            s.sizes[RESIDENTS] += 1
            if s.parent[page] >= 0:
                s.children[s.parent[page]] += 1
    for page in ids:
        if not leaf_only or s.children[page] == 0:
            _push(page, s)


@numba.njit(cache=True)
def evict(count: int, keep_first: int, leaf_only: bool, s: PageState) -> Int32:
    """Remove `count` pages: from the first segment while it holds more than `keep_first`, else from the
    second. Returns them in order, fewer only if nothing else can be evicted."""
    out = np.empty(max(count, 0), np.int32)
    for n in range(len(out)):
        if s.sizes[0] + s.sizes[1] == 0:
            return out[:n]
        source = 0 if s.sizes[1] == 0 or s.sizes[0] > keep_first else 1
        out[n] = s.heaps[source, 0]
        _leave(out[n], leaf_only, s)
    return out


@numba.njit(cache=True)
def spill_over(most_second: int, stamp: int, s: PageState) -> int:
    """Move the first of an overfull second segment to the most recent end of the first (segmented LRU).
    Returns the last stamp used."""
    while s.sizes[1] > most_second:
        page = s.heaps[1, 0]
        _pull(page, s)
        stamp += 1
        s.segment[page] = 0
        s.key[page] = stamp
        s.tie[page] = stamp
        _push(page, s)
    return stamp


@numba.njit(cache=True)
def rekey(ids: Int32, keys: Float, s: PageState) -> None:
    """Give pages other keys where they are, as when a retention hint lapses."""
    for n in range(len(ids)):
        page = ids[n]
        waiting = s.place[page] >= 0
        _pull(page, s)
        s.key[page] = keys[n]
        if waiting:
            _push(page, s)


@numba.njit(cache=True)
def drop(ids: Int32, leaf_only: bool, s: PageState) -> int:
    """Take out those of `ids` that are resident; returns how many were."""
    count = 0
    for page in ids:
        if s.resident[page]:
            _leave(page, leaf_only, s)
            count += 1
    return count
