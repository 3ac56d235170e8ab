"""The closed form of where blocks lie, against the block manager that it stands for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels_ref.block_manager import BlockManager
from kernels_ref.engine import Batch, make_step
from kernels_ref.placement import generated_tokens
from kernels_ref.trace import Geometry

SHAPE = Geometry(q_heads=8, kv_heads=2, head_dim=16, value_dim=16)


def batch_of(contexts: list[int], page: int, q_len: int, shared: int) -> Batch:
    lengths = np.array(contexts, np.int32)
    return Batch("decode", SHAPE, lengths, np.full(len(lengths), q_len, np.int32), page, shared_prefix=shared)


def prompt_ids(sequence: int, shared: int, tokens: int, page: int) -> list[int]:
    """Block names of a prompt: the shared ones, then its own."""
    common = min(shared, tokens // page)
    return [*range(common), *(-(sequence << 24) - 1 - i for i in range(-(-tokens // page) - common))]


def driven_rows(batch: Batch, seed: int) -> list[list[int]]:
    """Serve earlier requests of the same lengths, then the batch, on a real block manager."""
    rng = np.random.default_rng(seed)
    page, contexts = batch.page_tokens, batch.contexts.astype(np.int64)
    manager = BlockManager(int((-(-contexts // page)).sum()) + 1, page)
    earlier = rng.permutation(len(contexts))
    for index in earlier:
        manager.allocate(-1 - int(index), int(contexts[index]))
    for index in rng.permutation(earlier):
        manager.free(-1 - int(index))
    shared = min(batch.shared_prefix, int(contexts.min()) - 1) // page
    left: NDArray[np.int64] = generated_tokens(contexts, batch.q_len.astype(np.int64), shared * page)
    for sequence, tokens in enumerate((contexts - left).tolist()):
        manager.allocate(sequence, tokens, token_hash_ids=prompt_ids(sequence, shared, tokens, page))
    while left.any():
        for sequence in np.flatnonzero(left).tolist():
            count = min(page, int(left[sequence]))
            manager.append(sequence, count)
            left[sequence] -= count
    return [manager.block_table(sequence).tolist() for sequence in range(len(contexts))]


@pytest.mark.parametrize("seed", range(60))
def test_the_table_is_the_one_that_the_block_manager_leaves_behind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shortest = int(rng.integers(1, 200))
    contexts = rng.integers(shortest, shortest + 300, int(rng.integers(1, 12)))
    q_len, page = int(rng.integers(1, shortest + 1)), int(rng.integers(1, 40))
    batch = batch_of(contexts.tolist(), page, q_len, shared=int(rng.integers(0, 2)) * shortest)
    step = make_step(batch, seed)
    assert [step.row(i).tolist() for i in range(step.sequences)] == driven_rows(batch, seed)


@pytest.mark.parametrize(("shared", "blocks"), [(512, 32), (1000, 62), (1023, 63)])
def test_what_is_shared_was_not_generated(shared: int, blocks: int) -> None:
    # A tenth of 1024 tokens counts as generated, unless more than nine tenths are said to be common to all.
    step = make_step(batch_of([1024] * 8, page=16, q_len=1, shared=shared), 0)
    same = (np.array([step.row(i) for i in range(8)]) == step.row(0)).all(axis=0)
    assert same.tolist() == [True] * blocks + [False] * (64 - blocks)


def test_a_prompt_that_is_all_shared_still_computes_its_last_block() -> None:
    # 64 tokens of 16, one generated: 63 prompt tokens give 3 full shared blocks in each row.
    batch = batch_of([64, 64], page=16, q_len=1, shared=63)
    step = make_step(batch, 0)
    assert (step.row(0)[:3] == step.row(1)[:3]).all()
    assert [step.row(i).tolist() for i in (0, 1)] == driven_rows(batch, 0)
