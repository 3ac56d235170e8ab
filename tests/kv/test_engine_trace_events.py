"""What a manager does reaches the trace: evictions with reasons, conversions, migrations and copies."""

from pathlib import Path

import numpy as np
import pytest

from kernels_ref.block_manager import BlockManager
from kernels_ref.engine_trace_check import REASONS
from kernels_ref.engine_trace_events import step_copies, step_events
from kernels_ref.engine_trace_io import EngineTraceWriter, read_engine_trace
from kernels_ref.errors import InputError
from kernels_ref.metadata import Conversion, PageMetadata
from kernels_ref.migration import Migrations
from kernels_ref.policies.precision import ByAge, convert_pages
from kernels_ref.trace import Geometry, Step

FORMATS = ("fp16", "int4")


def step_of(manager: BlockManager, metadata: PageMetadata) -> Step:
    rows = [manager.block_table(seq) for seq in manager.sequences]
    codes = {metadata.formats.index(name): code for code, name in enumerate(FORMATS)}
    return Step(
        phase="decode",
        geometry=Geometry(8, 2, 64, 64),
        page_tokens=manager.block_tokens,
        context=np.array([manager.num_tokens(seq) for seq in manager.sequences], np.int32),
        q_len=np.ones(len(rows), np.int32),
        table_ptr=np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
        table=np.concatenate(rows),
        frame_format=np.array([codes[int(code)] for code in metadata.precision], np.uint8),
        frame_residency=metadata.residency.copy(),
        formats=FORMATS,
        copies=step_copies(manager.take_copies()),
    )


def test_what_a_manager_did_is_read_back_from_the_trace(tmp_path: Path) -> None:
    manager, metadata = BlockManager(6, 4, record_events=True), PageMetadata(6, "fp16")
    manager.allocate(0, 12, token_hash_ids=[1, 2, 3])
    manager.free(0)
    manager.take_events()
    # 18 tokens take five of six blocks: the three fresh ones, then 3 and 2 of the freed prompt, tail first.
    manager.allocate(1, 18)
    tail = int(manager.block_table(1)[4])
    # The sixth block held the root, id 1; the child's first token takes it for the copy of the shared tail.
    manager.fork(1, 2)
    manager.append(2, 1)
    copy = int(manager.block_table(2)[4])
    # Pages end 14, 10, 6, 2 tokens before the end of 18: two lie 10 tokens back and more.
    tables = [manager.block_table(1)]
    converted = convert_pages(ByAge("fp16", "int4", 10), metadata, tables, [18], 4, step=1)
    events = step_events(manager.take_events(), FORMATS, converted)
    with EngineTraceWriter(tmp_path / "t.npz") as writer:
        writer.write(step_of(manager, metadata), events)
    ((step, found),) = read_engine_trace(tmp_path / "t.npz")
    assert [REASONS[reason] for reason in found.evictions[:, 1]] == ["allocation"] * 3
    assert found.evictions[:, 0].tolist() == [*tables[0][3:].tolist(), copy]
    assert step.copies.tolist() == [[tail, copy]]
    assert found.conversions.tolist() == [[int(tables[0][0]), 0, 1], [int(tables[0][1]), 0, 1]]
    assert step.frame_format[tables[0]].tolist() == [1, 1, 0, 0, 0]


def test_a_move_is_written_with_where_it_went() -> None:
    manager = BlockManager(6, 4)
    manager.allocate(0, 8)
    moves = Migrations(manager)
    move = moves.start(0, 1)
    moves.finish(move)
    found = step_events([], FORMATS, moves=[(move, 0)])
    assert found.migrations.tolist() == [[move.source, move.target, 0]]
    assert int(manager.block_table(0)[1]) == move.target


def test_a_format_that_the_step_does_not_list_is_named() -> None:
    with pytest.raises(
        InputError, match="conversions: found int8; allowed: the formats of the step, fp16, int4"
    ):
        step_events([], FORMATS, [Conversion(0, "fp16", "int8")])
