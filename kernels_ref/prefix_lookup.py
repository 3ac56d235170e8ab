"""How much of a prompt is cached, for full attention and for a sliding window."""

from kernels_ref.block_pool import BlockPool
from kernels_ref.hashing import BlockKey


def full_prefix(pool: BlockPool, keys: list[BlockKey]) -> list[int]:
    """Blocks of the longest cached beginning of `keys`."""
    hits: list[int] = []
    for key in keys:
        block = pool.lookup(key)
        if block is None:
            break
        hits.append(block)
    return hits


def window_prefix(
    pool: BlockPool, keys: list[BlockKey], window_tokens: int, block_tokens: int, null: int
) -> list[int]:
    """Blocks of the longest beginning whose still visible end is cached; what lies behind is `null`.

    The next token sees the `window_tokens - 1` tokens before it, so only so many blocks need to be there:
    the search goes from the end, as in vLLM's sliding-window manager.
    """
    need = max(1, -(-(window_tokens - 1) // block_tokens))
    run: list[int] = []
    for index in range(len(keys) - 1, -1, -1):
        block = pool.lookup(keys[index])
        run = [] if block is None else [block, *run]
        if len(run) == need or (run and index == 0):
            return [null] * index + run
    return []
