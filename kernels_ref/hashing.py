"""Keys under which full blocks are cached.

A key names a block *and everything before it*, so that a match of the last key is a match of the whole
prefix. Keys of token values are SHA-256 digests chained over the parent's digest, the tokens and the extra
keys (tenant salt, adapter), as vLLM chains them; keys of a recorded trace are its prefix-chained block ids,
kept apart per salt. The two kinds never compare equal, since one is `bytes` and the other an `int` or a
tuple.
"""

import hashlib
from array import array
from collections.abc import Hashable, Sequence

BlockKey = bytes | int | tuple[Hashable, int]

ROOT = hashlib.sha256(b"pagewalk root block").digest()


def root_key(salt: Hashable | None) -> bytes:
    """The parent of a first block. A salt changes it, and through the chain every later key of the
    sequence."""
    if salt is None:
        return ROOT
    return hashlib.sha256(ROOT + repr(salt).encode()).digest()


def chain_key(parent: bytes, tokens: Sequence[int]) -> bytes:
    """Key of a full block of `tokens` that follows `parent`. Each token enters as eight bytes: no two lists
    collide."""
    return hashlib.sha256(parent + array("q", tokens).tobytes()).digest()


def keys_of_tokens(tokens: Sequence[int], block_tokens: int, salt: Hashable | None = None) -> list[BlockKey]:
    """Keys of every full block of `tokens`, first to last; a part-filled last block has none."""
    keys: list[BlockKey] = []
    parent = root_key(salt)
    for end in range(block_tokens, len(tokens) + 1, block_tokens):
        parent = chain_key(parent, tokens[end - block_tokens : end])
        keys.append(parent)
    return keys


def keys_of_ids(
    ids: Sequence[int], num_tokens: int, block_tokens: int, salt: Hashable | None = None
) -> list[BlockKey]:
    """Keys of the full blocks among the prefix-chained `ids` of a trace; the id of a part-filled block is
    dropped."""
    full = ids[: num_tokens // block_tokens]
    if salt is None:
        return [int(i) for i in full]
    return [(salt, int(i)) for i in full]
