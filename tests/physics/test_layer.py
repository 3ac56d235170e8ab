"""The rest of a step: pointwise kernels, all-reduces, and all of it together."""

import time
from typing import Any

import pytest

from sim.accounting import TOLERANCE
from sim.causes import CAUSES
from sim.config.catalog import shipped
from sim.config.load import load_hardware, load_model, load_runtime, load_workload, model_of
from sim.config.runtime import AllReduce, Pointwise, Runtime
from sim.finish import utilisation
from sim.kernel_report import KernelReport, joined
from sim.layer import report_around
from sim.lowering.collective import all_reduce_bound_ns, all_reduce_ns
from sim.lowering.pointwise import pointwise_time

HW = load_hardware("h100_sxm").spec
MODEL = load_model("llama3_8b")
RULE = AllReduce(one_shot_kib=2048, two_shot_kib=8192, link_fraction=0.8)
NORM = Pointwise(name="norm", reads={"hidden": 2}, writes={"hidden": 2}, round_trips=2)


def around(
    workload: str, hardware: str = "h100_sxm", runtime: Runtime | None = None, *sets: str
) -> KernelReport:
    spec = load_workload(workload, sets).spec
    tokens = spec.batch * spec.q_len
    rest = runtime or load_runtime("vllm")
    return joined(
        report_around(tokens, spec.batch, model_of(spec), spec, load_hardware(hardware).spec, rest), {}
    )


def test_a_norm_of_one_token_is_three_trips_to_l2_and_of_many_tokens_a_stream() -> None:
    one = pointwise_time(NORM, 1, MODEL, 1, HW)
    trip = 2 * HW.noc.latency_ns + HW.l2.latency_ns
    assert one.trips_ns == HW.launch.cta_ns + 3 * trip
    assert one.move_ns < one.trips_ns
    # 65536 tokens x 4 x 4096 x 2 B do not fit L2: memory's rate.
    many = pointwise_time(NORM, 65536, MODEL, 1, HW)
    assert many.memory
    assert many.move_ns == pytest.approx(
        65536 * 4 * 4096 * 2 / (3353.6 * (1 - HW.hbm.busy_fraction)), rel=1e-3
    )


def test_ctas_of_many_tokens_take_turns() -> None:
    # 132 SMs hold two CTAs each: 26,400 tokens are 100 turns of a start and three trips.
    still = Pointwise(name="reduce", round_trips=2)
    trip = 2 * HW.noc.latency_ns + HW.l2.latency_ns
    time = pointwise_time(still, 26_400, MODEL, 1, HW).time_ns
    assert time == pytest.approx(100 * (HW.launch.cta_ns + 3 * trip))
    assert pointwise_time(still, 264, MODEL, 1, HW).time_ns == pytest.approx(time / 100)


def test_a_kernel_that_computes_longer_than_it_moves_takes_its_clocks_on_all_sms() -> None:
    # 4096 tokens of 32 heads of 128 values, half a clock each, on 132 SMs; moving them takes less.
    turned = Pointwise(name="rotary", reads={"q": 1}, writes={"q": 1}, clocks={"q": 0.5})
    expected = 4096 * 32 * 128 * 0.5 / (132 * HW.sm.clock_ghz)
    assert pointwise_time(turned, 4096, MODEL, 1, HW).move_ns == pytest.approx(expected)
    light = turned.model_copy(update={"clocks": {"q": 1e-3}})
    free = turned.model_copy(update={"clocks": {}})
    assert pointwise_time(light, 4096, MODEL, 1, HW) == pointwise_time(free, 4096, MODEL, 1, HW)


def test_values_that_others_push_out_of_l2_come_from_memory() -> None:
    small = pointwise_time(NORM, 64, MODEL, 1, HW)
    assert not small.memory
    assert pointwise_time(NORM, 64, MODEL, 1, HW, touched_bytes=10**9).memory


def test_tensor_parallelism_divides_activations_but_not_the_residual_stream() -> None:
    silu = Pointwise(name="silu", reads={"ffn": 2}, writes={"ffn": 1})
    assert pointwise_time(silu, 64, MODEL, 8, HW).read == 64 * 2 * 2 * MODEL.ffn // 8
    assert pointwise_time(NORM, 64, MODEL, 8, HW).read == pointwise_time(NORM, 64, MODEL, 1, HW).read


def test_new_tokens_are_written_to_the_cache_as_it_stores_them() -> None:
    # 8 KV heads of 128 + 128 values: 4096 B in 16 bit; in FP8 half, in INT4 a quarter and a scale of 4 B for every 32.
    append = Pointwise(name="append", reads={"kv": 1}, writes={"cache": 1})
    for fmt, size in (("fp16", 4096), ("fp8_e4m3", 2048), ("int4", 1024 + 8 * 2 * 4 * 4)):
        moved = pointwise_time(append, 64, MODEL, 1, HW, fmt)
        assert (moved.read, moved.written) == (64 * 4096, 64 * size)


@pytest.mark.parametrize("kept", ["fp8_e4m3", "{hot: fp8_e4m3, cold: int4, hot_tokens: 64}"])
def test_a_step_appends_in_the_format_of_new_tokens(kept: str) -> None:
    # Of 32 layers and 32 new tokens of 8 heads, K and V of 128 values each: one byte a value less than in 16 bit.
    written = [
        around("step_llama3_8b", "h100_sxm", None, f"workload.kv_format={fmt}").bytes["l2_write"]
        for fmt in ("fp16", kept)
    ]
    assert written[0] - written[1] == 32 * 32 * 8 * 2 * 128


def test_small_buffers_are_reduced_in_one_shot_larger_in_two_and_the_largest_in_a_ring() -> None:
    rate, hop = 450 * 0.8, HW.link.latency_ns if HW.link else 0
    # 8 devices: 256 KiB one shot, 8 MiB two shots.
    assert all_reduce_ns(2**18, 8, HW, RULE) == pytest.approx(7 * 2**18 / rate + 4 * hop)
    assert all_reduce_ns(2**18 + 2, 8, HW, RULE) == pytest.approx(14 / 8 * (2**18 + 2) / rate + 7 * hop)
    assert all_reduce_ns(2**24, 8, HW, RULE) == pytest.approx(14 / 8 * 2**24 / rate + 14 * hop)
    assert all_reduce_ns(2**24, 1, HW, RULE) == 0
    for size in (1, 2**18, 2**20, 2**24):
        assert all_reduce_ns(size, 8, HW, RULE) >= all_reduce_bound_ns(size, 8, HW)


@pytest.mark.parametrize(
    ("hardware", "devices", "size", "measured_us"),
    [
        ("h200_sxm", 8, 2**13, 5.02),
        ("h200_sxm", 8, 2**17, 8.0),
        ("h200_sxm", 8, 2**21, 18.4),
        ("h200_sxm", 8, 2**23, 48.6),
        ("h200_sxm", 4, 2**21, 17.7),
        ("a100_sxm_80gb", 4, 2**16, 6.45),
        ("a100_sxm_80gb", 4, 2**21, 26.2),
        ("a100_sxm_80gb", 8, 2**22, 45.5),
        ("b200", 4, 2**15, 7.45),
        ("b200", 8, 2**17, 9.46),
    ],
)
def test_published_all_reduces_of_other_sizes_than_the_fitted_come_out(
    hardware: str, devices: int, size: int, measured_us: float
) -> None:
    """vLLM's own all-reduce in a graph (NVIDIA AIConfigurator database, vLLM 0.20); a hop was fitted to 256 bytes on
    two devices. A hop of 700 ns everywhere gave 5.0 us for the last."""
    hw = load_hardware(hardware).spec
    start = hw.launch.graph_ns + hw.launch.cta_ns
    time = all_reduce_ns(size, devices, hw, load_runtime("vllm").all_reduce)
    assert (start + time) / 1e3 == pytest.approx(measured_us, rel=0.2)


@pytest.mark.parametrize("hardware", ["h100_sxm", "a100_sxm_80gb", "b200", "mi300x", "l4"])
@pytest.mark.parametrize("workload", [n for n in shipped("workload") if "step" in n])
def test_every_sm_instant_of_the_rest_of_a_step_has_a_cause_and_no_bound_is_beaten(
    workload: str, hardware: str
) -> None:
    report = around(workload, hardware)
    sms = load_hardware(hardware).spec.sm.count
    assert sum(report.account.values()) == pytest.approx(sms * report.time_ns, rel=TOLERANCE)
    assert set(report.account) == set(CAUSES)
    assert all(value >= 0 for value in report.account.values())
    assert max(report.bounds_ns.values()) <= report.time_ns
    assert report.bytes["l2_hit"] + report.bytes["l2_miss"] == report.bytes["l2_read"]


@pytest.mark.parametrize("weight_bytes", [1, 2])
def test_the_tensor_cores_are_used_at_the_rate_of_each_product(weight_bytes: int) -> None:
    # Attention in 16 bit beside GEMMs in FP8: the share is each one's FLOPs over its own rate.
    sets = (f"workload.model={{base: llama3_8b, weight_bytes: {weight_bytes}}}", "workload.q_len=64")
    report = around("step_llama3_8b", "h100_sxm", None, *sets)
    used = utilisation(report, HW)["tensor"]
    rate = HW.sm.tensor_flop_per_clk["fp8" if weight_bytes == 1 else "fp16"]
    clocks = report.time_ns * HW.sm.clock_ghz * HW.sm.count
    assert used == pytest.approx(report.operations.tensor_flops / rate / clocks)
    assert report.bounds_ns["tensor"] / report.time_ns == pytest.approx(used)


def test_a_runtime_that_fuses_nothing_takes_longer() -> None:
    assert (
        around("step_llama3_8b", "h100_sxm", load_runtime("eager")).time_ns
        > 1.1 * around("step_llama3_8b").time_ns
    )


CHANGES: dict[str, Any] = {
    "gemm_tiles": [(64, 64)],
    "k_step": 96,
    "split_k": [1],
    "cluster": 1,
    "tensor_fraction": 0.4,
    "stream_fraction": 0.5,
    "pointwise": [NORM],
    "all_reduce.one_shot_kib": 1e-3,
    "all_reduce.two_shot_kib": 1e-3,
    "all_reduce.link_fraction": 0.2,
    "pointwise.count": 4,
    "pointwise.reads": {"ffn": 8},
    "pointwise.writes": {"q": 8},
    "pointwise.clocks": {"q": 8},
    "pointwise.round_trips": 5,
    "pointwise.per": "step",
}


@pytest.mark.parametrize("key", CHANGES)
def test_every_key_of_a_runtime_moves_the_time_of_a_step(key: str) -> None:
    base = load_runtime("vllm")
    section, _, inner = key.partition(".")
    value = CHANGES[key]
    if inner:
        old = getattr(base, section)
        value = (
            [old[0].model_copy(update={inner: value}), *old[1:]]
            if isinstance(old, list)
            else old.model_copy(update={inner: value})
        )
    changed = base.model_copy(update={section: value})
    # 512 tokens on 8 devices: 8 MiB all-reduces, and GEMMs that compute as long as they stream.
    sets = ("workload.q_len=8", "workload.tensor_parallel=8")
    if key == "all_reduce.one_shot_kib":
        sets = ("workload.batch=4", "workload.tensor_parallel=8")
    before, after = (around("step_llama3_70b_tp8", "h100_sxm", runtime, *sets) for runtime in (base, changed))
    assert before.time_ns != after.time_ns


@pytest.mark.parametrize("name", shipped("runtime"))
def test_every_number_of_a_runtime_has_a_source(name: str) -> None:
    runtime = load_runtime(name)
    needed = {
        "cluster",
        "gemm_tiles",
        "k_step",
        "split_k",
        "tensor_fraction",
        "stream_fraction",
        "pointwise",
        "all_reduce",
    }
    assert set(runtime.sources) == needed
    assert runtime.name == name


def test_the_rest_of_a_step_costs_milliseconds_to_build() -> None:
    around("step_llama3_70b_tp8")
    started = time.process_time()
    for _ in range(5):
        around("step_llama3_70b_tp8")
    # 3 ms each on the machine of the benchmarks, YAML included; a step at sampled fidelity has a second.
    assert time.process_time() - started < 5 * 0.05
