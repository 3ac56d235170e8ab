"""KV memory of models whose layers do not all remember the same.

Layers with one memory pattern form a group, each with its own pool: full attention keeps every token, a
sliding window only its last tokens, MLA one latent row a token, a state-space layer one fixed state
whatever the length. A request is admitted in all groups or in none; its cached prefix is the longest one
that every group still has.
"""

from collections.abc import Hashable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import OutOfBlocksError
from kernels_ref.errors import InputError

Prompt = tuple[int, SequenceOf[int] | None, SequenceOf[int] | None, Hashable | None]
KINDS = ("full", "window", "mla", "state")


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """`layers` layers of one `kind`. `bytes_per_token` in one layer: K and V of all heads, or the latent
    row; for `state` it is the bytes of one state. `num_blocks` blocks of `block_tokens` tokens (states, for
    `state`)."""

    name: str
    kind: str
    layers: int
    bytes_per_token: int
    num_blocks: int
    block_tokens: int
    window_tokens: int | None = None

    @property
    def block_bytes(self) -> int:
        """One block in all layers of the group."""
        return self.bytes_per_token * self.layers * (1 if self.kind == "state" else self.block_tokens)

    def problems(self) -> list[str]:
        found = []
        if self.kind not in KINDS:
            found.append(f"group {self.name}: kind: found {self.kind}; allowed: {', '.join(KINDS)}")
        if (self.kind == "window") != (self.window_tokens is not None):
            found.append(f"group {self.name}: window_tokens belongs to kind window, and only there")
        if min(self.layers, self.bytes_per_token, self.num_blocks, self.block_tokens) < 1:
            found.append(f"group {self.name}: layers, bytes, blocks and block tokens are at least 1")
        return found


class LayerGroups:
    """The managers of all groups, driven together. Raises InputError for contradictory groups."""

    def __init__(self, groups: SequenceOf[LayerGroup], *, prefix_caching: bool = True) -> None:
        problems = [problem for group in groups for problem in group.problems()]
        if problems:
            raise InputError(*problems)
        self.groups = {group.name: group for group in groups}
        # A state after a prefix is not in its blocks: with state layers a prefix hit would need a stored
        # state.
        caching = prefix_caching and all(group.kind != "state" for group in groups)
        self.managers = {group.name: _manager_of(group, caching) for group in groups}

    def allocate(
        self,
        seq_id: int,
        num_tokens: int,
        token_hash_ids: SequenceOf[int] | None = None,
        tokens: SequenceOf[int] | None = None,
        salt: Hashable | None = None,
        *,
        first_chunk: int | None = None,
    ) -> int:
        """As `BlockManager.allocate`, in every group. Raises OutOfBlocksError with no group changed.

        The cached tokens are the longest prefix that all groups have. A sliding window has a prefix only
        where the tokens before its end are there, so a shorter one is looked up again until all agree.
        """
        prompt = (num_tokens, token_hash_ids, tokens, salt)
        limit = self._common_prefix(prompt)
        done: list[BlockManager] = []
        try:
            for name, manager in self.managers.items():
                if self.groups[name].kind == "state":
                    manager.allocate(seq_id, 1)
                else:
                    manager.allocate(seq_id, *prompt, first_chunk=first_chunk, reuse_limit=limit)
                done.append(manager)
        except OutOfBlocksError:
            for manager in done:
                manager.free(seq_id)
            raise
        return limit

    def _common_prefix(self, prompt: Prompt) -> int:
        attention = [manager for name, manager in self.managers.items() if self.groups[name].kind != "state"]
        limit = prompt[0]
        while True:
            found = min(
                (manager.cached_tokens_of(*prompt, reuse_limit=limit) for manager in attention), default=0
            )
            if found == limit:
                return limit
            limit = found

    def append(self, seq_id: int, n: int = 1) -> None:
        """Slots for `n` more tokens in every group; a state does not grow. No group changes if one is out
        of blocks."""
        growing = [m for name, m in self.managers.items() if self.groups[name].kind != "state"]
        for manager in growing:
            needed, free = manager.blocks_to_append(seq_id, n), manager.num_free_blocks
            if needed > free:
                raise OutOfBlocksError(needed, free)
        for manager in growing:
            manager.append(seq_id, n)

    def fork(self, parent: int, child: int) -> None:
        """A second continuation; a state is copied at once, since it is overwritten at every token.

        Raises OutOfBlocksError if there is no block for the copied state, with no group changed."""
        for name, manager in self.managers.items():
            if self.groups[name].kind == "state" and not manager.num_free_blocks:
                raise OutOfBlocksError(1, 0)
        for name, manager in self.managers.items():
            if self.groups[name].kind == "state":
                manager.allocate(child, 1)
            else:
                manager.fork(parent, child)

    def free(self, seq_id: int) -> None:
        for manager in self.managers.values():
            manager.free(seq_id)

    def block_tables(self, seq_id: int) -> dict[str, npt.NDArray[np.int32]]:
        return {name: manager.block_table(seq_id) for name, manager in self.managers.items()}

    def used_bytes(self) -> int:
        """Bytes of blocks in use, over all groups."""
        return sum(
            (manager.pool.usable_blocks - manager.num_free_blocks) * self.groups[name].block_bytes
            for name, manager in self.managers.items()
        )


def _manager_of(group: LayerGroup, prefix_caching: bool) -> BlockManager:
    if group.kind == "state":
        return BlockManager(group.num_blocks, 1, prefix_caching=False)
    return BlockManager(
        group.num_blocks,
        group.block_tokens,
        prefix_caching=prefix_caching,
        window_tokens=group.window_tokens,
    )
