"""The real block manager under the replay: its tables give right answers, a broken manager's do not.

What a page means is computed here from salts and tokens, apart from the manager's own keys; what a frame
holds follows from who computed it last.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from replay_machine import make_rows

from kernels_ref import sequence
from kernels_ref.block_manager import BlockManager
from kernels_ref.hashing import ROOT, chain_key
from kernels_ref.replay import Contents, ReplayReport, Schedule, replay
from kernels_ref.trace import Geometry, Step

PAGE = 4


@dataclass
class Machine:
    """A manager, the meaning of every sequence, and the physical content of every frame."""

    manager: BlockManager
    named: dict[tuple, int] = field(default_factory=dict)
    frame: dict[int, int] = field(default_factory=dict)
    prefix: dict[int, tuple] = field(default_factory=dict)
    derived: list[tuple[int, int]] = field(default_factory=list)

    def meaning(self, seq: int, page: int) -> int:
        """Identity of a page: its salt and all tokens up to its end."""
        key = self.prefix[seq][: 1 + (page + 1) * PAGE]
        return self.named.setdefault(key, len(self.named))

    def prefill(self, seq: int, tokens: list[int], salt: str, told: str | None = "same") -> None:
        """Allocate a prompt and compute what the manager says is not cached."""
        self.prefix[seq] = (salt, *tokens)
        told = salt if told == "same" else told
        cached = self.manager.allocate(seq, len(tokens), tokens=tokens, salt=told)
        for page, frame in enumerate(self.manager.block_table(seq).tolist()):
            if page >= cached // PAGE:
                self.frame[frame] = self.meaning(seq, page)

    def fork(self, parent: int, child: int) -> None:
        self.manager.fork(parent, child)
        self.prefix[child] = self.prefix[parent]

    def decode(self) -> ReplayReport:
        """One token for every sequence, then one attention step in the replay."""
        order = sorted(self.manager.sequences)
        old = {seq: self.meaning(seq, (len(self.prefix[seq]) - 2) // PAGE) for seq in order}
        parts = {seq: (len(self.prefix[seq]) - 1) % PAGE for seq in order}
        appends = []
        for row, seq in enumerate(order):
            position = len(self.prefix[seq]) - 1
            self.manager.append(seq, 1, tokens=[1000 + seq])
            self.prefix[seq] = (*self.prefix[seq], 1000 + seq)
            appends.append((row, position, int(self.manager.block_table(seq)[position // PAGE])))
            if parts[seq]:
                self.derived.append((old[seq], self.meaning(seq, position // PAGE)))
        return self.replay(order, appends)

    def replay(self, order: list[int], appends: list[tuple[int, int, int]]) -> ReplayReport:
        rows = [self.manager.block_table(seq) for seq in order]
        ptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        frames = self.manager.num_blocks
        copies = [(copy.source, copy.target) for copy in self.manager.take_copies()]
        step = Step(
            phase="decode",
            geometry=Geometry(2, 1, 64, 64),
            page_tokens=PAGE,
            context=np.array([len(self.prefix[seq]) - 1 for seq in order], np.int32),
            q_len=np.ones(len(order), np.int32),
            table_ptr=ptr,
            table=np.concatenate(rows).astype(np.int32),
            frame_format=np.zeros(frames, np.uint8),
            frame_residency=np.zeros(frames, np.uint8),
            appends=np.array(appends, np.int32),
            copies=np.array(copies, np.int32).reshape(-1, 2),
        )
        page = [self.meaning(seq, p) for seq, row in zip(order, rows, strict=True) for p in range(len(row))]
        held = np.full(frames, -1, np.int64)
        for frame, content in self.frame.items():
            held[frame] = content
        contents = Contents(
            page=np.array(page, np.int64),
            frame=held,
            frame_format=step.frame_format,
            scales=step.table.astype(np.int64),
            derived=np.array(self.derived, np.int64).reshape(-1, 2),
        )
        return replay(Schedule.from_rows(make_rows(step, tile_tokens=8)), step, seed=5, contents=contents)


def prompt(tokens: int, start: int = 0) -> list[int]:
    return list(range(start, start + tokens))


def test_shared_prefixes_salts_forks_and_copies_give_right_answers():
    machine = Machine(BlockManager(64, PAGE))
    machine.prefill(0, prompt(18), "a")
    machine.prefill(1, prompt(18), "b")
    machine.prefill(2, prompt(12) + prompt(7, 50), "a")
    machine.fork(0, 3)
    tables = [machine.manager.block_table(seq).tolist() for seq in range(4)]
    assert tables[2][:3] == tables[0][:3]
    assert not set(tables[1]) & set(tables[0])
    report = machine.decode()
    assert report.faults == []
    assert report.ok
    assert report.checked == 4


def test_a_manager_that_ignores_salts_gives_a_wrong_answer():
    machine = Machine(BlockManager(64, PAGE))
    machine.prefill(0, prompt(18), "a", told=None)
    machine.prefill(1, prompt(18), "b", told=None)
    report = machine.decode()
    assert not report.ok
    assert report.max_abs_error > 1e-3


def test_a_manager_that_writes_shared_pages_without_copy_gives_a_wrong_answer(monkeypatch):
    monkeypatch.setattr(BlockManager, "_tail_is_shared", lambda self, seq: False)
    machine = Machine(BlockManager(64, PAGE))
    machine.prefill(0, prompt(18), "a")
    machine.fork(0, 1)
    report = machine.decode()
    assert not report.ok
    assert report.max_abs_error > 1e-3


def test_a_manager_whose_keys_forget_the_parent_gives_a_wrong_answer(monkeypatch):
    def unchained(tokens, block_tokens, salt=None):
        ends = range(block_tokens, len(tokens) + 1, block_tokens)
        return [chain_key(ROOT, tokens[end - block_tokens : end]) for end in ends]

    monkeypatch.setattr(sequence, "keys_of_tokens", unchained)
    machine = Machine(BlockManager(64, PAGE))
    machine.prefill(0, prompt(4) + prompt(8, 20), "a")
    machine.prefill(1, prompt(8, 20) + prompt(6, 70), "a")
    assert machine.manager.block_table(1)[0] == machine.manager.block_table(0)[1]
    assert not machine.decode().ok


def test_a_manager_that_frees_twice_gives_a_page_to_two_sequences():
    machine = Machine(BlockManager(12, PAGE))
    machine.prefill(0, prompt(16), "a")
    machine.manager.pool.release_row(machine.manager.sequences[0].blocks)
    machine.prefill(1, prompt(40, 100), "a")
    assert set(machine.manager.block_table(0).tolist()) & set(machine.manager.block_table(1).tolist())
    report = machine.decode()
    assert not report.ok
    assert report.max_abs_error > 1e-3


@pytest.mark.parametrize("width", [2, 4, 8])
def test_parallel_samples_copy_one_page_each_and_stay_right(width):
    machine = Machine(BlockManager(64, PAGE))
    machine.prefill(0, prompt(18), "a")
    for child in range(1, width):
        machine.fork(0, child)
    assert machine.decode().ok
    # 18 tokens are 4 shared full pages and one of 2 tokens, which all but one sequence copied
    assert machine.manager.stats.copied_blocks == width - 1
