"""FlashMLA's plan against its published loop, and the CTAs that come of it."""

from itertools import pairwise

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.load import load_hardware, load_profile
from sim.lowering.candidates import candidates
from sim.lowering.parts import begun_tiles, part_tiles
from sim.lowering.units import Units, attention_units, start_order

Piece = tuple[int, int, int]
"""(sequence, its first tile, the tile behind its last)."""
OVERHEAD = 5


def published_parts(tiles: list[int], parts: int) -> list[list[Piece]]:
    """The pieces of every part, as get_mla_metadata of FlashMLA deals them out: a part takes the rest of a sequence
    where that fits with its overhead, else what fits."""
    payload = -(-sum(t + OVERHEAD for t in tiles) // parts) + OVERHEAD
    sequence = block = 0
    dealt: list[list[Piece]] = []
    for _ in range(parts):
        pieces, room = [], payload
        while sequence < len(tiles) and room >= tiles[sequence] - block + OVERHEAD:
            pieces.append((sequence, block, tiles[sequence]))
            room -= tiles[sequence] - block + OVERHEAD
            sequence, block = sequence + 1, 0
        if sequence < len(tiles) and room > OVERHEAD:
            pieces.append((sequence, block, block + room - OVERHEAD))
            block += room - OVERHEAD
        dealt.append(pieces)
    assert sequence == len(tiles)
    return dealt


def starts(pieces: list[Piece]) -> list[int]:
    """Tiles and overheads that a part has behind it when it begins each of its pieces."""
    costs = [0, *(end - begin + OVERHEAD for _, begin, end in pieces)]
    return np.cumsum(costs)[: len(pieces)].tolist()


def planned_pieces(tiles: list[int], parts: int) -> dict[Piece, int]:
    """The pieces by the two numbers that say all, and how much their parts have behind them."""
    most = part_tiles(np.array(tiles), parts, OVERHEAD)
    begun = begun_tiles(np.array(tiles), most, OVERHEAD).tolist()
    pieces: dict[Piece, int] = {}
    for sequence, (count, used) in enumerate(zip(tiles, begun, strict=True)):
        cuts = [0, *range(most - used, count, most), count]
        for number, (begin, end) in enumerate(pairwise(cuts)):
            pieces[sequence, begin, end] = used if number == 0 else 0
    return pieces


BATCHES = [
    ([125] * 10, 66),
    ([138] * 9, 66),
    ([64] * 128, 132),
    ([64] * 133, 66),
    ([1024], 132),
    ([1], 66),
    ([1] * 2000, 33),
    ([3, 500, 1, 1, 70, 8, 8, 8], 26),
    (np.random.default_rng(1).integers(1, 300, 97).tolist(), 66),
]


@pytest.mark.parametrize(("tiles", "parts"), BATCHES)
def test_the_plan_is_the_published_one(tiles: list[int], parts: int) -> None:
    published = {
        piece: start
        for part in published_parts(tiles, parts)
        for piece, start in zip(part, starts(part), strict=True)
    }
    assert planned_pieces(tiles, parts) == published


@pytest.mark.parametrize(("tiles", "parts"), BATCHES)
def test_no_part_has_more_than_its_payload(tiles: list[int], parts: int) -> None:
    most = part_tiles(np.array(tiles), parts, OVERHEAD)
    for (_, begin, end), used in planned_pieces(tiles, parts).items():
        assert used + end - begin <= most
    assert len(planned_pieces(tiles, parts)) <= parts + len(tiles) - 1


def latent_units(contexts: list[int], q_heads: int = 128) -> Units:
    """CTAs of DeepSeek-V3's attention on H100: query heads share a latent row of 576 values."""
    lengths = np.array(contexts, np.int32)
    shape = Geometry(q_heads, 1, 576, 512, latent=True)
    batch = Batch("decode", shape, lengths, np.ones_like(lengths), 64, page_order="sequential")
    step = make_step(batch, 0)
    found = candidates(step, [load_profile("flashmla")], None, load_hardware("h100_sxm").spec, 4)
    return attention_units(step, found[0].cut)


def test_pieces_cover_every_token_once() -> None:
    contexts = [8000, 1, 64, 20000, 129, 4096]
    units = latent_units(contexts)
    for sequence, context in enumerate(contexts):
        mine = np.flatnonzero((units.sequence == sequence) & (units.head_group == 1))
        spans = list(zip(units.lo[mine].tolist(), units.hi[mine].tolist(), strict=True))
        assert (spans[0][0], spans[-1][1]) == (0, context)
        assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_a_first_piece_fills_what_the_sequence_before_has_left_of_its_part() -> None:
    # Two sequences of 125 tiles on 66 parts: 260 / 66 is 4 tiles a part. The first has 31 pieces of 4 and one of 1,
    # which with its overhead of 5 leaves nothing of a part: the second begins a new one.
    units = latent_units([8000] * 2)
    assert np.diff([units.lo, units.hi], axis=0)[0].tolist() == 2 * 2 * ([256] * 31 + [64])
    # Ten: 1300 / 66 is 20 a part: 6 x 20 and 5, with overhead 10, so that the second sequence begins with 10.
    units = latent_units([8000] * 10)
    second = np.flatnonzero((units.sequence == 1) & (units.head_group == 0))
    assert (units.hi - units.lo)[second].tolist() == [640, *[1280] * 5, 960]
    assert units.turn[second].tolist() == [640, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("batch", [6, 7, 10, 33, 64, 67, 132])
def test_one_wave_starts_a_piece_in_every_part_and_the_rest_in_their_turn(batch: int) -> None:
    units = latent_units([8000] * batch)
    turns = units.turn[start_order(units, "seq_head_split")]
    assert (np.diff(turns) >= 0).all()
    assert (turns == 0).sum() <= 132


def test_a_larger_batch_never_has_a_shorter_longest_part() -> None:
    longest = [part_tiles(np.full(batch, 125), 66, OVERHEAD) for batch in range(1, 200)]
    assert longest == sorted(longest)
