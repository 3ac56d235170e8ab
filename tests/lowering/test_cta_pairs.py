"""Pairs of CTAs that share K and V, and polynomials in place of exponentials: FlashAttention-4 on Blackwell."""

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.bounds import attention_bounds_ns, least_exp_share
from sim.coarse.contents import tile_contents
from sim.coarse.grid import attention_grid
from sim.config.kernel_profile import KernelProfile
from sim.config.load import load_hardware, load_profile
from sim.device.stage_times import stage_times
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp, cut_tiles, loaded_span
from sim.lowering.candidates import Candidate, candidates
from sim.lowering.launch import Launch
from sim.lowering.pairs import half_span, pair_end
from sim.lowering.runs import TileSpan
from sim.lowering.units import Units, attention_units
from sim.memory.addresses import build_address_map
from sim.work import step_work

B200 = load_hardware("b200").spec
NO_TABLE = LookUp(software=False, assist=False, entry_bytes=4, two_level=False)
KIB = 1024


def prompt(tokens: int, head_dim: int = 256, heads: int = 2) -> Step:
    lengths = np.array([tokens], np.int32)
    geometry = Geometry(heads, heads, head_dim, head_dim)
    return make_step(Batch("prefill", geometry, lengths, lengths, 128, formats=("bf16",)), 0)


def lowered(step: Step, profile: KernelProfile) -> tuple[Candidate, Units, Launch]:
    found = candidates(step, [profile], None, B200, 0)[0]
    units = attention_units(step, found.cut)
    launch = build_attention(step, units, found.cut, B200, build_address_map(step, "NHD", 0), NO_TABLE)
    return found, units, launch


def test_two_blocks_share_their_tiles_and_each_loads_half_of_them() -> None:
    step, profile = prompt(1024), load_profile("fa4_hd256_prefill")
    found, units, launch = lowered(step, profile)
    # 1,024 queries: 8 blocks of 128 rows, four pairs, which attend to 256, 512, 768 and 1,024 tokens: 2, 4, 6, 8 tiles.
    head = units.head == 0
    assert sorted(units.hi[head].tolist()) == [256, 256, 512, 512, 768, 768, 1024, 1024]
    assert sorted(np.diff(launch.ctas.tile_ptr)[head].tolist()) == [2, 2, 4, 4, 6, 6, 8, 8]
    # A tile is 128 tokens of 2 x 256 values of 2 B, 128 KiB, of which each of the two loads 64 KiB.
    assert set(launch.work.packed_bytes.tolist()) == {64 * KIB}
    # Each multiplies all 128 tokens with its own 128 rows.
    assert set(launch.work.qk_flops.tolist()) == {2 * 128 * 128 * 256}
    # Shared memory: two stages of half a tile, the queries, and the reserve: 193 of 228 KiB.
    assert found.footprint.stage_bytes == 64 * KIB
    assert found.footprint.sram_bytes == (2 * 64 + 64 + 1) * KIB
    tiles = cut_tiles(step, units, found.cut)
    span = loaded_span(step, units, tiles, found.cut)
    for half in (0, 1):
        mine = units.half[tiles.cta] == half
        assert ((span.hi - span.lo)[mine] == 64).all()
        assert ((span.lo - tiles.span.lo)[mine] == 64 * half).all()


def test_halves_of_an_odd_tile_make_the_whole_of_it() -> None:
    span = TileSpan(*(np.array(x) for x in ([0, 0, 0], [0, 0, 0], [5, 1, 128], [0, 0, 0])), 1)
    first, second = (half_span(span, np.full(3, half)) for half in (0, 1))
    assert (first.lo.tolist(), first.hi.tolist()) == ([0, 0, 0], [3, 1, 64])
    assert (second.lo.tolist(), second.hi.tolist()) == ([3, 0, 64], [5, 1, 128])
    # Of four blocks of 128 queries and one of 30, the last has no partner and ends where the sequence does.
    ends = pair_end(np.arange(5), 128, np.full(5, 542))
    assert ends.tolist() == [256, 256, 512, 512, 542]


def test_at_tile_grain_the_halves_are_different_data() -> None:
    step = prompt(512)
    found, units, _ = lowered(step, load_profile("fa4_hd256_prefill"))
    addresses = build_address_map(step, "NHD", 0)
    grid = attention_grid(
        step,
        units,
        found.cut,
        B200,
        lambda some: build_attention(step, some, found.cut, B200, addresses, NO_TABLE),
    )
    objects = tile_contents(step, units, grid, found.cut).objects
    # 2 heads x 4 tiles x 2 halves, 64 KiB each, are all of K and V.
    assert len(np.unique(objects)) == 16
    assert 16 * 64 * KIB == 2 * 512 * 2 * 256 * 2


def test_polynomials_relieve_the_special_function_units() -> None:
    profile = load_profile("fa4_prefill")
    step = prompt(1024, 128)
    _, _, launch = lowered(step, profile)
    # 256 x 128 scores at 16 a clock are 2,048 clk, 15% less of them 1,741, half of it for each of the two query tiles;
    # six other slots a score are 1,536 clk, under it: so the exponentials rule either way.
    times = stage_times(launch, ("bf16",), B200)
    clk = 1000 / B200.sm.clock_ghz
    assert times.exp[0] / clk == pytest.approx(0.85 * 2048 / 2, rel=1e-3)
    assert times.alu[0] == 0
    assert set(launch.work.exps.tolist()) == {round(0.85 * 256 * 128)}


def test_the_bound_of_exponentials_is_that_of_the_kernel() -> None:
    named, chosen = load_profile("fa4_prefill"), load_profile("trtllm_gen_prefill")
    work = step_work(prompt(1024, 128))
    whole = attention_bounds_ns(work, ("bf16",), B200, warm=False)["exp"]
    share = least_exp_share([named, chosen], "fa4_prefill")
    assert share == 0.85
    part = attention_bounds_ns(work, ("bf16",), B200, warm=False, exp_share=share)["exp"]
    assert part == pytest.approx(0.85 * whole)
    # `auto` does not take this kernel, so its bound is of all exponentials.
    assert least_exp_share([named, chosen], "auto") == 1
