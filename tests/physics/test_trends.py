"""Known trends of decode attention fall out of the mechanisms, in the direction and range that measurements show."""

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.result import Result

FOUR_SMS = ("hw.sm.count=4", "hw.hbm.stacks=1", "hw.l2.capacity_mib=1", "hw.l2.slices=8")
SIXTEEN_SMS = ("hw.sm.count=16", "hw.hbm.stacks=1", "hw.l2.capacity_mib=4", "hw.l2.slices=16")


def run(
    *sets: str,
    q_heads: int = 8,
    kv_heads: int = 1,
    chip: tuple[str, ...] = SIXTEEN_SMS,
    hardware: str = "h100_sxm",
) -> Result:
    shape = (
        f"workload.model={{layers: 2, q_heads: {q_heads}, kv_heads: {kv_heads}, head_dim: 128, hidden: 512, ffn: 512,"
        " vocab: 1000, weights_g: null}"
    )
    sets = (*chip, shape, "workload.page_order=sequential", *sets)
    return simulate(load_hardware(hardware, sets).spec, load_workload("decode_16x8k", sets).spec)


def test_page_size_costs_descriptors_and_nothing_else() -> None:
    shape = ("workload.batch=16", "workload.context=2048", "workload.launch=none")
    base = ("workload.kernel=register_decode", *shape)  # takes the machine's clocks for a descriptor
    pages = {size: run(*base, f"workload.page_tokens={size}") for size in (1, 4, 16, 64, 256)}
    free = {
        size: run(*base, f"workload.page_tokens={size}", "hw.gather.engine=true", "hw.gather.engine_clk=0")
        for size in (1, 256)
    }
    times = [pages[size].time_ns for size in (1, 4, 16, 64, 256)]
    # The KV bytes are the same; the block table has 4 bytes a page.
    assert pages[1].bytes["sram_fill"] - pages[256].bytes["sram_fill"] == pytest.approx(
        16 * (2048 - 8) * 4, rel=0.1
    )
    assert times[0] > 1.1 * times[4]
    assert max(times[2:]) < 1.05 * min(times[2:])
    # Without the cost of a descriptor, single-token pages cost what the table and their bursts do.
    assert free[1].time_ns - free[256].time_ns < 0.5 * (times[0] - times[4])
    # Threads that gather (cp.async) compute an address for every row of a token, however long its page is.
    rows = [run("workload.kernel=fa2", *shape, f"workload.page_tokens={size}").time_ns for size in (1, 256)]
    assert rows[0] < 1.03 * rows[1]


def test_packing_the_heads_of_a_group_reads_kv_once_instead_of_once_per_head() -> None:
    base = ("workload.batch=4", "workload.context=4096", "workload.kernel=paged_v1")
    alone = run(*base)
    packed = run(*base[:2], "workload.kernel=fa2")
    kv = 4 * 4096 * 2 * 128 * 2
    assert alone.bytes["sram_fill"] == pytest.approx(8 * kv, rel=0.02)
    assert packed.bytes["sram_fill"] == pytest.approx(kv, rel=0.1)
    # From HBM it is read once either way: the heads of a group find it in the L2.
    assert alone.bytes["hbm_read"] == pytest.approx(packed.bytes["hbm_read"], rel=0.1)
    assert alone.time_ns > 1.5 * packed.time_ns


def test_splitting_a_lone_long_context_pays_and_splitting_a_full_grid_does_not() -> None:
    long = ("workload.kernel=fa3", "workload.batch=1", "workload.context=32768")
    whole, split = run(*long, "workload.mapping={splits: 1}"), run(*long)
    assert split.mapping["splits"] > 10
    assert whole.time_ns > 4 * split.time_ns
    full = ("workload.kernel=fa3", "workload.batch=64", "workload.context=512")
    assert run(*full).mapping["splits"] == 1
    assert run(*full, "workload.mapping={splits: 4}").time_ns > run(*full).time_ns


def test_one_cta_more_than_the_slots_costs_nearly_a_whole_wave() -> None:
    base = (
        "workload.kernel=fa3_fp8",
        "workload.kv_format=fp8_e4m3",
        "workload.context=2048",
        "workload.launch=none",
    )
    times = {
        batch: run(*base, f"workload.batch={batch}", "workload.mapping={splits: 1}", chip=FOUR_SMS).time_ns
        for batch in (3, 4, 5, 8, 9)
    }
    # The kernel is limited by its own issue slots, so a wave takes the same time however full it is.
    assert times[3] == pytest.approx(times[4], rel=0.05)
    assert times[5] - times[4] > 0.8 * (times[8] - times[4])
    assert times[8] == pytest.approx(times[5], rel=0.1)
    assert times[9] - times[8] > 0.7 * (times[8] - times[4])


def test_fp8_gains_between_0_9_and_2_times_by_kernel() -> None:
    base = ("workload.batch=32", "workload.context=4096", "workload.launch=none")
    gains = {}
    for kernel, wide, narrow in (
        ("fa3", "fa3", "fa3_fp8"),
        ("xqa", "xqa", "xqa_fp8"),
        ("flashinfer", "flashinfer", "flashinfer_fp8"),
    ):
        bf16 = run(*base, "workload.kv_format=bf16", f"workload.kernel={wide}", chip=("hw.sm.count=132",))
        fp8 = run(
            *base, "workload.kv_format=fp8_e4m3", f"workload.kernel={narrow}", chip=("hw.sm.count=132",)
        )
        gains[kernel] = bf16.time_ns / fp8.time_ns
    assert all(0.9 <= gain <= 2.05 for gain in gains.values()), gains
    # Published: XQA's direct FP8 path gains most on Hopper; FlashAttention-3 pays for its transposition of V.
    assert gains["xqa"] > gains["fa3"]


@pytest.mark.parametrize("rate", [16, 64])
def test_int4_is_limited_by_the_rate_at_which_it_is_expanded(rate: int) -> None:
    result = run(
        "workload.kernel=int4_decode",
        "workload.kv_format=int4",
        "workload.batch=8",
        "workload.context=4096",
        "workload.launch=none",
        f"hw.unpack.alu_values_per_clk.int4={rate}",
        chip=FOUR_SMS,
    )
    values = 8 * 4096 * 2 * 128
    floor_ns = values / (4 * rate) / load_hardware("h100_sxm").spec.sm.clock_ghz
    # Nothing expands faster than its pipe; a plain conversion (16 a clock) is all there is to it, LOP3 (64) is not.
    assert result.time_ns > floor_ns
    assert result.time_ns < (1.5 if rate == 16 else 4) * floor_ns
