"""Moving a block's content to another frame while its sequences live on: defragmentation, or placement by
tier.

Between `start` and `finish` both frames are held, so that neither is freed or taken. `finish` points every
table entry at the new frame and moves the cached identity with the content; `abort` leaves everything as it
was. A block that is still written to (the part-filled tail of a sequence) is not moved, since an append
would race the copy.
"""

from dataclasses import dataclass

from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import OutOfBlocksError


@dataclass(frozen=True, slots=True)
class Move:
    """A copy in flight from frame `source` to frame `target`."""

    source: int
    target: int


class Migrations:
    """Moves of one manager's blocks."""

    def __init__(self, manager: BlockManager) -> None:
        self._manager = manager
        self.in_flight: dict[int, Move] = {}

    def start(self, seq_id: int, page: int) -> Move:
        """Begin to move one page. Raises OutOfBlocksError without a free frame, ValueError for a page that
        cannot move: part-filled, behind the window, or moving already."""
        pool = self._manager.pool
        block = int(self._manager.block_table(seq_id)[page])
        filled = self._manager.num_tokens(seq_id) >= (page + 1) * self._manager.block_tokens
        if block == pool.null_block or not filled or block in self.in_flight:
            raise ValueError(f"sequence {seq_id}: page {page} cannot be moved now")
        if not len(pool.free):
            raise OutOfBlocksError(1, 0)
        target = pool.take("migration")
        pool.hold(target)
        pool.release(target)
        pool.hold(block)
        self.in_flight[block] = move = Move(block, target)
        return move

    def finish(self, move: Move) -> None:
        """The copy is done: the target takes the source's place everywhere. A source that nobody references
        any more keeps its cached content, and the target is given back."""
        pool = self._manager.pool
        self._end(move)
        tables = [seq.blocks for seq in self._manager.sequences.values()]
        for table in (*tables, *(row for row, _ in pool.draining)):
            for page, block in enumerate(table):
                if block == move.source:
                    table[page] = move.target
                    pool.touch(move.target)
                    pool.release(move.source)
        if pool.ref_count[move.target]:
            pool.transfer_identity(move.source, move.target)
        pool.unhold(move.source)
        pool.unhold(move.target)

    def abort(self, move: Move) -> None:
        """The copy failed: the source stays where it is."""
        self._end(move)
        self._manager.pool.unhold(move.source)
        self._manager.pool.unhold(move.target)

    def _end(self, move: Move) -> None:
        if self.in_flight.get(move.source) != move:
            raise ValueError(f"no move from block {move.source} to {move.target} is in flight")
        del self.in_flight[move.source]
