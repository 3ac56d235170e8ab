"""The loop at tile grain against sums by hand: one tile, and each of the limits that can rule alone."""

import numpy as np
import pytest

from sim.coarse import columns as c
from sim.coarse import loop, tags
from sim.coarse import state as layout
from sim.coarse.machine import new_state
from sim.coarse.units import SM_COLS

BYTES = 16_384
SEGMENT = 4096
TILE = {
    c.BYTES: BYTES,
    c.PORT: 4000,
    c.ISSUE: 500,
    c.UNPACK: 300,
    c.QK: 700,
    c.QK_STALL: 40,
    c.EXP: 900,
    c.ALU: 200,
    c.PV: 600,
    c.PV_STALL: 60,
}
STAGES_PS = 500 + 300 + 700 + 40 + 900 + 200 + 600 + 60
LATENCY = {
    c.WAY_IN: 11_000,
    c.WAY_BACK: 13_000,
    c.FAR_EXTRA: 5000,
    c.L2_LATENCY: 70_000,
    c.HBM_LATENCY: 300_000,
}
OVERHEAD = {
    c.START: 1_000_000,
    c.FIRST_ENTRY: 5000,
    c.NEXT_ENTRY: 2500,
    c.ROOT: 4000,
    c.EPILOGUE: 6000,
    c.STORE: 7000,
}
NOTHING = {
    c.PORT: 0,
    c.ISSUE: 0,
    c.UNPACK: 0,
    c.QK: 0,
    c.QK_STALL: 0,
    c.EXP: 0,
    c.ALU: 0,
    c.PV: 0,
    c.PV_STALL: 0,
}


def q16(ps_per_byte: float) -> int:
    return round(ps_per_byte * 65_536)


def run(
    scalars: dict[int, int], tile: dict[int, int], counts: list[int], hit: float = 0.0, query: int = 0
) -> int:
    """End of a grid of equal tiles, `counts` of each CTA; what `scalars` leaves out costs nothing."""
    tiles = sum(counts)
    state = finished(scalars, tile, counts, [hit] * tiles, list(range(tiles)), query)
    return int(state.g[layout.G_END])


def finished(
    scalars: dict[int, int],
    tile: dict[int, int],
    counts: list[int],
    hits: list[float],
    objects: list[int],
    query: int = 0,
    output: int = 0,
    cache: tags.Cache | None = None,
    blocks: list[int] | None = None,
    tables: list[int] | None = None,
    sequence: list[int] | None = None,
    rows: list[int] | None = None,
    slices: list[list[int]] | None = None,
) -> layout.State:
    """The state after a grid of equal tiles; hits, objects: [tiles] share found, and number of what each reads;
    blocks: [tiles] number of the blocks of inline ECC that each shares with others; tables: [CTAs] number of the line
    of the block table that each reads first; sequence: [CTAs] of each, 0 without; rows: [CTAs] number of
    the query rows, of `query` bytes, that each reads; slices: of two in L2, of the blocks of each object."""
    p = np.zeros(c.SCALARS, np.int64)
    base = {
        c.SMS: 1,
        c.CTAS_PER_SM: 1,
        c.STAGES: 2,
        c.STREAMS: 1,
        c.CAP: 1 << 24,
        c.SEGMENT: SEGMENT,
        c.GROUPS: 1,
        c.SEARCH_GROUP: 31,
    }
    for key, value in (base | scalars).items():
        p[key] = value
    p[c.CTAS], p[c.ROOM] = len(counts), p[c.CTAS_PER_SM] * (p[c.STAGES] + 1) + 1
    p[c.CREDITS] = 66 + 2 * p[c.CAP] // SEGMENT
    classes = np.zeros(c.CLASS_COLS, np.int64)
    for key, value in tile.items():
        classes[key] = value
    tiles = sum(counts)
    lie = np.array(slices or [[]], np.int64)
    p[c.SLICES], classes[c.BLOCKS] = 2, lie.shape[1]
    grid = layout.Grid(
        slices=lie.reshape(-1),
        slices_of=np.arange(len(lie)) * lie.shape[1],
        channels=np.zeros(0, np.int64),
        begins=np.zeros(0, np.int64),
        lines=np.zeros(0, np.int64),
        p=p,
        classes=classes,
        tile_ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        tile_class=np.zeros(tiles, np.int64),
        hit=np.round(np.array(hits) * 65_536).astype(np.int64),
        objects=np.array(objects, np.int64),
        query=np.arange(len(counts)) if rows is None else np.array(rows, np.int64),
        query_ptr=np.arange(len(counts) + 1, dtype=np.int64) * query,
        query_hit=np.zeros(len(counts), np.int64),
        output_ptr=np.arange(len(counts) + 1, dtype=np.int64) * output,
        order=np.arange(len(counts)),
        blocks=np.full(tiles, -1, np.int64) if blocks is None else np.array(blocks, np.int64),
        tables=np.full(len(counts), -1, np.int64) if tables is None else np.array(tables, np.int64),
        sequence=np.zeros(len(counts), np.int64) if sequence is None else np.array(sequence, np.int64),
    )
    state = new_state(p, tiles, tiles, blocks=tiles, lines=len(counts), queries=len(counts))
    loop.run(grid, state, cache or tags.new_cache(np.zeros(tags.SCALARS, np.int64)))
    assert (np.diff(state.consumed) >= 0).all()
    return state


def test_one_tile_takes_the_sum_of_what_it_passes() -> None:
    """Its last segment waits for the port (all four), then passes memory alone, as rates are far above demand."""
    scalars = OVERHEAD | LATENCY | {c.BARRIER: 900}
    expected = 1_000_000 + 5000 + 4000  # start, entry, directory
    expected += 4000  # port: all descriptors of the tile
    expected += 11_000 + 70_000 + 300_000 + 13_000 + 5000
    expected += STAGES_PS + 900 + 6000 + 7000
    assert run(scalars, TILE, [1]) == expected


def test_an_sm_is_gone_when_its_last_cta_is() -> None:
    """Six equal CTAs on four SMs: two SMs have no more after the first ones."""
    scalars, tile = {c.SMS: 4, c.EPILOGUE: 1000}, NOTHING | {c.BYTES: BYTES, c.ISSUE: 5000}
    state = finished(scalars, tile, [1] * 6, [0.0] * 6, list(range(6)))
    assert state.sms.reshape(4, SM_COLS)[:, layout.P_GONE].tolist() == [12_000, 12_000, 6000, 6000]


def test_each_group_of_sequences_that_a_cta_passes_delays_it() -> None:
    """Three CTAs in a row, of sequences 62, 63 and 188: two groups from the first on, none, and four (125 // 31)."""

    def end(search: int) -> int:
        scalars = {c.NEXT_ENTRY: 7000, c.SEARCH: search}
        state = finished(scalars, TILE, [1] * 3, [0.0] * 3, [0, 1, 2], sequence=[62, 63, 188])
        return int(state.g[layout.G_END])

    assert end(300_000) - end(0) == (2 + 0 + 4) * 300_000


LOOK_UP = {c.TABLE_HIT: 200_000, c.TABLE_MISS: 600_000}


def test_a_line_of_the_block_table_comes_from_memory_once() -> None:
    """Three CTAs, one after the other on one SM: the line that the third reads too was brought by the first."""
    alone = run(LATENCY, TILE, [1, 1, 1])
    ends = [
        int(finished(LATENCY | LOOK_UP, TILE, [1] * 3, [0.0] * 3, [0, 1, 2], tables=lines).g[layout.G_END])
        for lines in ([0, 1, 2], [0, 1, 0], [0, 0, 0])
    ]
    assert [end - alone for end in ends] == [1_800_000, 1_400_000, 1_000_000]


def test_a_look_up_takes_its_turn_behind_the_tiles_in_line_at_its_port() -> None:
    """Two CTAs on an SM: when the second one asks, 1000 ps after the first, the port is busy with the first one's tile,
    until 4000 ps."""
    scalars = {c.CTAS_PER_SM: 2, c.SEARCH: 1000, c.SEARCH_GROUP: 1, **LOOK_UP}
    tile = NOTHING | {c.BYTES: BYTES, c.PORT: 4000}
    one, two = (
        finished(scalars, tile, [1, 1], [0.0] * 2, [0, 1], tables=tables, sequence=[0, 1]).consumed[1]
        for tables in ([-1, -1], [-1, 0])
    )
    assert one == 4000 + 4000
    assert two == 4000 + 600_000 + 4000


@pytest.mark.parametrize(("l2", "memory"), [(0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.25, 0.5)])
def test_a_look_up_waits_for_the_slower_of_l2_and_memory(l2: float, memory: float) -> None:
    """64 KiB of four other SMs are under way before it, at 2 bytes a ps through the slower one."""
    scalars = {c.SMS: 5, c.L2_Q16: q16(l2), c.HBM_Q16: q16(memory), c.SEARCH: 1, c.SEARCH_GROUP: 1, **LOOK_UP}
    tile = NOTHING | {c.BYTES: BYTES}
    tables, sequence = [-1] * 4 + [0], [0] * 4 + [1]
    state = finished(scalars, tile, [1] * 5, [0.0] * 5, list(range(5)), tables=tables, sequence=sequence)
    assert state.tables[0] == 600_000 + 4 * BYTES // 2


def test_who_asks_for_a_line_that_is_on_its_way_waits_for_it() -> None:
    """Two CTAs that start together, and one alone."""
    two, one = (
        finished({c.SMS: n, **LOOK_UP}, TILE, [1] * n, [0.0] * n, [0] * n, tables=[0] * n) for n in (2, 1)
    )
    assert two.g[layout.G_END] == one.g[layout.G_END]


@pytest.mark.parametrize(("found", "trip"), [(1.0, 200_000), (0.5, 400_000), (0.0, 600_000)])
def test_a_cta_that_looks_up_at_use_waits_at_every_further_line(found: float, trip: int) -> None:
    """One buffer: tile after tile. Of seven tiles, two to a line, the first line comes with the start; three follow, in
    L2 as far as the tiles are."""
    at_use = LATENCY | LOOK_UP | {c.STAGES: 1, c.LOOK_UP: 2, c.LOOK_LINES: 1}
    scalars = (at_use | {c.LOOK_UP: 0}, at_use)
    ahead, waits = (
        finished(p, TILE, [7, 1, 1, 1, 1], [found] * 11, list(range(11)), tables=[0, 0, 0, 0, 0])
        for p in scalars
    )
    assert waits.g[layout.G_END] - ahead.g[layout.G_END] == 3 * trip


@pytest.mark.parametrize(("found", "trip"), [(1.0, 200_000), (0.5, 400_000), (0.0, 600_000)])
def test_a_replay_finds_the_first_line_as_far_as_the_first_tile(found: float, trip: int) -> None:
    """Both were read together, one launch before."""
    with_line, without = (
        finished(LATENCY | LOOK_UP | {c.WARM: 1}, TILE, [1], [found], [0], tables=tables).g[layout.G_END]
        for tables in ([0], [-1])
    )
    assert with_line - without == trip


@pytest.mark.parametrize(
    ("slow", "found", "queued"),
    [(c.HBM_Q16, 0.0, 0), (c.INGRESS_Q16, 1.0, 3 * SEGMENT * 10)],
)
def test_a_port_is_as_busy_as_its_last_segment_found_it(slow: int, found: float, queued: int) -> None:
    """Four segments asked for at once: from slow memory each finds the port idle, however long the way before; from
    L2 the last one waits for three."""
    scalars = LATENCY | {slow: q16(10)}
    state = finished(scalars, NOTHING | {c.BYTES: BYTES}, [1], [found], [0])
    assert state.sms[layout.P_QUEUED] == queued
    assert state.sms[layout.P_INGRESS] > 3 * SEGMENT * 10


def test_a_tile_found_in_l2_saves_the_latency_of_memory() -> None:
    scalars = OVERHEAD | LATENCY
    assert run(scalars, TILE, [1]) - run(scalars, TILE, [1], hit=1.0) == 300_000


def test_a_copy_has_no_way_to_the_farther_partition() -> None:
    scalars = OVERHEAD | LATENCY | {c.COPIES: 1, c.GROUPS: 2, c.SMS: 2}
    assert run(scalars, TILE, [1]) - run(scalars, TILE, [1], hit=1.0) == 300_000 + 5000


def test_bytes_pass_the_port_of_the_sm_as_they_come() -> None:
    """Four segments leave in 1000 ps each and need 2048 to come in: the first byte of all comes in at once."""
    slow = {c.INGRESS_Q16: q16(0.5)}
    assert run(LATENCY | slow, TILE, [1]) - run(LATENCY, TILE, [1]) == 4 * 2048 - 4000
    quick = {c.INGRESS_Q16: q16(0.1)}
    assert run(LATENCY | quick, TILE, [1]) == run(LATENCY, TILE, [1])


def test_products_of_mma_sync_take_turns_with_the_softmax_of_other_ctas() -> None:
    """Two CTAs, many tiles, 1000 ps of products and 300 of softmax a tile: a unit each, or one for all."""
    tile = {**NOTHING, c.BYTES: 4, c.QK: 500, c.PV: 500, c.EXP: 300}
    apart, together = (run({c.CTAS_PER_SM: 2, c.MMA_SYNC: s}, tile, [400, 400]) for s in (0, 1))
    assert apart == pytest.approx(800 * 1000, rel=0.01)
    assert together == pytest.approx(800 * 1300, rel=0.01)


def test_a_compute_bound_cta_takes_its_tiles_times_the_stages() -> None:
    first, many = (run(LATENCY | {c.STAGES: 4}, {**TILE, c.ISSUE: 600_000}, [n]) for n in (1, 101))
    assert many - first == 100 * (STAGES_PS - 500 + 600_000)


@pytest.mark.parametrize(("rate", "hit"), [(c.HBM_Q16, 0.0), (c.L2_Q16, 1.0), (c.INGRESS_Q16, 1.0)])
def test_a_server_of_bytes_that_rules_alone_passes_them_at_its_rate(rate: int, hit: float) -> None:
    scalars = {c.SMS: 4 if rate != c.INGRESS_Q16 else 1, rate: q16(0.5)}
    counts = [64] * int(scalars[c.SMS])
    assert run(scalars, {**NOTHING, c.BYTES: BYTES}, counts, hit) == sum(counts) * BYTES // 2


def test_memory_sees_the_missing_share_only() -> None:
    scalars = {c.HBM_Q16: q16(0.5)}
    assert run(scalars, {**NOTHING, c.BYTES: BYTES}, [64], hit=0.75) == 64 * BYTES // 8


def test_late_channels_change_the_order_in_which_tiles_come_not_the_rate_of_memory() -> None:
    """Four CTAs with more under way than memory needs."""
    scalars, ctas = {c.HBM_Q16: q16(20.0), c.SMS: 4, c.CAP: 1 << 20}, [100] * 4
    even, late = (run(scalars | {c.CHANNEL: channel}, TILE | NOTHING, ctas) for channel in (0, 40_000))
    assert late != even
    assert late == pytest.approx(even, rel=0.01)


def test_the_cap_on_bytes_in_flight_gives_littles_law() -> None:
    """Two segments fit at a time: a round trip brings two."""
    trip = 11_000 + 70_000 + 300_000 + 13_000
    scalars = {**LATENCY, c.FAR_EXTRA: 0, c.CAP: 2 * SEGMENT, c.STAGES: 8}
    tiles = 50
    assert run(scalars, {**NOTHING, c.BYTES: BYTES}, [tiles]) == tiles * BYTES // (2 * SEGMENT) * trip


def test_buffers_bound_the_tiles_in_flight() -> None:
    trip = 11_000 + 70_000 + 300_000 + 13_000 + 5000
    scalars = LATENCY | {c.STAGES: 1}
    assert run(scalars, {**NOTHING, c.BYTES: BYTES}, [20]) == 20 * trip


def test_ctas_beyond_the_slots_wait_for_a_free_one() -> None:
    scalars = OVERHEAD | {c.START: 0, c.SMS: 2}
    one = run(scalars, TILE, [1])
    assert run(scalars, TILE, [1] * 6) == 3 * one - 2 * (5000 - 2500)  # later ones enter sooner


def test_queries_are_read_with_the_first_tile_only() -> None:
    scalars = {c.HBM_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: BYTES}
    assert run(scalars, tile, [8], query=4096) - run(scalars, tile, [8]) == 2048


def test_equal_inputs_give_equal_bits() -> None:
    scalars = OVERHEAD | LATENCY | {c.SMS: 7, c.CTAS_PER_SM: 2, c.HBM_Q16: q16(0.3), c.CAP: 3 * SEGMENT}
    counts = [3, 9, 1, 30, 4] * 8
    assert run(scalars, TILE, counts, 0.3) == run(scalars, TILE, counts, 0.3)


def test_each_partition_has_its_own_l2() -> None:
    scalars = {c.SMS: 2, c.GROUPS: 2, c.L2_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: BYTES}
    assert run(scalars, tile, [64, 64], hit=1.0) == 64 * BYTES // 2
    assert run(scalars | {c.GROUPS: 1}, tile, [64, 64], hit=1.0) == 128 * BYTES // 2


def test_what_another_partition_is_home_to_passes_its_l2_too() -> None:
    """Each of two busy SMs takes its own L2 for all that it reads, and the other's for half of it."""
    scalars = {c.SMS: 2, c.GROUPS: 2, c.COPIES: 1, c.L2_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: BYTES}
    assert run(scalars, tile, [64, 64]) == pytest.approx(1.5 * 64 * BYTES / 2, rel=0.01)
    assert run(scalars, tile, [64]) == 64 * BYTES // 2


def test_a_slow_link_holds_up_what_comes_from_the_other_partition() -> None:
    scalars = {c.SMS: 2, c.GROUPS: 2, c.COPIES: 1, c.LINK_Q16: q16(3.0)}
    assert run(scalars, {**NOTHING, c.BYTES: BYTES}, [64]) == 64 * BYTES // 2 * 3


def test_what_is_found_while_on_its_way_comes_no_sooner_than_its_fetch() -> None:
    """Of two SMs that read the same tile at once, the second one finds it, and waits as long."""
    scalars = LATENCY | {c.SMS: 2}
    tile = {**NOTHING, c.BYTES: SEGMENT}
    shared = finished(scalars, tile, [1, 1], [0.0, 1.0], [0, 0]).consumed
    apart = finished(scalars, tile, [1, 1], [0.0, 1.0], [0, 1]).consumed
    assert shared[0] == shared[1]
    assert apart[1] - apart[0] == 300_000


def test_query_rows_come_from_memory_though_l2_has_all_tiles() -> None:
    """Three CTAs on one SM find their tiles; each waits for its own rows."""
    apart, found = (
        finished(LATENCY, {**NOTHING, c.BYTES: SEGMENT}, [1] * 3, [1.0] * 3, [0, 1, 2], query=size)
        for size in (SEGMENT, 0)
    )
    assert apart.g[layout.G_END] - found.g[layout.G_END] == 3 * 300_000


def test_splits_of_an_output_read_its_query_rows_from_memory_once() -> None:
    scalars = LATENCY | {c.HBM_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: SEGMENT}
    shared, own = (
        finished(scalars, tile, [1] * 3, [1.0] * 3, [0, 1, 2], query=2 * SEGMENT, rows=rows)
        for rows in ([0, 0, 0], [0, 1, 2])
    )
    assert own.g[layout.G_TAKEN] == 3 * shared.g[layout.G_TAKEN] == 3 * 2 * SEGMENT
    assert own.g[layout.G_END] - shared.g[layout.G_END] == 2 * (300_000 + 2 * SEGMENT // 2)


def test_a_split_that_asks_for_rows_on_their_way_waits_for_them() -> None:
    scalars = LATENCY | {c.SMS: 2}
    tile = {**NOTHING, c.BYTES: 0}
    state = finished(scalars, tile, [1, 1], [1.0, 1.0], [0, 1], query=SEGMENT, rows=[0, 0])
    assert state.consumed[0] == state.consumed[1]


MOSTLY_0, MOSTLY_1, ALL_0, ALL_1 = [0, 0, 0, 1], [1, 1, 1, 0], [0] * 4, [1] * 4
"""Slices, of two, of the four blocks of a tile."""


@pytest.mark.parametrize(
    ("slices", "objects", "share"),
    [
        ([MOSTLY_0], [0] * 8, 3 / 2),  # three of four blocks on one of two slices
        ([MOSTLY_0, MOSTLY_1], [0, 1] * 4, 1),  # the load evens out
        ([ALL_0, ALL_0], [0] * 7 + [1], 2),  # another tile waits behind what seven read
        ([ALL_0, ALL_1], [0] * 7 + [1], 7 / 4),  # or passes it on the other slice
    ],
)
def test_each_slice_serves_its_blocks_one_after_the_other(
    slices: list[list[int]], objects: list[int], share: float
) -> None:
    """Eight SMs in step: L2 takes 8 tiles at its rate, and longer where one slice has more than its half."""
    scalars = {c.SMS: 8, c.L2_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: BYTES}
    state = finished(scalars, tile, [1] * 8, [1.0] * 8, objects, slices=slices)
    assert state.g[layout.G_END] == share * 8 * BYTES // 2


def test_what_copies_miss_passes_the_slices_of_its_home() -> None:
    """Two partitions of two slices, one SM each. Half of what the first misses on slice 0 passes slice 0 of the other,
    where the second one's tile waits behind it."""
    scalars = {c.SMS: 2, c.GROUPS: 2, c.L2_Q16: q16(0.5), c.COPIES: 1}
    tile = {**NOTHING, c.BYTES: BYTES}
    missed, found = (
        finished(scalars, tile, [1, 1], [hit, 1.0], [0, 1], slices=[ALL_0, ALL_0]).slices
        for hit in (0.0, 1.0)
    )
    assert found.tolist() == [BYTES, 0, BYTES, 0]
    assert missed.tolist() == [BYTES, 0, BYTES + BYTES // 2, 0]


def test_what_is_missing_goes_on_to_memory_behind_the_readers_before() -> None:
    """The first to ask for a tile's second segment is behind all eight's first ones at its slice, if it is the same."""
    scalars = LATENCY | {c.SMS: 8, c.L2_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: 2 * SEGMENT}
    ends = finished(scalars, tile, [1] * 8, [0.0] + [1.0] * 7, [0] * 8, slices=[ALL_0]).consumed
    way = 11_000 + 70_000 + 300_000 + 13_000 + 5000
    # two ports' segments leave at once: the first's second one follows its own first one
    assert ends[0] >= way + 2 * 2 * SEGMENT // 2
    assert (ends >= ends[0]).all()


def test_tiles_are_looked_up_as_they_are_sent() -> None:
    """Three CTAs on one SM read one tile: the first misses, the others find it, in an order that only time tells."""
    p = np.zeros(tags.SCALARS, np.int64)
    p[[tags.SLOTS, tags.SMS, tags.PARTS, tags.GROUPS, tags.SETS, tags.OBJECTS]] = 1
    p[tags.WAYS] = 4
    scalars = {c.LOOKS_UP: 1, c.HBM_Q16: q16(0.5)}
    tile = {**NOTHING, c.BYTES: BYTES}
    state = finished(scalars, tile, [1] * 3, [0.0] * 3, [0] * 3, cache=tags.new_cache(p))
    assert state.g[layout.G_END] == BYTES // 2


def test_of_a_tile_that_holds_what_others_read_their_part_is_found() -> None:
    """A quarter of each tile is foreign: memory has three quarters to bring, whatever the cache holds of the rest."""
    p = np.zeros(tags.SCALARS, np.int64)
    p[[tags.SLOTS, tags.SMS, tags.PARTS, tags.GROUPS, tags.SETS]] = 1
    p[tags.WAYS], p[tags.OBJECTS] = 4, 3
    tile = {**NOTHING, c.BYTES: BYTES, c.FOREIGN: 65_536 // 4}
    scalars = {c.LOOKS_UP: 1, c.HBM_Q16: q16(0.5)}
    state = finished(scalars, tile, [1] * 3, [0.0] * 3, [0, 1, 1], cache=tags.new_cache(p))
    assert state.g[layout.G_END] == 2 * (3 * BYTES // 4) // 2


def test_an_output_leaves_at_the_rate_of_the_port_and_is_acknowledged() -> None:
    scalars = {c.SMS: 1, c.STORE_Q16: q16(2.0), c.STORE: 7000, c.NEXT_ENTRY: 100}
    nothing = {**NOTHING, c.BYTES: 0}
    state = finished(scalars, nothing, [1, 1, 1], [0.0] * 3, [0, 1, 2], output=4096)
    assert state.g[layout.G_END] == 3 * (4096 * 2 + 7000) + 2 * 100


def test_outputs_pass_l2_with_the_tiles() -> None:
    """Tiles take 64 x 16 KiB / 2 of L2's time, outputs of 16 KiB as much again, in line before the last SM's tiles."""
    scalars = {c.SMS: 8, c.L2_Q16: q16(0.5)}
    state = finished(
        scalars, {**NOTHING, c.BYTES: BYTES}, [1] * 64, [1.0] * 64, list(range(64)), output=BYTES
    )
    assert state.g[layout.G_END] == 2 * 64 * BYTES // 2


def test_outputs_go_on_to_memory_when_l2_cannot_hold_what_follows() -> None:
    """Four CTAs in turn, each with a tile and an output as large: those of the first two leave again."""
    scalars = {c.SMS: 1, c.HBM_Q16: q16(0.5), c.TAKES_IN: 8 * BYTES, c.HOLDS: 3 * BYTES}
    state = finished(scalars, {**NOTHING, c.BYTES: BYTES}, [1] * 4, [0.0] * 4, list(range(4)), output=BYTES)
    assert state.g[layout.G_WRITTEN] == 2 * BYTES
    assert state.g[layout.G_TAKEN] == 8 * BYTES
    assert state.g[layout.G_END] == (4 + 2) * BYTES // 2


AHEAD = OVERHEAD | LATENCY | {c.START: 0, c.ROOT: 0, c.NEXT_ENTRY: 0}


@pytest.mark.parametrize(("hbm_ps", "exposed_ps"), [(300_000, 403_000 - 6000), (0, 103_000 - 6000)])
def test_one_that_runs_ahead_waits_for_an_item_as_long_as_its_trip_outlasts_the_end_of_the_last(
    hbm_ps: int, exposed_ps: int
) -> None:
    """A further item of one tile: its trip less the epilogue that it is under, then its stages and its own epilogue; no
    entry and no store between."""
    scalars = AHEAD | {c.HBM_LATENCY: hbm_ps, c.AHEAD: 1}
    two, three = (run(scalars, TILE, [1] * n) for n in (2, 3))
    assert 4000 + 11_000 + 70_000 + 13_000 + 5000 == 103_000  # of the trip, beside memory
    assert three - two == exposed_ps + STAGES_PS + 6000


def test_the_end_of_an_item_that_outlasts_the_next_trip_hides_it() -> None:
    scalars = AHEAD | {c.EPILOGUE: 500_000, c.AHEAD: 1}
    assert run(scalars, TILE, [1] * 3) - run(scalars, TILE, [1] * 2) == STAGES_PS + 500_000


def test_running_ahead_does_nothing_for_one_item() -> None:
    scalars = AHEAD | {c.SMS: 2}
    assert run(scalars | {c.AHEAD: 1}, TILE, [3, 2]) == run(scalars, TILE, [3, 2])
