"""A block cache driven request by request, with exact counts.

Requests come in file order and each completes before the next starts. A hit is a leading id of the prompt
that is resident. Only the first C ids of a request are kept by a cache of C blocks; its own resident ids
are protected while room is made. A second tier, where there is one, is exclusive: what the first evicts
enters its recent end, and its own LRU end is dropped. The part-filled last id of a prompt counts as a
block.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.block_ids import BlockIds
from kernels_ref.errors import InputError
from kernels_ref.page_heap import (
    RESIDENTS,
    PageState,
    evict,
    guard,
    leading,
    page_state,
    rekey,
    settle,
    spill_over,
)
from kernels_ref.page_list import PageList
from kernels_ref.policies.eviction import EvictionPolicy, LruTailFirst, Pages
from kernels_ref.request_trace import RequestTrace

Float = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RetentionHints:
    """What a client may say about its prompt: the first `head_tokens` (system prompt) are kept with
    `head_priority` (0 to 100, 100 pins) for `ttl_s` after each use. The default priority of everything else
    is 35."""

    head_tokens: int = 512
    head_priority: float = 80.0
    ttl_s: float = 300.0
    priority: float = 35.0


@dataclass(frozen=True)
class Workload:
    """A trace prepared for replay at one page size: dense ids in compressed rows."""

    page_tokens: int
    ptr: Int64
    ids: Int32
    parent: Int32
    """[unique] the page before each page, -1 for a first one."""
    input_length: Int64
    arrival: Float
    """Seconds, or request numbers where the trace has no times."""

    @property
    def unique(self) -> int:
        return len(self.parent)

    @property
    def requests(self) -> int:
        return len(self.input_length)


@dataclass(frozen=True, slots=True)
class ReplayCounts:
    """Counts of one replay. `demotions` and `promotions` are 0 without a second tier, where every eviction
    from the first tier is a demotion. Tokens of a hit block count fully, except in a part-filled last
    one."""

    policy: str
    capacity: int
    tier: int
    requests: int
    blocks: int
    tokens: int
    l1_hit_blocks: int
    l2_hit_blocks: int
    l1_hit_tokens: int
    l2_hit_tokens: int
    evictions: int
    dropped: int

    @property
    def hit_blocks(self) -> int:
        return self.l1_hit_blocks + self.l2_hit_blocks

    @property
    def demotions(self) -> int:
        return self.evictions if self.tier else 0

    @property
    def promotions(self) -> int:
        return self.l2_hit_blocks

    @property
    def block_hit_rate(self) -> float:
        return self.hit_blocks / self.blocks if self.blocks else 0.0

    @property
    def token_hit_rate(self) -> float:
        return (self.l1_hit_tokens + self.l2_hit_tokens) / self.tokens if self.tokens else 0.0


def prepare(trace: RequestTrace, page_tokens: int | None = None) -> Workload:
    """Dense pages of a trace, split to `page_tokens`. Raises InputError if the trace has no ids or the size
    does not divide its blocks."""
    if trace.blocks is None:
        raise InputError(f"{trace.name}: no hash_ids; prefix-cache results need a trace that records them")
    size = trace.blocks.block_tokens if page_tokens is None else page_tokens
    blocks = trace.blocks.split(size, trace.input_length)
    ids, unique = blocks.dense()
    arrival = trace.arrival_s
    if arrival is None or trace.session is not None:
        arrival = np.arange(len(trace), dtype=np.float64)
    return Workload(
        blocks.block_tokens, blocks.ptr, ids, _parents(blocks, ids, unique), trace.input_length, arrival
    )


def _parents(blocks: BlockIds, ids: Int32, unique: int) -> Int32:
    before = np.empty_like(ids)
    before[1:] = ids[:-1]
    before[blocks.ptr[:-1][np.diff(blocks.ptr) > 0]] = -1
    parent = np.full(unique, -1, np.int32)
    parent[ids] = before
    return parent


class CacheReplay:
    """One cache: `capacity` pages under `policy`, and `tier` pages behind them (0: none).

    Recency policies run on a list, others on a heap of their order function; `by_heap` runs a recency
    policy by its order function too, which must come to the same."""

    def __init__(
        self,
        load: Workload,
        capacity: int,
        policy: EvictionPolicy | None = None,
        *,
        tier: int = 0,
        hints: RetentionHints | None = None,
        by_heap: bool = False,
    ) -> None:
        if capacity < 1 or tier < 0:
            raise InputError(f"blocks: found {capacity} and tier {tier}; at least 1 and at least 0")
        self.load = load
        self.capacity = capacity
        self.tier = tier
        self.policy = policy or LruTailFirst()
        self.hints = hints or RetentionHints()
        self.policy.begin(capacity, load.unique)
        self.ring: PageList | None = None
        self.heap: PageState | None = None
        if self.policy.newest and not by_heap:
            self.ring = PageList(load.unique)
            self.resident = self.ring.resident
        else:
            self.heap = page_state(load.parent)
            self.resident = self.heap.resident
        self.behind = PageList(load.unique) if tier else None
        self.entered = np.zeros(load.unique, np.int64)
        self.uses = np.zeros(load.unique, np.int64)
        self.stamp = 0
        self.evictions = 0
        self.dropped = 0
        self._below = self.behind.resident if self.behind else np.zeros(load.unique, np.bool_)

    def run(self) -> ReplayCounts:
        blocks = np.zeros(2, np.int64)
        tokens = np.zeros(2, np.int64)
        load = self.load
        for request in range(load.requests):
            ids = load.ids[load.ptr[request] : load.ptr[request + 1]]
            length = int(load.input_length[request])
            first, second = self.serve(ids, float(load.arrival[request]))
            blocks += (first, second)
            tokens += self._tokens_of(first, second, length)
        return ReplayCounts(
            policy=self.policy.name,
            capacity=self.capacity,
            tier=self.tier,
            requests=load.requests,
            blocks=len(load.ids),
            tokens=int(load.input_length.sum()),
            l1_hit_blocks=int(blocks[0]),
            l2_hit_blocks=int(blocks[1]),
            l1_hit_tokens=int(tokens[0]),
            l2_hit_tokens=int(tokens[1]),
            evictions=self.evictions,
            dropped=self.dropped,
        )

    def _tokens_of(self, first: int, second: int, length: int) -> tuple[int, int]:
        """Tokens behind the hits; a part-filled last block is credited to the tier that is hit less deep."""
        total = min((first + second) * self.load.page_tokens, length)
        upper = min(first * self.load.page_tokens, total)
        return upper, total - upper

    def serve(self, ids: Int32, now_s: float) -> tuple[int, int]:
        """One request: returns its hits in each tier, and leaves its pages resident."""
        first, second = leading(ids, self.resident, self._below)
        kept = ids[: self.capacity]
        self.uses[kept] = np.where(self.resident[kept], self.uses[kept], 0) + 1
        if self.ring is not None:
            self._serve_by_recency(self.ring, kept)
        elif self.heap is not None:
            self._serve_by_order(self.heap, kept, now_s)
        return int(first), int(second)

    def _serve_by_recency(self, ring: PageList, kept: Int32) -> None:
        missing = len(kept) - ring.guard(kept)
        self._bring_up(kept)
        self._push_down(ring.evict(ring.count + missing - self.capacity))
        ring.settle(kept[::-1] if self.policy.newest == "root" else kept)

    def _serve_by_order(self, heap: PageState, kept: Int32, now_s: float) -> None:
        late, keys = self.policy.lapsed(now_s)
        if len(late):
            rekey(late, keys, heap)
        pages = self._pages(kept, now_s)
        keys = self.policy.order(pages)
        segments = self.policy.place(pages)
        missing = len(kept) - guard(kept, heap)
        self._bring_up(kept)
        count = int(heap.sizes[RESIDENTS]) + missing - self.capacity
        victims = evict(count, self.policy.keep_first, self.policy.leaf_only, heap)
        if len(victims):
            self.policy.evicted(victims, heap.key[victims], heap.segment[victims])
        self._push_down(victims)
        heap.segment[kept] = 0 if segments is None else segments
        heap.key[kept] = keys
        heap.tie[kept] = pages.stamp
        settle(kept, self.policy.leaf_only, heap)
        if self.policy.most_second is not None:
            self.stamp = spill_over(self.policy.most_second, self.stamp, heap)

    def _pages(self, kept: Int32, now_s: float) -> Pages:
        count = len(kept)
        depth = np.arange(count)
        stamp = self.stamp + count - depth
        self.stamp += count
        resident = self.resident[kept]
        self.entered[kept] = np.where(resident, self.entered[kept], stamp)
        head = depth * self.load.page_tokens < self.hints.head_tokens
        segment = np.zeros(count, np.int8) if self.heap is None else self.heap.segment[kept]
        return Pages(
            ids=kept,
            stamp=stamp,
            entered=self.entered[kept],
            uses=self.uses[kept],
            resident=resident,
            segment=np.where(resident, segment, 0).astype(np.int8),
            depth=depth,
            page_tokens=self.load.page_tokens,
            now_s=now_s,
            priority=np.where(head, self.hints.head_priority, self.hints.priority),
            ttl_s=np.where(head, self.hints.ttl_s, np.inf),
        )

    def _bring_up(self, kept: Int32) -> None:
        """The request's pages leave an exclusive second tier, before room is made."""
        if self.behind is not None:
            self.behind.drop(kept)

    def _push_down(self, victims: Int32) -> None:
        """Evicted pages enter the second tier: the one that went first is the first to go there too."""
        self.evictions += len(victims)
        if self.behind is not None and len(victims):
            self.behind.guard(victims)
            self.behind.settle(victims)
            self.dropped += len(self.behind.evict(self.behind.count - self.tier))
