"""GEMMs in waves of tiles or as streams of weights; every SM-instant has a cause."""

from itertools import pairwise

import pytest

from sim.config.load import load_hardware, load_model, load_runtime
from sim.launch_times import lost_share, start_ns
from sim.lowering.gemm import Gemm, gemm_format, gemm_time
from sim.lowering.layer_gemms import head, layer_gemms

HW = load_hardware("h100_sxm").spec
MODEL = load_model("llama3_8b")
RUNTIME = load_runtime("vllm")
GAP = HW.launch.graph_ns
ONE_SHAPE = RUNTIME.model_copy(update={"gemm_tiles": [(128, 256)], "split_k": [1]})


def test_a_thin_gemm_streams_its_weights() -> None:
    # One token: 4096 x 28672 weights of 2 B at 0.92 x 3353.6 GB/s are 76.1 us; the rest is latency.
    time = gemm_time(Gemm("gate_up", 1, 28672, 4096), MODEL, HW, RUNTIME, GAP)
    latency = time.latency_ns / HW.sm.count
    assert time.time_ns == pytest.approx(234.9e6 / (0.92 * 3353.6) + latency, rel=0.01)
    assert latency < 2000


@pytest.mark.parametrize(
    ("hardware", "expected_gb_s"),
    [
        # 2039 GB/s, 3% for others, 350 of 3900 ns for refresh of all banks; 1730 read of 1 GB and more (RRZE-HPC).
        ("a100_sxm_80gb", 2039 * 0.97 * (1 - 350 / 3900)),
        # A check bit's access for every 512 B, and what decode kernels show that others take.
        ("l40s", 864 / (1 + 32 / 512) * (1 - 0.1435)),
        # 92% of the peak, where the memory gives 93.4.
        ("h100_sxm", 0.92 * 3353.6),
    ],
)
def test_weights_stream_no_faster_than_the_memory_of_the_chip(hardware: str, expected_gb_s: float) -> None:
    hw = load_hardware(hardware).spec
    time = gemm_time(Gemm("a", 1, 65536, 16384), MODEL, hw, RUNTIME, 0.0)
    streamed = 2 * 65536 * 16384 / (time.time_ns - time.latency_ns / hw.sm.count)
    assert streamed == pytest.approx(expected_gb_s, rel=2e-3)


def test_one_tile_more_than_a_wave_takes_a_second_wave() -> None:
    # 11 x 12 = 132 tiles are one wave of 132 SMs, 7 x 19 = 133 are two; K is long enough that memory keeps up.
    full = gemm_time(Gemm("a", 128 * 11, 256 * 12, 16384), MODEL, HW, ONE_SHAPE, GAP)
    more = gemm_time(Gemm("b", 128 * 7, 256 * 19, 16384), MODEL, HW, ONE_SHAPE, GAP)
    latency = full.latency_ns / HW.sm.count
    assert more.time_ns - latency == pytest.approx(2 * (full.time_ns - latency))
    # 131 of 132 SMs idle through the second wave.
    assert full.idle_ns == 0
    assert more.idle_ns == pytest.approx(131 * (full.time_ns - latency))


def test_a_wave_lasts_as_long_as_its_tile_on_the_tensor_cores_that_are_reached() -> None:
    # 2 x 128 x 256 x 16384 FLOP at 4096 per clock and 0.8 of it.
    full = gemm_time(Gemm("a", 128 * 11, 256 * 12, 16384), MODEL, HW, ONE_SHAPE, GAP)
    clocks = 2 * 128 * 256 * 16384 / HW.sm.tensor_flop_per_clk["fp16"]
    assert full.tensor_ns == pytest.approx(132 * clocks / HW.sm.clock_ghz)
    assert full.issue_ns == pytest.approx(full.tensor_ns * (1 / 0.8 - 1))


def test_small_tiles_wait_for_their_operands() -> None:
    # 16 x 16 per CTA of depth 64: 4 KB at 64 B per clock against 8 clocks of MMA.
    small = RUNTIME.model_copy(update={"gemm_tiles": [(16, 16)], "split_k": [1]})
    time = gemm_time(Gemm("a", 2048, 2048, 4096), MODEL, HW, small, GAP)
    assert time.noc_ns > 5 * time.tensor_ns
    assert time.time_ns > 3 * gemm_time(Gemm("a", 2048, 2048, 4096), MODEL, HW, RUNTIME, GAP).time_ns


def test_a_split_is_summed_by_a_kernel_of_its_own() -> None:
    narrow = Gemm("a", 16, 1024, 8192)
    shapes = RUNTIME.model_copy(update={"gemm_tiles": [(16, 64)], "split_k": [4]})
    times = {gap: gemm_time(narrow, MODEL, HW, shapes, gap) for gap in (0.0, 1000.0)}
    assert times[1000.0].time_ns - times[0.0].time_ns == pytest.approx(1000)
    assert times[1000.0].launch_ns == 1000 * HW.sm.count
    # Where a launch costs more than it saves the depth is not split.
    assert gemm_time(narrow, MODEL, HW, RUNTIME, 0).split > 1
    assert gemm_time(narrow, MODEL, HW, RUNTIME, 1e6).split == 1


@pytest.mark.parametrize(
    ("rows", "columns", "depth", "measured_us"),
    [
        (2, 7168, 64, 2.13),
        (64, 32, 3584, 4.59),
        (2, 128, 2560, 4.58),
        (81, 2048, 3072, 6.28),
        (16, 2048, 7168, 9.28),
        (10, 65536, 1536, 31.4),
        (128, 5120, 10240, 21.3),
        (257, 12288, 10240, 51.0),
        (1537, 7168, 1024, 17.2),
        (16384, 3584, 65536, 4573),
    ],
)
def test_published_products_of_b200_come_out(rows: int, columns: int, depth: int, measured_us: float) -> None:
    """vLLM 0.20, 16 bit, in a graph of five sets of weights in turn (NVIDIA AIConfigurator, database and
    collector/vllm/collect_gemm.py); nothing was fitted to them. Without the kernel that sums a split's parts the
    second took 2.6 us."""
    hw = load_hardware("b200").spec
    gap = hw.launch.graph_ns + start_ns(hw, lost_share(5 * 2 * columns * depth, hw))
    time = gemm_time(Gemm("a", rows, columns, depth), MODEL, hw, RUNTIME, gap)
    assert (time.time_ns + gap) / 1e3 == pytest.approx(measured_us, rel=0.2)


@pytest.mark.parametrize(
    ("tokens", "measured_us"), [(4, 355), (8, 682), (16, 1310), (32, 1922), (64, 1963), (128, 2075)]
)
def test_published_products_of_experts_come_out(tokens: int, measured_us: float) -> None:
    """vLLM 0.20 fused_moe on H200 (NVIDIA AIConfigurator database): 512 experts of 4096 x 672 in 16 bit, 22 for each
    token, no two tokens with one in common while there are others; nothing was fitted to them. It sorts and sums
    besides, some 25 us a layer, which is not simulated."""
    hw = load_hardware("h200_sxm").spec
    rows = 22 * tokens
    groups = min(512, rows)
    gap = hw.launch.graph_ns
    shapes = ((2 * 672, 4096), (4096, 672))
    grouped = [Gemm("experts", -(-rows // groups), n, k, groups=groups, rows_in_all=rows) for n, k in shapes]
    times = [gemm_time(gemm, MODEL, hw, RUNTIME, gap).time_ns + gap for gemm in grouped]
    assert sum(times) / 1e3 + 25 == pytest.approx(measured_us, rel=0.08)


def test_splitting_the_depth_lets_more_sms_stream_a_narrow_gemm() -> None:
    # 2048 columns are 8 tiles of 256: 8 SMs cannot draw the whole memory bandwidth.
    narrow = Gemm("narrow", 1, 2048, 65536)
    whole = gemm_time(narrow, MODEL, HW, ONE_SHAPE, GAP)
    split = gemm_time(narrow, MODEL, HW, ONE_SHAPE.model_copy(update={"split_k": [1, 8]}), GAP)
    assert split.split == 8
    assert split.time_ns < whole.time_ns / 2


@pytest.mark.parametrize("tokens", [1, 64, 500, 8192])
@pytest.mark.parametrize("parallel", [1, 8])
def test_the_sm_time_of_a_gemm_is_covered_by_its_causes(tokens: int, parallel: int) -> None:
    for gemm in [*(g for g, _ in layer_gemms(MODEL, tokens, parallel)), head(MODEL, tokens, parallel)]:
        t = gemm_time(gemm, MODEL, HW, RUNTIME, GAP)
        loop = t.tensor_ns + t.issue_ns + t.noc_ns + t.idle_ns
        causes = loop + t.hbm_ns + t.l2_ns + t.launch_ns + t.latency_ns
        assert causes == pytest.approx(t.time_ns * HW.sm.count, rel=1e-12)
        assert min(t.issue_ns, t.noc_ns, t.idle_ns, t.hbm_ns, t.l2_ns) >= 0


@pytest.mark.parametrize(
    ("hardware", "low", "high"), [("h100_sxm", 0.66, 0.80), ("a100_sxm_80gb", 0.66, 0.88)]
)
def test_a_large_gemm_reaches_what_libraries_reach(hardware: str, low: float, high: float) -> None:
    # Published: 780 TFLOP/s of 989 on H100 SXM for 4224 x 2048 x 8192, whole waves of 132 SMs.
    hw = load_hardware(hardware).spec
    time = gemm_time(Gemm("large", 4224, 2048, 8192), MODEL, hw, RUNTIME, GAP)
    peak = hw.sm.count * hw.sm.clock_ghz * hw.sm.tensor_flop_per_clk["fp16"]
    assert low < time.flops / time.time_ns / peak < high


def test_products_of_one_launch_share_the_waves() -> None:
    # Twelve products of 11 tiles each are the one wave that a product of 132 tiles is; each reads rows of its own.
    one = gemm_time(Gemm("a", 128 * 11, 256 * 12, 16384), MODEL, HW, ONE_SHAPE, GAP)
    many = gemm_time(Gemm("b", 128 * 11, 256, 16384, groups=12), MODEL, HW, ONE_SHAPE, GAP)
    assert many.tensor_ns == pytest.approx(one.tensor_ns)
    assert many.flops == one.flops
    assert many.bytes - one.bytes == 11 * 2 * 128 * 11 * 16384


@pytest.mark.parametrize(
    ("weight_bytes", "named", "chip", "expected"),
    [
        (2, None, "h100_sxm", "fp16"),
        (1, None, "h100_sxm", "fp8"),
        (1, None, "a100_sxm_80gb", "fp16"),
        (0.5, None, "h100_sxm", "fp16"),
        (0.5625, "fp4", "b200", "fp4"),
        (0.5625, "fp4", "h100_sxm", "fp16"),
        (1, "int8", "a100_sxm_80gb", "int8"),
    ],
)
def test_weights_narrower_than_a_byte_are_expanded_unless_the_model_says_otherwise(
    weight_bytes: float, named: str | None, chip: str, expected: str
) -> None:
    model = MODEL.model_copy(update={"weight_bytes": weight_bytes, "gemm_format": named})
    assert gemm_format(model, load_hardware(chip).spec) == expected


def test_fp8_products_read_activations_of_one_byte_and_write_16_bit() -> None:
    model = MODEL.model_copy(update={"weight_bytes": 1})
    time = gemm_time(Gemm("a", 4096, 4096, 8192), model, HW, RUNTIME, GAP)
    assert time.bytes == 4096 * 8192 + 4096 * 8192 + 2 * 4096 * 4096


@pytest.mark.parametrize("hardware", ["h100_sxm", "b200", "mi300x"])
@pytest.mark.parametrize("parallel", [1, 8])
def test_a_token_more_makes_the_gemms_of_a_layer_no_faster(hardware: str, parallel: int) -> None:
    # A second row tile reads the weights that the first one reads: it puts no further bytes under way.
    hw = load_hardware(hardware).spec

    def layer_ns(tokens: int) -> float:
        return sum(
            gemm_time(g, MODEL, hw, RUNTIME, GAP).time_ns for g, _ in layer_gemms(MODEL, tokens, parallel)
        )

    times = [layer_ns(tokens) for tokens in (1, 16, 17, 32, 33, 64, 65, 128, 129, 512, 513, 4096)]
    for before, after in pairwise(times):
        assert after > 0.98 * before


def test_a_cluster_shares_weights_between_row_tiles_and_activations_within_one() -> None:
    # Two CTAs: 16 rows are one row tile, 32 rows of 16 are two.
    shapes = RUNTIME.model_copy(update={"gemm_tiles": [(16, 128)], "split_k": [1]})
    single = gemm_time(Gemm("a", 16, 4096, 4096), MODEL, HW, shapes, GAP)
    assert single.fill_bytes == pytest.approx(32 * 64 * (16 * 64 * 2 / 2 + 128 * 64 * 2), rel=0.01)
    double = gemm_time(Gemm("a", 32, 4096, 4096), MODEL, HW, shapes, GAP)
    assert double.fill_bytes == pytest.approx(2 * 32 * 64 * (16 * 64 * 2 + 128 * 64 * 2 / 2), rel=0.01)


@pytest.mark.parametrize(("hardware", "values"), [("h100_sxm", 128 + 256 / 2), ("a100_sxm_80gb", 128 + 256)])
def test_of_tiles_as_fast_as_each_other_the_one_that_reads_l2_least_is_taken(
    hardware: str, values: float
) -> None:
    """128 x 256 as cuBLAS has it: of each step of 64 the 16-bit rows, and the columns, which a pair of Hopper's CTAs
    fetches once. Smaller tiles, as fast, had read 1.5 and 2 times as much: 97 and 100% of the peak of L2."""
    hw = load_hardware(hardware).spec
    time = gemm_time(Gemm("square", 8192, 8192, 8192), MODEL, hw, RUNTIME, GAP)
    assert time.fill_bytes == (8192 // 128) * (8192 // 256) * 8192 * 2 * values
    assert time.fill_bytes / time.time_ns < 0.8 * hw.l2.bandwidth_gb_s


def test_weights_of_a_thin_product_pass_l2_once() -> None:
    """64 rows are one block of every tile, and two CTAs share them: 64 / 2 of 256 + 64 / 2 values are not weights."""
    time = gemm_time(Gemm("gate_up", 64, 57344, 8192), MODEL, HW, RUNTIME, GAP)
    assert time.fill_bytes == pytest.approx(2 * 57344 * 8192 * (256 + 64 / 2) / 256)
