"""The rest of a step: pointwise kernels, all-reduces, and all of it together."""

import math
import sys
from typing import Any

import pytest

from sim.accounting import TOLERANCE
from sim.causes import CAUSES
from sim.clock import under_load
from sim.config.catalog import shipped
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_model, load_runtime, load_workload, model_of
from sim.config.runtime import AllReduce, Pointwise, Runtime
from sim.errors import InputError
from sim.finish import utilisation
from sim.kernel_report import KernelReport, joined
from sim.launch_times import lost_share, start_ns
from sim.layer import report_around, report_collectives
from sim.lowering.collective import all_reduce_bound_ns, all_reduce_ns
from sim.lowering.pointwise import pointwise_time, times_run

HW, A100 = (load_hardware(name).spec for name in ("h100_sxm", "a100_sxm_80gb"))
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


def test_memory_without_latency_saves_a_step_its_waits_for_code_and_for_first_bytes() -> None:
    # 291 kernels fetch code in 4.5 trips, each 113 ns of controller, 32 of a row and column and 1.5 of a burst; four
    # products a layer and the head wait for first bytes, behind the controller.
    workload = load_workload("step_llama3_8b", ("workload.batch=1",)).spec
    runtime = load_runtime("vllm")
    slow, ideal = (
        sum(part.time_ns for part in report_around(1, 1, MODEL, workload, HW, runtime, zero_latency=zero))
        for zero in (False, True)
    )
    assert slow - ideal == pytest.approx(291 * 4.5 * 146.4 + 129 * 113, rel=0.02)


def test_a_shared_vocabulary_is_summed_once_and_its_logits_are_gathered() -> None:
    """Eight devices, 256 tokens of Llama-3-8B: 65 all-reduces, and 7/8 of 256 x 128,256 logits of 16 bit, 57 MB at 65%
    of 450 GB/s and seven hops, some 200 us, which one device alone does not wait for."""
    runtime, link = load_runtime("vllm"), HW.link
    alone = load_workload("step_llama3_8b").spec
    assert report_collectives(256, 256, MODEL, alone, HW, runtime, 1000.0) == []
    shared = alone.model_copy(update={"tensor_parallel": 8})
    reduces, gather = report_collectives(256, 256, MODEL, shared, HW, runtime, 1000.0)
    one = all_reduce_ns(256 * 4096 * 2, 8, HW, runtime.all_reduce)
    assert reduces.time_ns == pytest.approx((2 * 32 + 1) * (1000 + one))
    assert link is not None
    logits = 7 / 8 * 256 * 128256 * 2
    assert gather.time_ns == pytest.approx(1000 + logits / (0.65 * 450) + 7 * link.latency_ns)
    assert gather.bounds_ns["link"] == pytest.approx(logits / 450)


def test_devices_without_a_link_share_no_step() -> None:
    alone = HW.model_copy(update={"link": None})
    assert all_reduce_ns(2**20, 1, alone, RULE) == 0
    with pytest.raises(InputError, match=r"found 2 in a step; .* h100_sxm has no link"):
        all_reduce_ns(2**20, 2, alone, RULE)


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
    # The head in 16 bit beside GEMMs in FP8: the share is each one's FLOPs over its own rate.
    sets = (f"workload.model={{base: llama3_8b, weight_bytes: {weight_bytes}}}", "workload.q_len=64")
    report = around("step_llama3_8b", "h100_sxm", None, *sets)
    used = utilisation(report, HW)["tensor"]
    rate = HW.sm.tensor_flop_per_clk
    head = 2 * 32 * 128256 * 4096
    layers = report.operations.tensor_flops - head
    clocks = report.time_ns * HW.sm.clock_ghz * HW.sm.count
    expected = layers / rate["fp8" if weight_bytes == 1 else "fp16"] + head / rate["fp16"]
    assert used == pytest.approx(expected / clocks)
    assert report.bounds_ns["tensor"] / report.time_ns == pytest.approx(used)


def test_quantised_weights_leave_the_head_in_16_bit() -> None:
    # FP8 halves the 6.98 x 10^9 weights of the layers, not the 0.525 x 10^9 of the head; four bits with a scale of 16
    # bit for 128 of them are 0.516 B.
    layers, head = 32 * (4096 * (4096 + 2048) + 4096 * 4096 + 3 * 4096 * 14336), 128256 * 4096
    for weight_bytes in (2, 1, 0.516):
        sets = (f"workload.model={{base: llama3_8b, weight_bytes: {weight_bytes}}}", "workload.batch=1")
        bound = around("step_llama3_8b", "h100_sxm", None, *sets).bounds_ns["hbm"]
        assert bound == pytest.approx((layers * weight_bytes + 2 * head) / 3353.6, rel=1e-4)


def test_a_model_runs_the_kernels_that_its_parts_need() -> None:
    names = (
        "rotary_embedding",
        "gated_rms_norm",
        "silu_and_mul",
        "qk_norm",
        "latent_norm",
        "moe_sum",
        "add_shared",
        "quantise_output",
        "quantise_routed",
        "embedding",
    )
    kernels = {k.name: k for k in load_runtime("vllm").pointwise}
    expected = {
        "llama3_8b": (32, 0, 32, 0, 0, 0, 0, 0, 0, 1),
        "qwen3_32b": (64, 0, 64, 64, 0, 0, 0, 0, 0, 1),
        # 61 layers of latent attention, two norms each; experts in 58 of them, two products each; FP8.
        "deepseek_v3": (61, 0, 61, 0, 122, 58, 58, 61, 116, 1),
        # Attention in every eighth of 32 layers, a block in all; none in Mamba's 64.
        "jamba_like": (4, 28, 32, 0, 0, 16, 0, 0, 0, 1),
        "mamba2_2p7b": (0, 64, 0, 0, 0, 0, 0, 0, 0, 1),
    }
    for model, times in expected.items():
        assert tuple(times_run(kernels[name], load_model(model), HW) for name in names) == times
    # No FP8 products on A100: nothing is quantised.
    assert times_run(kernels["quantise_output"], load_model("deepseek_v3"), A100) == 0


def test_outputs_of_experts_are_summed_from_all_that_a_token_passes() -> None:
    # 8 experts give 7168 values of 2 B each to a token; the sum is one such row.
    kernel = next(k for k in load_runtime("vllm").pointwise if k.name == "moe_sum")
    moved = pointwise_time(kernel, 64, load_model("deepseek_v3"), 8, HW)
    assert (moved.read, moved.written) == (64 * 8 * 7168 * 2, 64 * 7168 * 2)


def test_kernels_wait_for_code_that_the_weights_of_a_layer_have_pushed_out_of_l2() -> None:
    """4.5 trips of 291 ns to memory on H100: 343 to 349 ns of a chase, less 43.5 for the far half of L2 and 5 for a
    page."""
    assert start_ns(HW, 1.0) == pytest.approx(4.5 * 291, rel=0.02)
    # Llama-3-8B: 436 MB a layer, 50 MiB of L2. Its 32 layers launch four GEMMs, two norms and three more kernels, the
    # step a head, an embedding and a norm beside.
    workload = load_workload("step_llama3_8b", ("workload.batch=1",)).spec
    small = HW.model_copy(update={"l2": HW.l2.model_copy(update={"capacity_mib": 4096})})
    parts = [report_around(1, 1, MODEL, workload, hw, load_runtime("vllm")) for hw in (HW, small)]
    times = [sum(part.time_ns for part in found) for found in parts]
    assert times[0] - times[1] == pytest.approx((32 * 9 + 3) * start_ns(HW, 1.0), rel=1e-9)


def test_what_attention_reads_pushes_code_out_too() -> None:
    # Llama-2-7B on 16 devices: 25 MB of weights a layer fit 40 MiB; with 30 MB of KV they do not.
    workload = load_workload("step_llama3_8b", ("workload.batch=1", "workload.tensor_parallel=16")).spec
    model, whole = load_model("llama2_7b"), load_runtime("vllm").model_copy(update={"split_k": [1]})
    times = [
        sum(part.time_ns for part in report_around(1, 1, model, workload, A100, whole, kv))
        for kv in (0, 30e6)
    ]
    # Nine kernels and two all-reduces a layer; three kernels, an all-reduce and a gathering a step.
    assert times[1] - times[0] == pytest.approx((32 * 11 + 5) * start_ns(A100, 1.0), rel=1e-9)


def test_random_replacement_keeps_a_share() -> None:
    def l2(policy: str) -> Hardware:
        whole = HW.l2.model_copy(
            update={"replacement": policy, "effective_fraction": 1.0, "capacity_mib": 50}
        )
        return HW.model_copy(update={"l2": whole})

    assert [lost_share(size * 2**20, l2("lru")) for size in (49, 51)] == [0, 1]
    assert lost_share(50 * 2**20, l2("random")) == pytest.approx(1 - 1 / math.e)


def test_a_long_prefill_step_runs_at_the_clock_that_sustained_products_leave() -> None:
    # 1530 MHz after ten products of 8192 rows on H100 (validation/gpu, gemm); a kernel alone and decode keep theirs.
    assert under_load(HW, "prefill", step=True).sm.clock_ghz == 1.53
    assert under_load(HW, "prefill").sm.clock_ghz == under_load(HW, "decode", step=True).sm.clock_ghz == 1.83


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
    "pointwise.only": ["experts"],
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


def test_the_rest_of_a_step_is_cheap_to_build() -> None:
    around("step_llama3_70b_tp8")
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        around("step_llama3_70b_tp8")
    finally:
        sys.setprofile(before)
    # Calls and not seconds, which a busy machine decides: 34,000 with the YAML of five files, about 40 ms. A
    # step at sampled fidelity has a second.
    assert calls < 100_000
