"""The KV memory manager: which block holds which tokens of which sequence.

Semantics of vLLM's V1 manager: look up the full blocks of a prompt, touch the hits, and only if enough
blocks are free take new ones from the head of the free order; full blocks get their keys at once, so that
requests of the same step share them; at least one token is always computed; a finished sequence is freed
tail first, so that the root of a prefix outlives its ends. Forks share every block and copy a part-filled
one before the first write into it.
"""

from collections.abc import Hashable, Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.block_events import BlockCopied, BlockEvent, CacheStats
from kernels_ref.block_pool import BlockPool, FreeOrder, OutOfBlocksError
from kernels_ref.errors import InputError
from kernels_ref.hashing import root_key
from kernels_ref.partial_reuse import Part, PartIndex
from kernels_ref.prefix_lookup import full_prefix, window_prefix
from kernels_ref.sequence import Sequence, name_prompt


@dataclass(frozen=True, slots=True)
class Plan:
    """What an allocation would do: copy `part`, give slots to `chunk` uncached tokens, take `needed` of
    `free` blocks."""

    part: Part | None
    chunk: int
    needed: int
    free: int


class BlockManager:
    """`num_blocks` blocks of `block_tokens` slots each.

    `window_tokens`: only the last so many tokens of a sequence are ever read again; blocks that fall behind
    are freed and their table entries point to the null block (block 0, reserved). `partial_reuse`: a block
    that matches in part is copied and its matching tokens count as cached (needs token values). `order`:
    see `FreeOrder`. Events and copies collect until `take_events` and `take_copies`.
    """

    def __init__(
        self,
        num_blocks: int,
        block_tokens: int,
        *,
        prefix_caching: bool = True,
        partial_reuse: bool = False,
        window_tokens: int | None = None,
        order: FreeOrder | None = None,
        record_events: bool = False,
    ) -> None:
        if num_blocks < 1 or block_tokens < 1:
            raise InputError(
                f"block pool: {num_blocks} blocks of {block_tokens} tokens; both must be at least 1"
            )
        self.block_tokens = block_tokens
        self.prefix_caching = prefix_caching
        self.window_tokens = window_tokens
        self.pool = BlockPool(
            num_blocks, reserve_null=window_tokens is not None, order=order, record_events=record_events
        )
        self.num_blocks = num_blocks
        self.stats: CacheStats = self.pool.stats
        self.sequences: dict[int, Sequence] = {}
        self._copies: list[BlockCopied] = []
        self._parts = PartIndex() if partial_reuse and window_tokens is None else None

    @property
    def num_free_blocks(self) -> int:
        """Blocks that can be taken now, cached content or not."""
        return len(self.pool.free)

    @property
    def usage(self) -> float:
        """Fraction of usable blocks that are referenced or held (`kv_cache_usage_perc`): 0 when idle, cache
        or not."""
        return 1.0 - self.num_free_blocks / self.pool.usable_blocks

    def blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_tokens)

    def cached_tokens_of(
        self,
        num_tokens: int,
        token_hash_ids: SequenceOf[int] | None = None,
        tokens: SequenceOf[int] | None = None,
        salt: Hashable | None = None,
        *,
        reuse_limit: int | None = None,
    ) -> int:
        """Tokens of a prompt that `allocate` would find in full blocks now; changes nothing."""
        seq = self._new_sequence(-1, num_tokens, token_hash_ids, tokens, salt)
        return len(self._hits(seq, reuse_limit)) * self.block_tokens

    def allocate(
        self,
        seq_id: int,
        num_tokens: int,
        token_hash_ids: SequenceOf[int] | None = None,
        tokens: SequenceOf[int] | None = None,
        salt: Hashable | None = None,
        *,
        first_chunk: int | None = None,
        reuse_limit: int | None = None,
        rescheduled: bool = False,
    ) -> int:
        """Start a sequence with a prompt of `num_tokens`; returns the tokens that need no computing.

        The prompt is named by `token_hash_ids` (prefix-chained ids, one per block) or by `tokens` (values),
        or by neither: then it hits nothing and is never cached. `first_chunk` gives slots to only so many
        uncached tokens, the rest by `append`. At most `reuse_limit` tokens are taken from the cache. Raises
        OutOfBlocksError without any change, InputError for a prompt that can never fit.
        """
        if seq_id in self.sequences:
            raise ValueError(f"sequence {seq_id} is allocated already")
        seq = self._new_sequence(seq_id, num_tokens, token_hash_ids, tokens, salt)
        hits = self._hits(seq, reuse_limit)
        part = self._part_of(seq, hits) if reuse_limit is None else None
        plan = self._plan(seq, hits, part, first_chunk)
        if plan.needed > plan.free and plan.part is not None:
            plan = self._plan(seq, hits, None, first_chunk)
        if plan.needed > plan.free:
            raise OutOfBlocksError(plan.needed, plan.free)
        self._touch(hits)
        seq.blocks, seq.hashed_blocks, seq.num_tokens = hits, len(hits), len(hits) * self.block_tokens
        if plan.part is not None:
            self._copy_part(seq, plan.part)
        seq.cached_tokens = seq.num_tokens
        self.sequences[seq_id] = seq
        self._grow(seq, plan.chunk)
        self.stats.count_lookup(seq.prompt_tokens, seq.cached_tokens, rescheduled)
        return seq.cached_tokens

    def append(self, seq_id: int, n: int = 1, tokens: Iterable[int] | None = None) -> None:
        """Slots for `n` more tokens: the next prompt chunk, or generated ones (with their values, if they
        are to be cached). A shared part-filled last block is copied first. Raises OutOfBlocksError without
        any change."""
        seq = self._known(seq_id)
        if n < 0:
            raise ValueError(f"sequence {seq_id}: {n} tokens appended; at least 0")
        self._free_behind_window(seq)
        needed = self.blocks_to_append(seq_id, n)
        if needed > self.num_free_blocks:
            raise OutOfBlocksError(needed, self.num_free_blocks)
        seq.extend_tokens(n, None if tokens is None else list(tokens))
        if n and self._tail_is_shared(seq):
            self._copy_tail(seq)
        self._grow(seq, n)

    def blocks_to_append(self, seq_id: int, n: int = 1) -> int:
        """Free blocks that `append` would take for `n` tokens."""
        seq = self._known(seq_id)
        return self.blocks_for(seq.num_tokens + n) - len(seq.blocks) + (n > 0 and self._tail_is_shared(seq))

    def fork(self, parent: int, child: int) -> None:
        """A second continuation of `parent` (parallel sampling, beam): all blocks shared, none copied yet."""
        if child in self.sequences:
            raise ValueError(f"sequence {child} is allocated already")
        seq = self._known(parent).fork(child)
        self._touch(seq.blocks)
        self.sequences[child] = seq

    def free(self, seq_id: int) -> None:
        """Drop a finished, aborted or preempted sequence, last block first. Cached content stays until
        taken."""
        seq = self._known(seq_id)
        del self.sequences[seq_id]
        self.pool.release_row(seq.blocks, never_hit=self.window_tokens is not None)

    def block_table(self, seq_id: int) -> npt.NDArray[np.int32]:
        """Block of every `block_tokens` tokens, in order; shape (ceil(tokens / block_tokens),)."""
        return np.array(self._known(seq_id).blocks, dtype=np.int32)

    def num_tokens(self, seq_id: int) -> int:
        return self._known(seq_id).num_tokens

    def take_copies(self) -> list[BlockCopied]:
        """Block copies that must be done before the next write, since the last call."""
        copies, self._copies = self._copies, []
        return copies

    def take_events(self) -> list[BlockEvent]:
        return self.pool.take_events()

    def _known(self, seq_id: int) -> Sequence:
        try:
            return self.sequences[seq_id]
        except KeyError:
            raise ValueError(f"sequence {seq_id} is not allocated") from None

    def _new_sequence(
        self,
        seq_id: int,
        num_tokens: int,
        ids: SequenceOf[int] | None,
        tokens: SequenceOf[int] | None,
        salt: Hashable | None,
    ) -> Sequence:
        if num_tokens < 1:
            raise InputError(f"sequence {seq_id}: num_tokens: found {num_tokens}; at least 1")
        if self.window_tokens is None and self.blocks_for(num_tokens) > self.pool.usable_blocks:
            raise InputError(
                f"sequence {seq_id}: {num_tokens} tokens need {self.blocks_for(num_tokens)} blocks of "
                f"{self.block_tokens}; the pool has {self.pool.usable_blocks}"
            )
        return name_prompt(Sequence(seq_id, self.block_tokens, num_tokens, salt), ids, tokens)

    def _hits(self, seq: Sequence, reuse_limit: int | None) -> list[int]:
        """Blocks of the longest cached prefix that leaves at least one token to compute."""
        if not self.prefix_caching:
            return []
        most = seq.prompt_tokens - 1 if reuse_limit is None else min(seq.prompt_tokens - 1, reuse_limit)
        keys = seq.keys[: most // self.block_tokens]
        if self.window_tokens is None or self.pool.null_block is None:
            return full_prefix(self.pool, keys)
        return window_prefix(self.pool, keys, self.window_tokens, self.block_tokens, self.pool.null_block)

    def _plan(self, seq: Sequence, hits: list[int], part: Part | None, first_chunk: int | None) -> Plan:
        covered = len(hits) * self.block_tokens + (part.tokens if part else 0)
        left = seq.prompt_tokens - covered
        chunk = left if first_chunk is None else min(first_chunk, left)
        kept = set(hits) if part is None else {*hits, part.block}
        return Plan(
            part=part,
            chunk=chunk,
            needed=self.blocks_for(covered + chunk) - len(hits),
            free=self.num_free_blocks - sum(block in self.pool.free for block in kept),
        )

    def _touch(self, blocks: list[int]) -> None:
        for block in blocks:
            if block != self.pool.null_block:
                self.pool.touch(block)

    def _part_of(self, seq: Sequence, hits: list[int]) -> Part | None:
        if self._parts is None or seq.tokens is None:
            return None
        start = len(hits) * self.block_tokens
        wanted = seq.tokens[start : min(start + self.block_tokens, seq.prompt_tokens - 1)]
        return self._parts.longest(seq.keys[len(hits) - 1] if hits else root_key(seq.salt), wanted, self.pool)

    def _copy_part(self, seq: Sequence, part: Part) -> None:
        self.pool.touch(part.block)
        self._copy(seq, part.block, part.tokens, "partial_reuse")
        self.pool.release(part.block)
        seq.num_tokens += part.tokens

    def _tail_is_shared(self, seq: Sequence) -> bool:
        return seq.num_tokens % self.block_tokens != 0 and self.pool.ref_count[seq.blocks[-1]] > 1

    def _copy_tail(self, seq: Sequence) -> None:
        shared = seq.blocks.pop()
        self._copy(seq, shared, seq.num_tokens % self.block_tokens, "copy_on_write")
        self.pool.release(shared)

    def _copy(self, seq: Sequence, source: int, tokens: int, reason: str) -> None:
        copy = BlockCopied(source, self.pool.take(), tokens, reason)
        seq.blocks.append(copy.target)
        self.stats.copied_blocks += 1
        self._copies.append(copy)
        self.pool.log(copy)

    def _grow(self, seq: Sequence, n: int) -> None:
        seq.num_tokens += n
        while len(seq.blocks) * self.block_tokens < seq.num_tokens:
            seq.blocks.append(self.pool.take())
        self._register_full(seq)

    def _register_full(self, seq: Sequence) -> None:
        if not self.prefix_caching:
            return
        full = min(len(seq.keys), seq.num_tokens // self.block_tokens)
        for index in range(seq.hashed_blocks, full):
            self.pool.register(seq.blocks[index], seq.keys[index], seq.parent_key(index))
            if self._parts is not None:
                self._parts.remember(seq, index)
        seq.hashed_blocks = max(seq.hashed_blocks, full)

    def _free_behind_window(self, seq: Sequence) -> None:
        """Tokens computed so far that the next one (at position `num_tokens`) can no longer see need no
        block."""
        null = self.pool.null_block
        if self.window_tokens is None or null is None:
            return
        index = (seq.num_tokens - self.window_tokens + 1) // self.block_tokens - 1
        while index >= 0 and seq.blocks[index] != null:
            self.pool.release(seq.blocks[index], never_hit=True)
            seq.blocks[index] = null
            index -= 1
