"""Other orders than least-recently-used in which a block manager takes free blocks.

Each is a heap over free blocks ordered by one function; blocks without cached content always go first. A
block that a cached block continues waits until its children are gone, so that nothing cached becomes
unreachable.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class BlockUse:
    """What an order may look at. Stamps count releases; a later one is more recent."""

    uses: int = 0
    entered: int = 0
    released: int = 0


class Contents(Protocol):
    """The pool's view of a block's content."""

    def is_leaf(self, block: int) -> bool: ...

    def has_content(self, block: int) -> bool: ...


Order = Callable[[BlockUse], float]


def least_often(use: BlockUse) -> float:
    """LFU: fewest releases since the content entered."""
    return use.uses


def first_in(use: BlockUse) -> float:
    """FIFO: oldest content."""
    return use.entered


def least_recent(use: BlockUse) -> float:
    """LRU, for comparison with the linked list."""
    return use.released


class OrderedFree:
    """A `FreeOrder` by `order`, smallest first; ties go to the block released earlier."""

    def __init__(self, num_blocks: int, order: Order) -> None:
        self._order = order
        self._uses = [BlockUse() for _ in range(num_blocks)]
        self._heap: list[tuple[float, int, int]] = []
        self._entry: dict[int, tuple[float, int, int]] = {}
        self._clock = 0
        self._contents: Contents | None = None

    def watch(self, contents: Contents) -> None:
        """The pool introduces itself, once."""
        self._contents = contents

    def __len__(self) -> int:
        return len(self._entry)

    def __contains__(self, block: int) -> bool:
        return block in self._entry

    def append(self, block: int) -> None:
        self._clock += 1
        use = self._uses[block]
        use.uses += 1
        use.released = self._clock
        use.entered = use.entered or self._clock
        cached = self._contents is not None and self._contents.has_content(block)
        self._insert(block, self._order(use) if cached else float("-inf"))

    def prepend(self, block: int) -> None:
        self._clock += 1
        self._insert(block, float("-inf"))

    def _insert(self, block: int, key: float) -> None:
        if block in self._entry:
            raise ValueError(f"block {block} is free already")
        entry = (key, self._clock, block)
        self._entry[block] = entry
        heapq.heappush(self._heap, entry)

    def remove(self, block: int) -> None:
        """The heap drops the entry when it meets it."""
        if self._entry.pop(block, None) is None:
            raise ValueError(f"block {block} is not free")

    def popleft(self) -> int:
        passed: list[tuple[float, int, int]] = []
        try:
            while self._heap:
                entry = heapq.heappop(self._heap)
                block = entry[2]
                if self._entry.get(block) != entry:
                    continue
                if self._contents is not None and not self._contents.is_leaf(block):
                    passed.append(entry)
                    continue
                del self._entry[block]
                self._uses[block] = BlockUse()
                return block
        finally:
            for entry in passed:
                heapq.heappush(self._heap, entry)
        raise IndexError("no free block")
