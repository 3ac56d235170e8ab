"""Free blocks in the order in which they will be taken, as a doubly linked list.

vLLM's free queue: the head is taken (and evicted) first, freed blocks join at the tail, and a cached block
that is hit leaves from the middle. All in constant time, which is why the links are explicit; the order is
least recently used.
"""

from collections.abc import Iterable, Iterator


class FreeQueue:
    """Linked list over block ids 0..total-1; the extra last slot is the sentinel that closes the ring."""

    __slots__ = ("_after", "_before", "_end", "_length")

    def __init__(self, total: int, blocks: Iterable[int] = ()) -> None:
        self._end = total
        self._after = [-1] * total + [total]
        self._before = [-1] * total + [total]
        self._length = 0
        for block in blocks:
            self.append(block)

    def __len__(self) -> int:
        return self._length

    def __contains__(self, block: int) -> bool:
        return self._after[block] >= 0

    def __iter__(self) -> Iterator[int]:
        block = self._after[self._end]
        while block != self._end:
            yield block
            block = self._after[block]

    def append(self, block: int) -> None:
        """Taken last: after everything that is free now."""
        self._link(self._before[self._end], block)

    def prepend(self, block: int) -> None:
        """Taken next: for blocks that nothing can ever hit."""
        self._link(self._end, block)

    def remove(self, block: int) -> None:
        before, after = self._before[block], self._after[block]
        if after < 0:
            raise ValueError(f"block {block} is not free")
        self._after[before] = after
        self._before[after] = before
        self._after[block] = self._before[block] = -1
        self._length -= 1

    def popleft(self) -> int:
        block = self._after[self._end]
        if block == self._end:
            raise IndexError("no free block")
        self.remove(block)
        return block

    def _link(self, before: int, block: int) -> None:
        if self._after[block] >= 0:
            raise ValueError(f"block {block} is free already")
        after = self._after[before]
        self._after[before] = self._before[after] = block
        self._before[block], self._after[block] = before, after
        self._length += 1
