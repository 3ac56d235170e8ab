"""The offline optimum: the most hit blocks that any policy can have.

What it bounds: the number of hit blocks of a request-by-request replay in which at most C blocks are
resident when a request arrives, each of them having been resident or part of the previous request. A policy
may refuse to keep blocks of a finished request; that freedom makes this a bound for the policies that must
keep them too, and for one tier of C1 + C2 blocks behind which nothing lies, hence for the total hits of two
exclusive tiers. It does not bound hit *tokens* where a part-filled block is hit, nor hits under
concurrency, nor time.

Why it is exact: keeping a block from one use to the next occupies one slot in between, so the most hits are
the most such intervals with at most C overlapping; dropping the interval that ends last whenever C is
exceeded is optimal for that (Belady's MIN, with bypass). A request that uses a block uses all blocks before
it, so a parent's next use is never later than its child's; with ties broken deepest first a child never
outlives its parent and every resident id of a request is inside its hit prefix.
"""

import numba
import numpy as np
import numpy.typing as npt

from kernels_ref.page_heap import RESIDENTS, Int32, Int64, PageState, drop, evict, guard, page_state, settle

NEVER = np.iinfo(np.int64).max // 2


@numba.njit(cache=True)
def next_uses(ptr: Int64, ids: Int32, unique: int, never: int) -> Int64:
    """Request that next uses the page at each position; `never` if none does."""
    later = np.full(unique, never, np.int64)
    out = np.empty(len(ids), np.int64)
    for request in range(len(ptr) - 2, -1, -1):
        for at in range(ptr[request], ptr[request + 1]):
            out[at] = later[ids[at]]
        for at in range(ptr[request], ptr[request + 1]):
            later[ids[at]] = request
    return out


@numba.njit(cache=True)
def _most_hits(ptr: Int64, ids: Int32, coming: Int64, capacity: int, never: int, state: PageState) -> Int64:
    """Hits of each request; pages without a next use go at once, then the one with the farthest next use,
    deepest first, whenever there are too many."""
    hits = np.zeros(len(ptr) - 1, np.int64)
    for request in range(len(ptr) - 1):
        row = ids[ptr[request] : ptr[request + 1]]
        again = coming[ptr[request] : ptr[request + 1]]
        hits[request] = guard(row, state)
        # A page's next use is never later than its child's: what is used again is a beginning of the row.
        kept = 0
        while kept < len(row) and again[kept] != never:
            state.key[row[kept]] = -float(again[kept])
            state.tie[row[kept]] = -kept
            kept += 1
        settle(row[:kept], False, state)
        drop(row[kept:], False, state)
        evict(state.sizes[RESIDENTS] - capacity, 0, False, state)
    return hits


def most_hits(ptr: Int64, ids: Int32, parent: Int32, capacity: int) -> npt.NDArray[np.int64]:
    """[N] hit blocks of each request under the offline optimum with `capacity` blocks."""
    coming = next_uses(ptr, ids, len(parent), NEVER)
    hits: npt.NDArray[np.int64] = _most_hits(ptr, ids, coming, capacity, NEVER, page_state(parent))
    return hits


def infinite_hits(ptr: Int64, ids: Int32, unique: int) -> npt.NDArray[np.int64]:
    """[N] hit blocks of each request in a cache that never evicts: every page seen before is a hit, and so
    are all pages before it."""
    first = np.zeros(len(ids), np.int64)
    order = np.full(unique, len(ids), np.int64)
    np.minimum.at(order, ids, np.arange(len(ids)))
    first[order[order < len(ids)]] = 1
    seen = np.concatenate(([0], np.cumsum(1 - first)))
    hits: npt.NDArray[np.int64] = seen[ptr[1:]] - seen[ptr[:-1]]
    return hits
