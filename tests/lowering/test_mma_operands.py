"""Who reads MMA operands from shared memory, how often, and what that costs."""

from typing import Any

import numpy as np
import pytest

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry, Step
from sim.attention_run import Task, estimate_ns, find_mapping
from sim.clock import under_load
from sim.config.kernel_profile import HeadTile, KernelProfile
from sim.config.load import load_hardware, load_profile, load_workload
from sim.device.stage_times import StageTimes, stage_times
from sim.lowering.attention import build_attention
from sim.lowering.attention_tiles import LookUp
from sim.lowering.candidates import candidates
from sim.lowering.cut import profile_at
from sim.lowering.launch import Launch
from sim.lowering.operands import operand_reads
from sim.lowering.units import attention_units
from sim.memory.addresses import build_address_map

LOOK_UP = LookUp(software=True, assist=False, entry_bytes=4, two_level=False)
HEADS, KV_HEADS, DIM, TOKENS = 32, 8, 128, 1024
A100 = load_hardware("a100_sxm_80gb").spec


def profile_with(name: str, **changes: Any) -> KernelProfile:
    return KernelProfile.model_validate(load_profile(name).model_dump() | changes)


def prefill(profile: KernelProfile, fmt: str = "bf16") -> tuple[Launch, StageTimes]:
    geometry = Geometry(HEADS, KV_HEADS, DIM, DIM)
    lengths = np.array([TOKENS], np.int32)
    step = make_step(Batch("prefill", geometry, lengths, lengths, 16, formats=(fmt,)), 0)
    cut = candidates(step, [profile], None, A100, 4)[0].cut
    units = attention_units(step, cut)
    launch = build_attention(step, units, cut, A100, build_address_map(step, "NHD", 4), LOOK_UP)
    return launch, stage_times(launch, step.formats, A100)


def clocks(ps: float) -> float:
    return ps * A100.sm.clock_ghz / 1000


@pytest.mark.parametrize(("m_tile", "reads"), [(16, 1), (32, 2), (64, 4), (128, 4), (256, 4)])
def test_each_of_four_warps_with_rows_loads_the_tile_once(m_tile: int, reads: int) -> None:
    # A fragment has 16 rows; with more than four, a warp uses what it loaded for several.
    launch, times = prefill(
        profile_with("fa2_prefill", m_tile=m_tile, tile_tokens=[64], stages=[1], mma_operands="register")
    )
    tile = 64 * DIM * 2
    assert launch.work.sram_bytes[0] == 2 * tile * reads
    assert clocks(times.read[0]) == pytest.approx(tile * reads / 128, abs=0.01)
    assert times.qk_stall[0] == times.pv_stall[0] == 0


def test_mma_sync_has_its_share_of_the_tensor_rate_and_wgmma_all_of_it() -> None:
    slow = A100.model_copy(update={"sm": A100.sm.model_copy(update={"mma_sync_fraction": 0.5})})
    for operands, factor in (("register", 2), ("sram", 1)):
        launch, times = prefill(profile_with("fa2_prefill", m_tile=64, mma_operands=operands))
        halved = stage_times(launch, ("bf16",), slow)
        assert halved.qk[0] == pytest.approx(factor * times.qk[0], rel=1e-3)
        assert halved.pv[0] == pytest.approx(factor * times.pv[0], rel=1e-3)


@pytest.mark.parametrize(("profile", "rows"), [("xqa", 32), ("xqa_fp8", 64), ("trtllm_gen", 64)])
def test_tokens_as_rows_of_the_mma_are_read_once_for_all_queries(profile: str, rows: int) -> None:
    # Padded to 8: the queries are columns, of which one instruction takes up to 256 (PTX wgmma, tcgen05), and a warp of
    # mma.sync goes through them with the 16 tokens that it holds.
    every = np.arange(8, rows + 1, 8)
    assert operand_reads(every, load_profile(profile), A100).tolist() == [1] * len(every)


@pytest.mark.parametrize(
    ("tmem_kib", "reads"),
    [(0, [1, 1, 2, 2, 4]), (256, [1, 1, 1, 1, 2])],
    ids=["wgmma", "tcgen05"],
)
def test_an_mma_reads_its_operand_for_every_64_rows_or_128_with_tensor_memory(
    tmem_kib: int, reads: list[int]
) -> None:
    chip = A100.model_copy(update={"sm": A100.sm.model_copy(update={"tmem_kib": tmem_kib})})
    rows = np.array([16, 64, 80, 128, 256])
    assert operand_reads(rows, load_profile("fa3_prefill"), chip).tolist() == reads


def test_an_mma_that_reads_shared_memory_itself_waits_only_for_what_its_time_does_not_cover() -> None:
    # 64 rows x 64 tokens x 128: 2 x 64^2 x 128 / 2048 = 512 clk for a product, 16 KiB / 128 = 128 clk for its operand.
    launch, times = prefill(
        profile_with("fa2_prefill", m_tile=64, tile_tokens=[64], stages=[1], mma_operands="sram")
    )
    assert launch.work.sram_bytes[0] == 2 * 64 * DIM * 2
    assert times.read[0] == times.qk_stall[0] == 0
    assert clocks(times.qk[0]) == pytest.approx(512, abs=0.01)


def test_each_warp_expands_what_it_loads() -> None:
    four, _ = prefill(profile_with("fa2_prefill", m_tile=64, mma_operands="register"), "fp8_e4m3")
    once, _ = prefill(profile_with("fa2_prefill", m_tile=64, mma_operands="sram"), "fp8_e4m3")
    assert four.work.unpack_values[0] == 4 * once.work.unpack_values[0] > 0
    # It loads packed values: half the bytes of 16-bit ones.
    assert four.work.sram_bytes[0] == 4 * four.work.tokens[0] * 2 * DIM


def test_the_loads_of_two_ctas_share_the_banks_of_their_sm() -> None:
    # Eight warps of 16 rows read each tile eight times: at 64 B/clk 2 x 8 x 16 KiB / 64 B = 4,096 clk, against
    # 2 x 1,024 of MMA. The busiest unit bounds two CTAs together.
    profile = profile_with(
        "fa2_prefill", warps=8, registers_per_thread=64, tile_tokens=[64], stages=[1],
        prologue_clk=0, epilogue_clk=0, tile_issue_clk=0, barrier_clk=0, softmax_ops_per_score=0,
    )  # fmt: skip
    geometry = Geometry(HEADS, HEADS, DIM, DIM)
    one = A100.model_copy(update={"sm": A100.sm.model_copy(update={"count": 1, "sram_bytes_per_clk": 64})})
    lengths = np.array([512], np.int32)
    step = make_step(Batch("prefill", geometry, lengths, lengths, 16), 0)
    sets = ("workload.batch=1", "workload.context=512", "workload.q_len=512", "workload.kernel=fa2_prefill")
    workload = load_workload("prefill_4k", sets).spec
    task = Task(one, workload, "gqa", step, [profile])
    addresses = build_address_map(step, "NHD", 4)
    cut = find_mapping(task, addresses).candidate.cut
    launch = build_attention(step, attention_units(step, cut), cut, one, addresses, LOOK_UP)
    loads_ns = launch.work.sram_bytes.sum() / 64 / one.sm.clock_ghz
    assert cut.ctas_per_sm == 2
    assert loads_ns <= estimate_ns(task, addresses, cut) < 1.35 * loads_ns


def step_at(head_dim: int = 128, q_len: tuple[int, ...] = (1,), group: int = 8) -> Step:
    lengths = np.array(q_len, np.int32)
    return make_step(Batch("verify", Geometry(group, 1, head_dim, head_dim), lengths + 100, lengths, 16), 0)


@pytest.mark.parametrize(
    ("q_len", "group", "head_dim", "rows"),
    [
        ((1,), 8, 128, 16),
        ((4,), 8, 128, 64),
        ((9,), 8, 128, 128),
        ((9,), 8, 256, 64),
        ((1, 1, 1, 5), 8, 128, 16),
        ((1,), 32, 128, 64),
    ],
)
def test_flashinfer_takes_the_row_tile_that_holds_the_mean_of_its_rows(
    q_len: tuple[int, ...], group: int, head_dim: int, rows: int
) -> None:
    # FA2DetermineCtaTileQ: above 64 packed rows 128 (head_dim below 256), above 16 rows 64, else 16; all warps compute.
    taken = profile_at(load_profile("flashinfer"), step_at(head_dim, q_len, group))
    assert (taken.m_tile, taken.m_align) == (rows, rows)


def test_a_head_size_has_its_own_tiles_at_the_same_issue_slots_per_token() -> None:
    tiles = [HeadTile(head_dim=256, m_tile=64, tile_tokens=[32])]
    profile = profile_with("fa3", tile_tokens=[128, 64], tile_issue_clk=800.0, head_tiles=tiles)
    assert profile_at(profile, step_at(head_dim=128)) == profile
    wide = profile_at(profile, step_at(head_dim=256))
    assert (wide.m_tile, wide.tile_tokens, wide.tile_issue_clk) == (64, [32], 200.0)


def test_issue_slots_at_a_head_size_follow_the_rows_where_the_profile_says_so() -> None:
    # The generated kernels have two query tiles of 128 rows, and one at head_dim 256, where an output fills half of
    # tensor memory: 585 slots of a tile of 128 tokens are 292.5 of 64 tokens, and of half the rows 146.
    for name in ("trtllm_gen_prefill", "trtllm_gen_prefill_fp8"):
        profile = load_profile(name)
        wide = profile_at(profile, step_at(head_dim=256))
        assert (wide.m_tile, wide.tile_tokens[0]) == (profile.m_tile // 2, 64)
        assert wide.tile_issue_clk == pytest.approx(profile.tile_issue_clk / 2 / 2)


def test_a_head_size_may_state_the_issue_and_the_softmax_of_its_tiles() -> None:
    """PyTorch's FlashAttention-2 at head_dim 64: twice the tokens, 0.65 of their slots, fewer rescales."""
    profile = load_profile("sdpa_flash_prefill")
    narrow = profile_at(profile, step_at(head_dim=64))
    assert narrow.tile_tokens[0] == 2 * profile.tile_tokens[0]
    assert narrow.tile_issue_clk == pytest.approx(2 * 0.65 * profile.tile_issue_clk)
    assert profile.softmax_ops_per_score - narrow.softmax_ops_per_score == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("phase", "limit", "clock"),
    [("decode", 1.0, 1.41), ("prefill", 1.0, 1.0), ("mixed", 1.0, 1.0), ("prefill", 2.0, 1.41)],
)
def test_the_power_limit_caps_the_clock_where_the_tensor_cores_are_busy(
    phase: str, limit: float, clock: float
) -> None:
    hw = A100.model_copy(update={"sm": A100.sm.model_copy(update={"busy_clock_ghz": limit})})
    lengths = np.array([256], np.int32)
    queries = np.ones(1, np.int32) if phase == "decode" else lengths
    step = make_step(Batch(phase, Geometry(HEADS, KV_HEADS, DIM, DIM), lengths, queries, 16), 0)
    task = Task(hw, load_workload("prefill_4k").spec, "gqa", step, [])
    assert task.loaded.sm.clock_ghz == clock


@pytest.mark.parametrize(("limit", "clock"), [(None, 1.41 * 1.1), (1.5, 1.5), (1.6, 1.41 * 1.1)])
def test_a_board_boosts_beyond_its_rating_as_far_as_the_power_limit_leaves(
    limit: float | None, clock: float
) -> None:
    hw = A100.model_copy(update={"sm": A100.sm.model_copy(update={"boost": 1.1, "busy_clock_ghz": limit})})
    assert under_load(hw, "prefill").sm.clock_ghz == pytest.approx(clock)
    assert under_load(hw, "decode").sm.clock_ghz == 1.41


def test_a_kernel_may_expand_at_a_rate_of_its_own() -> None:
    # 64 tokens of 128 + 128 INT4 values, once (16 rows): 16,384 values at 8 a clock.
    plain = profile_with("int4_decode", phase=["prefill"], row_tiles=[], tile_tokens=[64], stages=[1])
    own = KernelProfile.model_validate(plain.model_dump() | {"unpack_values_per_clk": 8})
    assert clocks(prefill(own, "int4")[1].unpack[0]) == pytest.approx(2048, abs=0.01)
    chips = A100.unpack.alu_values_per_clk["int4"]
    assert clocks(prefill(plain, "int4")[1].unpack[0]) == pytest.approx(16384 / chips, abs=0.01)
