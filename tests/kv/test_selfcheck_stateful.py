"""Random requests, forks, aborts, preemptions, migrations and precision changes: the invariants hold after
each step."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from kernels_ref.block_manager import BlockManager
from kernels_ref.block_pool import OutOfBlocksError
from kernels_ref.metadata import PageMetadata
from kernels_ref.migration import Migrations, Move
from kernels_ref.selfcheck import BrokenInvariantError, CheckedBlockManager, check_drained, check_manager

BLOCKS, TOKENS = 24, 4
SALTS = st.sampled_from([None, "a", "b"])


class Manager(RuleBasedStateMachine):
    """Drives one manager; each rule is one thing that a scheduler does in a step."""

    sequences = Bundle("sequences")
    moves = Bundle("moves")
    window: int | None = None
    partial = False

    def __init__(self) -> None:
        super().__init__()
        self.manager = BlockManager(
            BLOCKS, TOKENS, window_tokens=self.window, partial_reuse=self.partial, record_events=True
        )
        self.migrations = Migrations(self.manager)
        self.metadata = PageMetadata(BLOCKS, "fp16")
        self.next_id = 0

    def _number(self) -> int:
        self.next_id += 1
        return self.next_id

    def _alive(self, seq_id: int) -> bool:
        return seq_id in self.manager.sequences

    @rule(target=sequences, tokens=st.lists(st.integers(0, 1), min_size=1, max_size=30), salt=SALTS)
    def admit(self, tokens: list[int], salt: str | None) -> object:
        number = self._number()
        try:
            cached = self.manager.allocate(number, len(tokens), tokens=tokens, salt=salt)
        except OutOfBlocksError:
            return multiple()
        assert cached < len(tokens)
        return number

    @rule(
        target=sequences,
        path=st.lists(st.integers(0, 1), min_size=1, max_size=6),
        cut=st.integers(0, 3),
        salt=SALTS,
    )
    def admit_recorded(self, path: list[int], cut: int, salt: str | None) -> object:
        """Ids of a binary prefix tree, numbered as a heap: chained by construction."""
        ids = [1]
        for step in path:
            ids.append(2 * ids[-1] + step)
        number = self._number()
        try:
            self.manager.allocate(
                number, len(ids) * TOKENS - cut, token_hash_ids=ids, salt=salt, first_chunk=9
            )
        except OutOfBlocksError:
            return multiple()
        return number

    @rule(seq=sequences, count=st.integers(1, 6), bit=st.integers(0, 1))
    def generate(self, seq: int, count: int, bit: int) -> None:
        if not self._alive(seq):
            return
        values = [bit] * count if self.manager.sequences[seq].tokens is not None else None
        before = self.manager.num_tokens(seq)
        try:
            self.manager.append(seq, count, tokens=values)
        except OutOfBlocksError:
            assert self.manager.num_tokens(seq) == before

    @rule(target=sequences, seq=sequences)
    def fork(self, seq: int) -> object:
        if not self._alive(seq):
            return multiple()
        child = self._number()
        self.manager.fork(seq, child)
        return child

    @rule(seq=consumes(sequences))
    def finish_or_abort(self, seq: int) -> None:
        if self._alive(seq):
            self.manager.free(seq)

    @rule(seq=sequences)
    def preempt_and_resume(self, seq: int) -> None:
        """Recompute preemption: the blocks go, the same tokens come back as a prompt."""
        if not self._alive(seq) or self.manager.sequences[seq].tokens is None:
            return
        old = self.manager.sequences[seq]
        tokens, salt = list(old.tokens or []), old.salt
        self.manager.free(seq)
        try:
            self.manager.allocate(seq, len(tokens), tokens=tokens, salt=salt, rescheduled=True)
        except OutOfBlocksError:
            return

    @rule(target=moves, seq=sequences, page=st.integers(0, 5))
    def start_move(self, seq: int, page: int) -> object:
        if not self._alive(seq) or page >= len(self.manager.block_table(seq)):
            return multiple()
        try:
            return self.migrations.start(seq, page)
        except (OutOfBlocksError, ValueError):
            return multiple()

    @rule(move=consumes(moves), good=st.booleans())
    def end_move(self, move: Move, good: bool) -> None:
        if good:
            self.metadata.move(move.source, move.target)
            self.migrations.finish(move)
        else:
            self.migrations.abort(move)

    @rule(seq=sequences, page=st.integers(0, 5), fmt=st.sampled_from(["fp16", "fp8_e4m3", "int4"]))
    def change_precision(self, seq: int, page: int, fmt: str) -> None:
        if not self._alive(seq) or (page + 1) * TOKENS > self.manager.num_tokens(seq):
            return
        block = int(self.manager.block_table(seq)[page])
        if block != self.manager.pool.null_block and block not in self.migrations.in_flight:
            self.metadata.convert(block, fmt)
            assert self.metadata.format_of(block) == fmt

    @rule()
    def forget_all_content(self) -> None:
        idle = self.manager.num_free_blocks == self.manager.pool.usable_blocks
        assert self.manager.pool.clear_cache() == idle

    @invariant()
    def everything_holds(self) -> None:
        check_manager(self.manager)
        for copy in self.manager.take_copies():
            assert copy.source != copy.target
            assert 0 < copy.tokens < TOKENS
        for move in self.migrations.in_flight.values():
            assert self.manager.pool.holds[move.source] == 1
            assert move.source not in self.manager.pool.free
            assert move.target not in self.manager.pool.free

    def teardown(self) -> None:
        for seq in list(self.manager.sequences):
            self.manager.free(seq)
        for move in list(self.migrations.in_flight.values()):
            self.migrations.abort(move)
        check_drained(self.manager)


class WindowManager(Manager):
    window = 6


class PartialManager(Manager):
    partial = True


STEPS = settings(
    max_examples=120, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestFullAttention = Manager.TestCase
TestFullAttention.settings = STEPS
TestSlidingWindow = WindowManager.TestCase
TestSlidingWindow.settings = STEPS
TestPartialReuse = PartialManager.TestCase
TestPartialReuse.settings = STEPS


def broken(manager: BlockManager) -> None:
    with pytest.raises(BrokenInvariantError):
        check_manager(manager)


def filled() -> BlockManager:
    manager = BlockManager(8, 4)
    manager.allocate(0, 12, token_hash_ids=[1, 2, 3], salt="a")
    manager.allocate(1, 6, token_hash_ids=[4, 5], salt="b")
    check_manager(manager)
    return manager


def test_a_checked_manager_stops_at_the_first_change_after_a_defect() -> None:
    manager = CheckedBlockManager(8, 4)
    manager.allocate(0, 12, token_hash_ids=[1, 2, 3])
    manager.append(0, 1)
    manager.fork(0, 1)
    manager.free(0)
    manager.pool.ref_count[manager.sequences[1].blocks[0]] += 1
    with pytest.raises(BrokenInvariantError, match="reference count 2, but 1 table entries"):
        manager.append(1, 1)


def test_a_lost_reference_is_found() -> None:
    manager = filled()
    manager.pool.ref_count[0] -= 1
    broken(manager)


def test_a_block_both_free_and_referenced_is_found() -> None:
    manager = filled()
    manager.pool.free.append(0)
    broken(manager)


def test_a_leaked_block_is_found() -> None:
    manager = filled()
    manager.pool.free.popleft()
    broken(manager)


def test_a_cached_block_without_its_parent_is_found() -> None:
    manager = filled()
    manager.free(0)
    manager.pool._forget(0, "test")
    broken(manager)


def test_a_block_of_another_tenant_is_found() -> None:
    manager = filled()
    pool, seq = manager.pool, manager.sequences[1]
    pool.release(seq.blocks[0])
    pool.touch(0)
    seq.blocks[0] = 0
    broken(manager)


def test_a_transfer_keeps_the_whole_prefix_of_its_block_until_it_ends() -> None:
    manager = BlockManager(4, 4)
    manager.allocate(0, 12, token_hash_ids=[1, 2, 3])
    manager.pool.hold(1)
    manager.free(0)
    assert manager.num_free_blocks == 2  # block 2 and the one never used
    check_manager(manager)
    manager.pool.unhold(1)
    check_drained(manager)
    assert list(manager.pool.free) == [3, 2, 1, 0]


def test_a_hold_that_is_never_given_back_shows_after_the_drain() -> None:
    manager = filled()
    manager.pool.hold(0)
    manager.free(0)
    manager.free(1)
    with pytest.raises(BrokenInvariantError, match="1 of 8 blocks are not free after the drain"):
        check_drained(manager)
