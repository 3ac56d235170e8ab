"""What must hold after every step of the memory manager. Users' bug reports are the list: leaks after an
abort, double frees, blocks freed under a transfer, stranded descendants, one tenant's blocks in another's
table.
"""

from collections import Counter
from typing import Any

from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import BlockPool
from kernels_ref.hashing import keys_of_tokens
from kernels_ref.sequence import Sequence


class BrokenInvariantError(Exception):
    """The manager contradicts itself: a defect of the manager or of its caller, never of the input."""


def check_manager(manager: BlockManager, *, parents_cached: bool = True) -> None:
    """Raise BrokenInvariantError unless the manager's state is consistent.

    `parents_cached`: a cached block's parent is cached too, so that everything cached can be hit. It holds
    for one tier under tail-first LRU or any leaf-only order, not for sliding windows or head-first orders.
    """
    tables = [seq.blocks for seq in manager.sequences.values()] + [row for row, _ in manager.pool.draining]
    references = Counter(block for table in tables for block in table if block != manager.pool.null_block)
    _check_references(manager.pool, references)
    _check_conservation(manager.pool)
    _check_index(manager.pool)
    if parents_cached and manager.window_tokens is None:
        _check_parents(manager.pool)
    for seq in manager.sequences.values():
        _check_sequence(manager, seq)


def check_drained(manager: BlockManager) -> None:
    """Raise BrokenInvariantError unless every block is free again after the last sequence and transfer
    ended."""
    _require(not manager.sequences, f"{len(manager.sequences)} sequences are left")
    free, usable = manager.num_free_blocks, manager.pool.usable_blocks
    _require(free == usable, f"{usable - free} of {usable} blocks are not free after the drain")
    check_manager(manager, parents_cached=False)


class CheckedBlockManager(BlockManager):
    """A block manager that checks itself after everything that changes it: for studies of policies and for
    tests, since a check looks at every block."""

    def allocate(self, *arguments: Any, **options: Any) -> int:
        cached = super().allocate(*arguments, **options)
        check_manager(self)
        return cached

    def append(self, *arguments: Any, **options: Any) -> None:
        super().append(*arguments, **options)
        check_manager(self)

    def fork(self, *arguments: Any, **options: Any) -> None:
        super().fork(*arguments, **options)
        check_manager(self)

    def free(self, *arguments: Any, **options: Any) -> None:
        super().free(*arguments, **options)
        check_manager(self)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenInvariantError(message)


def _check_references(pool: BlockPool, references: Counter[int]) -> None:
    for block, count in enumerate(pool.ref_count):
        _require(
            count == references[block],
            f"block {block}: reference count {count}, but {references[block]} table entries",
        )
        _require(pool.holds[block] >= 0, f"block {block}: {pool.holds[block]} holds")


def _check_conservation(pool: BlockPool) -> None:
    free = used = 0
    for block in range(pool.num_blocks):
        busy = pool.ref_count[block] > 0 or pool.holds[block] > 0
        inside = block in pool.free
        if block == pool.null_block:
            _require(not busy and not inside, "the null block is referenced, held or free")
            continue
        _require(
            busy != inside,
            f"block {block} is {'both free and in use' if busy else 'neither free nor in use'}",
        )
        free += inside
        used += busy
    null = pool.null_block is not None
    _require(free == len(pool.free), f"the free order says {len(pool.free)}, {free} blocks are in it")
    _require(
        free + used + null == pool.num_blocks,
        f"{free} free + {used} used + {null} null of {pool.num_blocks} blocks",
    )


def _check_index(pool: BlockPool) -> None:
    carriers: dict[object, set[int]] = {}
    children: Counter[object] = Counter()
    for block, key in enumerate(pool.key_of):
        if key is not None:
            carriers.setdefault(key, set()).add(block)
    for key, block in pool.cached.items():
        listed = {block, *pool.duplicates.get(key, [])}
        _require(
            listed == carriers.get(key),
            f"key {key!r}: index {sorted(listed)}, carried by {carriers.get(key)}",
        )
        parent = pool.parent_of[block]
        if parent is not None:
            children[parent] += 1
    _require(carriers.keys() == pool.cached.keys(), "a block carries a key that the index does not know")
    _require(children == Counter(pool.children), "the numbers of cached children are wrong")


def _check_parents(pool: BlockPool) -> None:
    for key, block in pool.cached.items():
        parent = pool.parent_of[block]
        _require(
            parent is None or parent in pool.cached, f"block {block}, key {key!r}: cached, its parent is not"
        )


def _check_sequence(manager: BlockManager, seq: Sequence) -> None:
    needed = manager.blocks_for(seq.num_tokens)
    _require(
        len(seq.blocks) == needed,
        f"sequence {seq.seq_id}: {len(seq.blocks)} blocks for {seq.num_tokens} tokens",
    )
    keys = seq.keys if seq.tokens is None else keys_of_tokens(seq.tokens, seq.block_tokens, seq.salt)
    for index, block in enumerate(seq.blocks):
        carried = None if block == manager.pool.null_block else manager.pool.key_of[block]
        _require(
            carried is None or (index < len(keys) and carried == keys[index]),
            f"sequence {seq.seq_id}: page {index} is block {block}, which holds another prefix or tenant",
        )
        if isinstance(carried, tuple):
            _require(
                carried[0] == seq.salt, f"sequence {seq.seq_id}: block {block} belongs to salt {carried[0]!r}"
            )
    if seq.num_tokens % seq.block_tokens and manager.prefix_caching:
        tail = manager.pool.key_of[seq.blocks[-1]]
        _require(tail is None, f"sequence {seq.seq_id}: its part-filled tail is cached")
