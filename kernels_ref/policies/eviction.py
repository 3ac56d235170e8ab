"""Eviction policies. Each is one order function over the pages of a request: the smallest value is evicted
first.

The order is asked for when pages are used, for all pages of a request at once; ties go to the less recently
used page, deeper first. A policy may divide residents into two segments, and hear of evictions; most need
neither.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pages:
    """Columns over the pages of one request that are kept, first page first."""

    ids: Int32
    stamp: Int64
    """Serial number of this use; the deepest page has the smallest."""
    entered: Int64
    """Stamp at which the page last became resident (this one for a new page)."""
    uses: Int64
    """Uses since it became resident, this one included."""
    resident: npt.NDArray[np.bool_]
    """Whether it was resident before the request."""
    segment: npt.NDArray[np.int8]
    """Segment it was in; 0 for a new page."""
    depth: Int64
    """Pages before it in its prefix."""
    page_tokens: int
    now_s: float
    """Arrival of the request; its number where the trace has no times."""
    priority: Float
    """Retention hint, 0 to 100."""
    ttl_s: Float
    """How long the hint holds; infinite if it does not lapse."""


class EvictionPolicy:
    """What the replay asks of a policy. `keep_first`: pages that the first segment keeps before the second
    one is drawn upon; `most_second`: size at which the second segment overflows into the first, None for
    never."""

    name = ""
    leaf_only = False
    """Evict only pages that no resident page continues, so that nothing becomes unreachable."""
    newest = ""
    """For recency orders, which page of a request is the newest: "root" or "end". They need no keys: a list
    does."""

    def begin(self, capacity: int, unique: int) -> None:
        """Forget everything; the cache holds `capacity` of `unique` pages."""
        self.keep_first = 0
        self.most_second: int | None = None

    def order(self, pages: Pages) -> Float:
        raise NotImplementedError

    def place(self, pages: Pages) -> npt.NDArray[np.int8] | None:
        """Segment of each page; None leaves all in the first."""
        return None

    def evicted(self, ids: Int32, keys: Float, segments: npt.NDArray[np.int8]) -> None:
        """Pages that went, in order, with their last keys and segments."""

    def lapsed(self, now_s: float) -> tuple[Int32, Float]:
        """Pages whose order changed by the passing of time, with their new keys."""
        return np.empty(0, np.int32), np.empty(0, np.float64)


class LruTailFirst(EvictionPolicy):
    """Least recently used; the deepest page of a request counts as used first, as vLLM frees."""

    name = "lru_tail_first"
    newest = "root"

    def order(self, pages: Pages) -> Float:
        return pages.stamp.astype(np.float64)


class LruHeadFirst(EvictionPolicy):
    """Least recently used with the root used first: what a plain LRU list does, stranding the rest of a
    prefix."""

    name = "lru_head_first"
    newest = "end"

    def order(self, pages: Pages) -> Float:
        return pages.stamp[::-1].astype(np.float64)


class LruLeaf(LruTailFirst):
    """Least recently used among the leaves of the prefix tree (SGLang's radix cache)."""

    name = "lru_leaf"
    newest = ""
    leaf_only = True


class FifoTailFirst(EvictionPolicy):
    """First in, first out; a hit does not move a page."""

    name = "fifo_tail_first"

    def order(self, pages: Pages) -> Float:
        return pages.entered.astype(np.float64)


class Lfu(EvictionPolicy):
    """Least often used since it became resident."""

    name = "lfu"

    def order(self, pages: Pages) -> Float:
        return pages.uses.astype(np.float64)


class Slru(LruTailFirst):
    """Segmented LRU: pages used again are protected; 80 % of the cache at most, the overflow goes on
    probation."""

    name = "slru"
    newest = ""

    def __init__(self, protected_fraction: float = 0.8) -> None:
        self.protected_fraction = protected_fraction

    def begin(self, capacity: int, unique: int) -> None:
        super().begin(capacity, unique)
        self.most_second = int(capacity * self.protected_fraction)

    def place(self, pages: Pages) -> npt.NDArray[np.int8]:
        return pages.resident.astype(np.int8)


class TwoQ(EvictionPolicy):
    """2Q (Johnson and Shasha, VLDB 1994): new pages pass through a FIFO of 25 %; a page that is asked for
    again after it left (remembered for 50 % of the capacity) enters the LRU main queue."""

    name = "2q"

    def __init__(self, in_fraction: float = 0.25, ghost_fraction: float = 0.5) -> None:
        self.in_fraction = in_fraction
        self.ghost_fraction = ghost_fraction

    def begin(self, capacity: int, unique: int) -> None:
        super().begin(capacity, unique)
        self.keep_first = int(capacity * self.in_fraction)
        self._ghosts = int(capacity * self.ghost_fraction)
        self._left_at = np.full(unique, -1, np.int64)
        self._departures = 0

    def place(self, pages: Pages) -> npt.NDArray[np.int8]:
        left = self._left_at[pages.ids]
        remembered = (left >= 0) & (self._departures - left <= self._ghosts)
        return np.where(pages.resident, pages.segment, remembered).astype(np.int8)

    def order(self, pages: Pages) -> Float:
        return np.where(self.place(pages) == 0, pages.entered, pages.stamp).astype(np.float64)

    def evicted(self, ids: Int32, keys: Float, segments: npt.NDArray[np.int8]) -> None:
        first = ids[segments == 0]
        self._left_at[first] = self._departures + np.arange(len(first))
        self._departures += len(first)


class Priority(EvictionPolicy):
    """Retention priority with time to live, leaves first (TensorRT-LLM's retention configuration): lower
    priorities go first, LRU inside one. A priority of 100 is a pin: such a page goes only when nothing else
    is left. When the time to live has passed, the page falls back to the default priority."""

    name = "priority"
    leaf_only = True

    def __init__(self, default: float = 35.0) -> None:
        self.default = default

    def begin(self, capacity: int, unique: int) -> None:
        super().begin(capacity, unique)
        self._expires = np.full(unique, np.inf)
        self._queue: list[tuple[float, Int32]] = []

    def order(self, pages: Pages) -> Float:
        expires = pages.now_s + pages.ttl_s
        self._expires[pages.ids] = expires
        for ttl in np.unique(pages.ttl_s[np.isfinite(pages.ttl_s) & (pages.priority != self.default)]):
            heap_push(self._queue, pages.now_s + float(ttl), pages.ids[pages.ttl_s == ttl])
        return pages.priority

    def lapsed(self, now_s: float) -> tuple[Int32, Float]:
        due: list[Int32] = []
        while self._queue and self._queue[0][0] <= now_s:
            due.append(self._queue.pop(0)[1])
        if not due:
            return super().lapsed(now_s)
        ids = np.unique(np.concatenate(due))
        ids = ids[self._expires[ids] <= now_s]
        return ids, np.full(len(ids), self.default)


def heap_push(queue: list[tuple[float, Int32]], when: float, ids: Int32) -> None:
    """Keep the queue in order of time; hints of one kind arrive in order, so the place is near the end."""
    at = len(queue)
    while at and queue[at - 1][0] > when:
        at -= 1
    queue.insert(at, (when, ids))


class CostAware(EvictionPolicy):
    """Greedy-Dual with frequency: a page is worth uses x the cost of computing it again, which grows with
    its depth (attention over what precedes it), aged by the value of what was evicted before it. Leaves
    only.

    `linear_tokens` is the context at which attention costs as much as the rest of the layer: with d =
    hidden size and 12 d^2 weights per layer against 2 d per context token, about 6 d tokens."""

    name = "cost_aware"
    leaf_only = True

    def __init__(self, linear_tokens: int = 24576) -> None:
        self.linear_tokens = linear_tokens

    def begin(self, capacity: int, unique: int) -> None:
        super().begin(capacity, unique)
        self._age = 0.0

    def order(self, pages: Pages) -> Float:
        cost = 1.0 + pages.depth * pages.page_tokens / self.linear_tokens
        return self._age + pages.uses * cost

    def evicted(self, ids: Int32, keys: Float, segments: npt.NDArray[np.int8]) -> None:
        self._age = max(self._age, float(keys.max()))


POLICIES: dict[str, type[EvictionPolicy]] = {
    policy.name: policy
    for policy in (
        LruTailFirst,
        LruHeadFirst,
        LruLeaf,
        FifoTailFirst,
        Lfu,
        Slru,
        TwoQ,
        Priority,
        CostAware,
    )
}
