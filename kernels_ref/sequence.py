"""One sequence's view of the cache: how many tokens it holds and in which blocks."""

from collections.abc import Hashable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field

from kernels_ref.errors import InputError
from kernels_ref.hashing import BlockKey, chain_key, keys_of_ids, keys_of_tokens, root_key


@dataclass(slots=True)
class Sequence:
    """`blocks[i]` holds tokens i*B..(i+1)*B-1. `keys[i]` is known for full blocks of the prompt from the
    start, and for generated blocks as they fill, if token values are given. `num_tokens` counts tokens that
    have a slot."""

    seq_id: int
    block_tokens: int
    prompt_tokens: int
    salt: Hashable | None = None
    num_tokens: int = 0
    cached_tokens: int = 0
    hashed_blocks: int = 0
    blocks: list[int] = field(default_factory=list)
    keys: list[BlockKey] = field(default_factory=list)
    tokens: list[int] | None = None

    def parent_key(self, index: int) -> BlockKey | None:
        return self.keys[index - 1] if index else None

    def extend_tokens(self, count: int, new: list[int] | None) -> None:
        """Remember `count` appended token values, and the keys of the blocks which they complete. Without
        values for generated tokens nothing after them can be named any more. Raises ValueError if the
        values do not fit."""
        generated = min(count, max(0, self.num_tokens + count - self.prompt_tokens))
        if new is not None and len(new) != count:
            raise ValueError(f"sequence {self.seq_id}: {len(new)} token values for {count} tokens")
        if new is not None and generated != count:
            raise ValueError(f"sequence {self.seq_id}: values of prompt tokens are given when it starts")
        if self.tokens is None or not generated:
            return
        if new is None:
            self.tokens = None
            return
        self.tokens.extend(new)
        while (len(self.keys) + 1) * self.block_tokens <= len(self.tokens):
            start = len(self.keys) * self.block_tokens
            parent = self.keys[-1] if self.keys else root_key(self.salt)
            if not isinstance(parent, bytes):
                raise TypeError("token values cannot continue a chain of recorded block ids")
            self.keys.append(chain_key(parent, self.tokens[start : start + self.block_tokens]))

    def fork(self, child_id: int) -> "Sequence":
        return Sequence(
            seq_id=child_id,
            block_tokens=self.block_tokens,
            prompt_tokens=self.prompt_tokens,
            salt=self.salt,
            num_tokens=self.num_tokens,
            cached_tokens=self.num_tokens,
            hashed_blocks=self.hashed_blocks,
            blocks=list(self.blocks),
            keys=list(self.keys),
            tokens=None if self.tokens is None else list(self.tokens),
        )


def name_prompt(
    seq: Sequence, token_hash_ids: SequenceOf[int] | None, tokens: SequenceOf[int] | None
) -> Sequence:
    """Give the prompt its block keys, from token values or from recorded ids; without either it has none.

    Raises InputError if the lengths do not agree, which is how a wrong block size shows.
    """
    needed = -(-seq.prompt_tokens // seq.block_tokens)
    if tokens is not None:
        if len(tokens) != seq.prompt_tokens:
            raise InputError(
                f"sequence {seq.seq_id}: {len(tokens)} token values for {seq.prompt_tokens} tokens"
            )
        seq.tokens = list(tokens)
        seq.keys = keys_of_tokens(seq.tokens, seq.block_tokens, seq.salt)
    elif token_hash_ids is not None:
        if len(token_hash_ids) != needed:
            raise InputError(
                f"sequence {seq.seq_id}: {len(token_hash_ids)} block ids for {seq.prompt_tokens} tokens; "
                f"blocks of {seq.block_tokens} need {needed} (is the block size that of the trace?)"
            )
        seq.keys = keys_of_ids(token_hash_ids, seq.prompt_tokens, seq.block_tokens, seq.salt)
    return seq
