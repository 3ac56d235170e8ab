"""Runs of tiles against a slow walk over every token, for both layouts, page sizes and head groups."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.lowering.runs import Runs, TileSpan, join_runs, prepend_runs, single_runs, tile_runs
from sim.memory.addresses import AddressMap, build_address_map


def step_of(page: int, contexts: list[int], formats: tuple[str, ...] = ("fp16",), heads: int = 4) -> Step:
    batch = Batch(
        "decode",
        Geometry(2 * heads, heads, 16, 16),
        np.array(contexts, np.int32),
        np.ones(len(contexts), np.int32),
        page,
        page_order="shuffled",
        formats=formats,
        hot_tokens=page,
    )
    return make_step(batch, 1)


def touched(runs: Runs, tile: int) -> set[int]:
    found: list[int] = []
    for i in range(runs.ptr[tile], runs.ptr[tile + 1]):
        found += range(runs.address[i], runs.address[i] + runs.size[i])
    assert len(found) == len(set(found)), "a byte is fetched twice in one tile"
    return set(found)


def expected(step: Step, addresses: AddressMap, span: TileSpan, tile: int) -> set[int]:
    """Every byte of every (token, head, part) of the tile, one by one."""
    found: set[int] = set()
    row = step.row(int(span.sequence[tile]))
    for token in range(span.lo[tile], span.hi[tile]):
        frame, inside = int(row[token // step.page_tokens]), token % step.page_tokens
        for part in addresses.parts[step.frame_format[frame]]:
            for head in range(span.head[tile], span.head[tile] + span.heads):
                slot = (
                    head * step.page_tokens + inside
                    if addresses.layout == "HND"
                    else inside * addresses.heads + head
                )
                base = (
                    part.base + addresses.rank[frame] * part.token_bytes * addresses.heads * step.page_tokens
                )
                start = int(base + slot * part.token_bytes)
                found |= set(range(start, start + part.token_bytes))
    return found


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from(["HND", "NHD"]),
    page=st.sampled_from([1, 4, 16]),
    heads=st.sampled_from([1, 2, 4]),
    formats=st.sampled_from([("fp16",), ("int4",), ("fp8_e4m3", "int8")]),
    lo=st.integers(0, 30),
    length=st.integers(1, 34),
)
def test_a_tile_is_exactly_the_bytes_of_its_tokens(
    layout: str, page: int, heads: int, formats: tuple[str, ...], lo: int, length: int
) -> None:
    step = step_of(page, [64, 70], formats)
    addresses = build_address_map(step, layout, 4)
    one = np.ones(2, np.int64)
    span = TileSpan(np.array([0, 1]), lo * one, (lo + length) * one, 0 * one, heads)
    runs = tile_runs(step, addresses, span)
    for tile in range(2):
        assert touched(runs, tile) == expected(step, addresses, span, tile)


@pytest.mark.parametrize(
    ("layout", "heads", "runs"),
    [("HND", 1, 2 * 4), ("HND", 4, 2 * 4), ("NHD", 1, 2 * 64), ("NHD", 4, 2 * 4)],
)
def test_the_layout_decides_how_many_runs_a_tile_has(layout: str, heads: int, runs: int) -> None:
    # 64 tokens on pages of 16: 4 pages, K and V. One head of NHD is a run per token; whole pages are one run.
    step = step_of(16, [64])
    span = TileSpan(
        np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([64]), np.zeros(1, np.int64), heads
    )
    assert len(tile_runs(step, build_address_map(step, layout, 4), span).address) == runs


def test_pools_do_not_overlap() -> None:
    step = step_of(4, [40, 50], ("fp8_e4m3", "int8"))
    addresses = build_address_map(step, "HND", 4)
    parts = [part for row in addresses.parts for part in row]
    starts = sorted(
        [*(p.base for p in parts), addresses.table_base, addresses.query_base, addresses.output_base]
    )
    assert all(a < b for a, b in pairwise(starts))
    assert all(part.base % (2 << 20) == 0 for part in parts)


def test_runs_can_be_prepended_and_joined() -> None:
    base = single_runs(np.array([100, 200, 300]), np.array([10, 20, 30]))
    more = prepend_runs(base, np.array([0, 2]), np.array([1, 2]), np.array([5, 6]))
    assert more.ptr.tolist() == [0, 2, 3, 5]
    assert more.address.tolist() == [1, 100, 200, 2, 300]
    both = join_runs([base, more])
    assert both.ptr.tolist() == [0, 1, 2, 3, 5, 6, 8]
