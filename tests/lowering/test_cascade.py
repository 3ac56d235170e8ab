"""Cascade: the shared prefix is read once per row block, every partial row is written once and merged once."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.config.load import load_hardware, load_profile
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.cascade import build_cascade, needs_prefix, prefix_units, shared_tokens
from sim.lowering.cut import Cut
from sim.lowering.launch import Launch
from sim.memory.addresses import build_address_map
from sim.memory.fetches import TrafficClass
from sim.operations import totals_of_launches

H100 = load_hardware("h100_sxm").spec
CASCADE = load_profile("cascade")
VALUE_BYTES, LSE_BYTES = 128 * 4, 4


def step_of(contexts: list[int], prefix: int, q_len: int = 1, page: int = 64) -> Step:
    lengths = np.array(contexts, np.int32)
    news = np.full(len(lengths), q_len, np.int32)
    phase = "decode" if q_len == 1 else "verify"
    batch = Batch(
        phase, Geometry(64, 8, 128, 128), lengths, news, page, page_order="sequential", shared_prefix=prefix
    )
    return make_step(batch, 0)


def lowered(step: Step) -> tuple[Cut, list[Launch]]:
    cut = candidates(step, [CASCADE], None, H100, 4)[0].cut
    addresses = build_address_map(step, "HND", 4)
    return cut, build_cascade(step, cut, H100, addresses, LookUp(True, False, 4, False))


def partial_bytes(launch: Launch, writes: bool) -> list[tuple[int, int]]:
    """(address, bytes) of the runs of partial results, sorted."""
    table = launch.fetches
    fetch = np.repeat(np.arange(table.fetches), np.diff(table.run_ptr))
    wanted = (table.cls[fetch] == TrafficClass.PARTIAL) & (table.kind[fetch] == int(writes))
    return sorted(zip(table.run_addr[wanted].tolist(), table.run_bytes[wanted].tolist(), strict=True))


def end_to_end(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Adjacent runs joined; overlaps stay visible."""
    joined: list[tuple[int, int]] = []
    for address, size in runs:
        if joined and sum(joined[-1]) == address:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((address, size))
    return joined


@pytest.mark.parametrize(
    ("contexts", "prefix", "tokens"),
    [
        ([1024, 2048, 1024], 512, 512),
        ([1024, 1024], 500, 448),  # whole pages of 64
        ([1024], 512, 0),  # nobody to share with
        ([1024, 1024], 0, 0),
    ],
)
def test_the_prefix_is_what_the_block_tables_have_in_common(
    contexts: list[int], prefix: int, tokens: int
) -> None:
    assert shared_tokens(step_of(contexts, prefix)) == tokens


def test_a_step_without_a_shared_page_is_refused() -> None:
    assert "share" in str(needs_prefix(step_of([1024, 1024], 0), CASCADE))
    assert needs_prefix(step_of([1024, 1024], 512), CASCADE) is None
    assert needs_prefix(step_of([1024, 1024], 0), load_profile("fa3")) is None


def test_the_prefix_is_fetched_once_per_64_rows_and_the_rest_once() -> None:
    # 24 sequences of 8 rows per KV head: 3 row blocks of 64 rows. 512 bytes a token and head.
    step = step_of([2048] * 24, 1024)
    _, launches = lowered(step)
    assert launches[0].work.packed_bytes.sum() == 3 * 8 * 1024 * 512
    assert launches[1].work.packed_bytes.sum() == 24 * 8 * 1024 * 512
    # Scores of both together are those of plain decoding: 64 heads x 24 sequences x 2048 keys, rows of 8 padded to 16.
    assert launches[0].work.exps.sum() == 64 * 24 * 1024
    assert launches[1].work.exps.sum() == 2 * 64 * 24 * 1024


def test_a_sequence_of_more_rows_than_a_block_has_several_each_with_the_whole_prefix() -> None:
    # 20 new tokens x 8 heads are 160 rows of each KV head: blocks of 64, 64 and 32, for 3 sequences.
    step = step_of([2048] * 3, 1024, 20)
    cut, launches = lowered(step)
    rows = prefix_units(step, cut, H100, 1024)
    assert rows.rows[(rows.split == 0) & (rows.head == 0)].tolist() == [64, 64, 32] * 3
    assert launches[0].work.packed_bytes.sum() == 3 * 3 * 8 * 1024 * 512


def test_more_query_heads_of_a_kv_head_than_a_block_has_rows_are_refused() -> None:
    lengths = np.full(2, 1024, np.int32)
    wide = Batch("decode", Geometry(128, 1, 128, 128), lengths, np.ones(2, np.int32), 64, shared_prefix=512)
    assert "hold 64 query heads of a KV head, not 128" in str(needs_prefix(make_step(wide, 0), CASCADE))


def test_scales_of_the_prefix_and_of_the_rest_are_counted() -> None:
    # int4 has 4 B of scales in 32 values: 8 heads x 2 x 128 / 32 x 4 B = 256 B a token, once for the 64 rows of all
    # sequences and once for each sequence.
    int4 = CASCADE.model_copy(update={"formats": ["int4"]})
    lengths, news = np.full(8, 2048, np.int32), np.ones(8, np.int32)
    shape = Geometry(64, 8, 128, 128)
    step = make_step(Batch("decode", shape, lengths, news, 64, formats=("int4",), shared_prefix=1024), 0)
    cut = candidates(step, [int4], None, H100, 4)[0].cut
    launches = build_cascade(
        step, cut, H100, build_address_map(step, "HND", 4), LookUp(True, False, 4, False)
    )
    assert totals_of_launches(launches).scale_bytes == (1024 + 8 * 1024) * 256


@pytest.mark.parametrize(
    ("contexts", "prefix", "q_len"),
    [
        ([1024] * 3, 512, 1),
        ([4096, 700, 1000, 650, 8192], 512, 1),
        ([2048] * 20, 1024, 1),
        ([2048] * 5, 1024, 4),
        ([1024, 2048, 1024], 512, 12),
        ([1024] * 2, 512, 17),
    ],
)
def test_every_partial_row_is_written_once_and_merged_once(
    contexts: list[int], prefix: int, q_len: int
) -> None:
    step = step_of(contexts, prefix, q_len)
    _, launches = lowered(step)
    written = sorted(partial_bytes(launches[0], True) + partial_bytes(launches[1], True))
    read = partial_bytes(launches[2], False)
    assert end_to_end(written) == end_to_end(read)
    assert sum(size for _, size in written) == sum(size for _, size in read)


def test_the_merge_reads_all_pieces_of_the_prefix_and_of_the_rest() -> None:
    step = step_of([4096] * 4, 2048)
    cut, launches = lowered(step)
    # 4 sequences in one row block: 8 CTAs before the prefix is split. Slots are 2 x 132 = 264: the shortest chunk that
    # fits would be one page, but 128 tokens are the least: 16 pieces. The suffix, 32 CTAs: 8 pieces of 4 pages.
    assert len(cut.chunks) == 4
    assert launches[0].ctas.count == 8 * 16
    assert launches[1].ctas.count == 32 * 8
    rows = 4 * 64
    assert sum(size for _, size in partial_bytes(launches[2], False)) == (
        rows * (16 + 8) * (VALUE_BYTES + LSE_BYTES)
    )
