"""Physical blocks: who references them, what they cache, and which one is taken next.

A block is in the free order exactly if no table references it and no transfer holds it. It keeps its cached
content while it is free; the content goes when the block is taken (`evict happens on allocation`). Tables
are append-only, so two blocks may carry one key: a lookup finds the first, the others are duplicates until
they are taken.
"""

from typing import Protocol

from kernels_ref.block_events import BlockEvent, BlockRemoved, BlockStored, CacheStats
from kernels_ref.free_queue import FreeQueue
from kernels_ref.hashing import BlockKey
from kernels_ref.policies.free_orders import OrderedFree


class OutOfBlocksError(Exception):
    """The pool cannot give what was asked; nothing was changed. The scheduler waits or preempts."""

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(needed, free)
        self.needed = needed
        self.free = free

    def __str__(self) -> str:
        return f"{self.needed} blocks needed, {self.free} free"


class FreeOrder(Protocol):
    """Decides which free block is taken next; `FreeQueue` is the least-recently-used order."""

    def __len__(self) -> int: ...
    def __contains__(self, block: int) -> bool: ...
    def append(self, block: int) -> None: ...
    def prepend(self, block: int) -> None: ...
    def remove(self, block: int) -> None: ...
    def popleft(self) -> int: ...


class BlockPool:
    """`num_blocks` frames. With `reserve_null`, block 0 is never given out: tables point to it where a
    sliding window has moved on. `record_events` keeps a log for `take_events`."""

    def __init__(
        self,
        num_blocks: int,
        *,
        reserve_null: bool = False,
        order: FreeOrder | None = None,
        record_events: bool = False,
    ) -> None:
        self.num_blocks = num_blocks
        self.null_block = 0 if reserve_null else None
        self.ref_count = [0] * num_blocks
        self.holds = [0] * num_blocks
        self.key_of: list[BlockKey | None] = [None] * num_blocks
        self.parent_of: list[BlockKey | None] = [None] * num_blocks
        self.cached: dict[BlockKey, int] = {}
        self.duplicates: dict[BlockKey, list[int]] = {}
        self.children: dict[BlockKey, int] = {}
        self.draining: list[tuple[list[int], bool]] = []
        self.stats = CacheStats()
        self.free: FreeOrder = FreeQueue(num_blocks) if order is None else order
        self._events: list[BlockEvent] | None = [] if record_events else None
        for block in range(1 if reserve_null else 0, num_blocks):
            self.free.append(block)
        if isinstance(self.free, OrderedFree):
            self.free.watch(self)

    @property
    def usable_blocks(self) -> int:
        return self.num_blocks - (self.null_block is not None)

    def take(self, reason: str = "allocation") -> int:
        """A block for one new reference, its old content gone. Raises OutOfBlocksError."""
        if not len(self.free):
            raise OutOfBlocksError(1, 0)
        block = self.free.popleft()
        self._forget(block, reason)
        self.ref_count[block] = 1
        return block

    def touch(self, block: int) -> None:
        """One more table references the block; a free cached block leaves the free order."""
        if block in self.free:
            self.free.remove(block)
        self.ref_count[block] += 1

    def release(self, block: int, *, never_hit: bool = False) -> None:
        """One table fewer. With `never_hit` a block without content joins the head, so that it does not
        push useful content out (the sliding-window case). Raises ValueError on a double free."""
        if self.ref_count[block] <= 0:
            raise ValueError(f"block {block} is released more often than it is referenced")
        self.ref_count[block] -= 1
        self._free_if_idle(block, at_head=never_hit and self.key_of[block] is None)

    def release_row(self, blocks: list[int], *, never_hit: bool = False) -> None:
        """Release a whole table, last block first. A held block keeps itself and all before it until its
        transfer ends: otherwise they could be taken first and leave it cached without its parents."""
        rest = list(blocks)
        while rest:
            if self.holds[rest[-1]]:
                self.draining.append((rest, never_hit))
                return
            block = rest.pop()
            if block != self.null_block:
                self.release(block, never_hit=never_hit)

    def hold(self, block: int) -> None:
        """Pin a block that a transfer reads or writes: it is neither freed nor evicted until `unhold`."""
        if block in self.free:
            self.free.remove(block)
        self.holds[block] += 1

    def unhold(self, block: int) -> None:
        if self.holds[block] <= 0:
            raise ValueError(f"block {block} is not held")
        self.holds[block] -= 1
        self._free_if_idle(block, at_head=False)
        if not self.holds[block]:
            rows, self.draining = self.draining, []
            for row, never_hit in rows:
                self.release_row(row, never_hit=never_hit)

    def _free_if_idle(self, block: int, at_head: bool) -> None:
        if self.ref_count[block] or self.holds[block]:
            return
        if at_head:
            self.free.prepend(block)
        else:
            self.free.append(block)

    def register(self, block: int, key: BlockKey, parent: BlockKey | None) -> None:
        """The block is full and findable under `key`. Content never changes while it is registered."""
        if self.key_of[block] is not None:
            raise ValueError(f"block {block} is registered already")
        self.key_of[block], self.parent_of[block] = key, parent
        if key in self.cached:
            self.duplicates.setdefault(key, []).append(block)
            return
        self.cached[key] = block
        if parent is not None:
            self.children[parent] = self.children.get(parent, 0) + 1
        self.log(BlockStored(block, key, parent))

    def transfer_identity(self, source: int, target: int) -> None:
        """The content of `source` now is in `target`: what finds the one finds the other."""
        key, parent = self.key_of[source], self.parent_of[source]
        if key is None or self.key_of[target] is not None:
            return
        self.key_of[source] = self.parent_of[source] = None
        self.key_of[target], self.parent_of[target] = key, parent
        if self.cached[key] == source:
            self.cached[key] = target
        else:
            others = self.duplicates[key]
            others[others.index(source)] = target

    def lookup(self, key: BlockKey) -> int | None:
        return self.cached.get(key)

    def is_leaf(self, block: int) -> bool:
        """Whether taking the block makes nothing cached unreachable: it has no content, no cached block
        continues it, or another block carries the same key."""
        key = self.key_of[block]
        return key is None or key in self.duplicates or not self.children.get(key)

    def has_content(self, block: int) -> bool:
        return self.key_of[block] is not None

    def clear_cache(self) -> bool:
        """Forget all content, as after a weight update. Refused (False) while any block is in use: what a
        running sequence registers later would have no cached parent."""
        if len(self.free) < self.usable_blocks:
            return False
        for block in range(self.num_blocks):
            self._forget(block, "clear")
        return True

    def _forget(self, block: int, reason: str) -> None:
        key, parent = self.key_of[block], self.parent_of[block]
        if key is None:
            return
        self.key_of[block] = self.parent_of[block] = None
        others = self.duplicates.get(key)
        if others:
            self._drop_instance(key, block, others)
            return
        del self.cached[key]
        self._count_removal(block, key, parent, reason)

    def _drop_instance(self, key: BlockKey, block: int, others: list[int]) -> None:
        if self.cached[key] == block:
            self.cached[key] = others.pop(0)
        else:
            others.remove(block)
        if not others:
            del self.duplicates[key]

    def _count_removal(self, block: int, key: BlockKey, parent: BlockKey | None, reason: str) -> None:
        stranded = self.children.get(key, 0)
        if parent is not None:
            self.children[parent] -= 1
            if not self.children[parent]:
                del self.children[parent]
        if reason != "clear":
            self.stats.evicted_blocks += 1
            self.stats.stranded_blocks += stranded
        reachable = parent is None or parent in self.cached
        self.log(BlockRemoved(block, key, reason, reachable, stranded))

    def log(self, event: BlockEvent) -> None:
        if self._events is not None:
            self._events.append(event)

    def take_events(self) -> list[BlockEvent]:
        """Events since the last call, in order; empty unless the pool records them."""
        events, self._events = self._events or [], None if self._events is None else []
        return events
