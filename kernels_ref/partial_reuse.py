"""Reuse of the leading part of a cached block (TensorRT-LLM's `copy_on_partial_reuse`).

Full-block hashing cannot see that two blocks agree in their first tokens. This index keeps the token values
of cached blocks by parent, so that the longest common beginning is found, copied, and not computed again.
"""

from dataclasses import dataclass

from kernels_ref.block_pool import BlockPool
from kernels_ref.hashing import BlockKey, root_key
from kernels_ref.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """The first `tokens` slots of `block` hold what is wanted."""

    block: int
    tokens: int


class PartIndex:
    """Children of each cached block with their token values; entries whose block is gone are dropped when
    met."""

    def __init__(self) -> None:
        self._children: dict[BlockKey, dict[BlockKey, list[int]]] = {}

    def remember(self, seq: Sequence, index: int) -> None:
        if seq.tokens is None:
            return
        parent = seq.keys[index - 1] if index else root_key(seq.salt)
        start = index * seq.block_tokens
        self._children.setdefault(parent, {})[seq.keys[index]] = seq.tokens[start : start + seq.block_tokens]

    def longest(self, parent: BlockKey, wanted: list[int], pool: BlockPool) -> Part | None:
        """The cached child of `parent` that shares the most leading tokens with `wanted`; the first on a
        tie."""
        children = self._children.get(parent, {})
        best: Part | None = None
        for key in list(children):
            block = pool.lookup(key)
            if block is None:
                del children[key]
                continue
            shared = common_length(children[key], wanted)
            if shared > (best.tokens if best else 0):
                best = Part(block, shared)
        return best


def common_length(left: list[int], right: list[int]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
