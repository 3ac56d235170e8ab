"""The shipped tables of names: what each name means, and that every kernel rule can run what it is given."""

from dataclasses import replace
from itertools import product

import pytest

from sim.config.catalog import shipped
from sim.config.load import load_hardware, load_profile
from sim.memory.peaks import peak_gb_s
from sim.validation.names import KernelName, Recognised, recognise, shipped_names
from tests.validation.rows import ROW, mapped_row

TRT = "TRT-LLM attention (XQA / TRT-LLM gen)"
ENGINE = {"none": 0, "load": 0, "cp_async": 1, "tma": 2}


def found(**cells: object) -> Recognised:
    meaning = recognise(replace(ROW, **cells), shipped_names())
    assert isinstance(meaning, Recognised), meaning
    return meaning


@pytest.mark.parametrize(
    ("gpu", "hw", "arch"),
    [
        ("A100-SXM4-80GB", "a100_sxm_80gb", "ampere"),
        ("A100-PCIe-40GB", "a100_sxm_40gb", "ampere"),
        ("H100-SXM5-80GB", "h100_sxm", "hopper"),
        ("H100-PCIe-80GB", "h100_pcie", "hopper"),
        ("H200", "h200_sxm", "hopper"),
        ("GH200", "h100_sxm", "hopper"),
        ("B200 (SM100)", "b200", "blackwell"),
        ("GB200", "b200", "blackwell"),
        ("L40S", "l40s", "ada"),
        ("L4", "l4", "ada"),
        ("RTX-4090", "rtx4090", "ada"),
        ("RTX-PRO-6000-Server", "rtx_pro_6000_server", "blackwell_rtx"),
        ("RTX PRO 6000 Workstation", "rtx_pro_6000_workstation", "blackwell_rtx"),
        ("MI300X", "mi300x", "cdna3"),
        ("MI350 series (gfx950)", "mi355x", "cdna4"),
        ("A100-SXM4-80GB, 400W", "a100_sxm_80gb", "ampere"),
        ("A800-SXM4-40GB", "a100_sxm_40gb", "ampere"),
        ("H800 PCIe", "h100_pcie", "hopper"),
        ("RTX A6000", "l40s", "ampere"),
        ("RTX 3090 Ti", "rtx4090", "ampere"),
        ("RTX 3080", "rtx4090", "ampere"),
        ("NVIDIA A30", "a100_sxm_40gb", "ampere"),
        ("GB300", "b200", "blackwell"),
        ("RTX 4080 SUPER", "rtx4090", "ada"),
        ("RTX 5000 Ada Generation", "l40s", "ada"),
        ("RTX 5080", "rtx_pro_6000_workstation", "blackwell_rtx"),
        ("NVIDIA GeForce RTX 5070 Ti Laptop GPU", "rtx_pro_6000_workstation", "blackwell_rtx"),
        ("RTX 4060 Mobile", "rtx4090", "ada"),
        ("RTX 3050 Laptop", "rtx4090", "ampere"),
    ],
)
def test_a_gpu_name_means_its_config(gpu: str, hw: str, arch: str) -> None:
    kernel = "Triton attention" if arch.startswith("cdna") else "FlashInfer"
    meaning = found(gpu=gpu, kernel=kernel)
    assert (meaning.gpu.hw, meaning.gpu.arch) == (hw, arch)


def test_an_a30_has_the_rated_rates_of_its_datasheet() -> None:
    """933 GB/s of three HBM2 stacks; 165 TFLOP/s FP16."""
    case = mapped_row(gpu="NVIDIA A30", kernel="FlashInfer")
    sm = case.hw.sm
    assert peak_gb_s(case.hw.hbm) == pytest.approx(933, rel=0.002)
    assert sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["fp16"] / 1e3 == pytest.approx(165, rel=0.002)


@pytest.mark.parametrize(("gpu", "rated"), [("GB200", 2500), ("GB300", 2500), ("B200", 2250), ("B300", 2250)])
def test_blackwell_superchips_have_more_sms_and_the_rate_of_their_datasheet(gpu: str, rated: int) -> None:
    case = mapped_row(gpu=gpu, kernel=TRT)
    sm = case.hw.sm
    assert sm.count == (152 if gpu.startswith("G") else 148)
    assert sm.exp_per_clk == (32 if gpu.endswith("300") else 16)
    assert sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["bf16"] / 1e3 == pytest.approx(rated, rel=0.002)


@pytest.mark.parametrize(("gpu", "sms", "rated", "busy"), [("A10", 72, 125, 1.3), ("A10G", 80, 70, None)])
def test_an_a10g_has_more_sms_and_half_the_rate_of_an_a10_which_has_no_power_for_it(
    gpu: str, sms: int, rated: int, busy: float | None
) -> None:
    sm = mapped_row(gpu=gpu, kernel="FlashInfer").hw.sm
    assert sm.count == sms
    assert sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["fp16"] / 1e3 == pytest.approx(rated, rel=0.01)
    if busy is not None:
        assert sm.busy_clock_ghz == busy < sm.clock_ghz
    else:
        assert sm.busy_clock_ghz is None or sm.busy_clock_ghz >= sm.clock_ghz


def test_fp8_queries_are_quantised_where_the_generated_kernels_take_them() -> None:
    cells = {"kernel": "vLLM FlashInfer", "kv_dtype": "fp8", "phase": "prefill"}
    kernels = [[k.name for k in found(gpu=gpu, **cells).runtime.around] for gpu in ("B200", "L40S")]
    assert kernels == [["append", "query_quantisation"], ["append"]]


@pytest.mark.parametrize(
    "gpu",
    [
        "not stated",
        "not stated (Hopper)",
        "",
        "MI250X",
        "gfx1201",
        "RTX 3080 Ti Laptop GPU",
        "RTX A2000 Laptop GPU",
        "H100 MIG 1g.10gb",
        "T4",
        "V100-SXM2-32GB",
    ],
)
def test_a_gpu_without_config_is_left_out_with_its_name(gpu: str) -> None:
    reason = recognise(replace(ROW, gpu=gpu), shipped_names())
    assert isinstance(reason, str)
    assert reason.startswith("gpu: ")
    assert repr(gpu) in reason


@pytest.mark.parametrize(
    ("cells", "profile"),
    [
        ({}, "fa3"),
        ({"kv_dtype": "fp8"}, "fa3_fp8"),
        ({"kernel": "SGLang FlashAttention-3", "gpu": "H200"}, "fa3_sglang"),
        ({"kernel": "vLLM FlashAttention-2", "gpu": "L40S"}, "fa2"),
        ({"kernel": "vLLM FlashAttention-2", "gpu": "L40S", "kv_heads": 32}, "fa2_unsplit"),
        ({"kernel": "vLLM FlashAttention", "gpu": "A100", "kv_heads": 32}, "fa2_unsplit"),
        ({"kernel": "vLLM FlashAttention", "gpu": "H100", "kv_heads": 32}, "fa3"),
        ({"kernel": "FlashAttention-2", "gpu": "A100", "kv_heads": 32}, "fa2"),
        ({"kernel": "vLLM FlashInfer decode", "gpu": "L40S", "kv_dtype": "fp8"}, "flashinfer_fp8"),
        ({"kernel": "vLLM 0.19 attention", "gpu": "RTX-4090"}, "fa2"),
        ({"kernel": TRT}, "xqa"),
        ({"kernel": TRT, "kv_dtype": "fp8"}, "xqa_fp8"),
        ({"kernel": TRT, "q_heads": 32, "kv_heads": 32}, "trtllm_mmha"),
        ({"kernel": TRT, "gpu": "B200"}, "trtllm_gen"),
        ({"kernel": TRT, "gpu": "B200", "kv_dtype": "fp8"}, "trtllm_gen_fp8"),
        (
            {"kernel": TRT, "gpu": "B200", "kv_dtype": "fp8", "notes": "16-bit queries"},
            "trtllm_gen_16bit_queries",
        ),
        ({"kernel": "vLLM PagedAttention v2", "gpu": "A100-PCIe-40GB"}, "paged_v2"),
        ({"kernel": "FlexAttention flex_decoding", "gpu": "RTX-A6000"}, "flex_decode_one_stage"),
        ({"kernel": "FlexAttention flex_decoding"}, "flex_decode"),
        ({"kernel": "FlexAttention", "notes": "dense; no block mask"}, "flex_decode_whole"),
        (
            {"kernel": "FlexAttention", "gpu": "RTX 5090", "notes": "without a block mask"},
            "flex_decode_whole_one_stage",
        ),
        ({"kernel": "PyTorch flex_attention", "gpu": "RTX 4090"}, "flex_decode_whole_one_stage"),
        ({"kernel": "FlashMLA dense decode", "kv_heads": 1, "head_dim": 576}, "flashmla"),
        ({"kernel": "FlashAttention-3", "phase": "prefill"}, "fa3_dense_prefill"),
        ({"kernel": "vLLM FlashAttention-3", "phase": "prefill"}, "fa3_prefill"),
        ({"kernel": TRT, "phase": "prefill", "gpu": "L40S"}, "trtllm_ada_prefill"),
        ({"kernel": "SGLang Triton", "gpu": "RTX-PRO-6000-Server"}, "triton_sglang"),
        ({"kernel": "SGLang Triton", "gpu": "B200"}, "triton_sglang"),
        ({"kernel": "cuDNN SDPA"}, "cudnn_decode"),
        ({"kernel": "cuDNN SDPA", "gpu": "A100"}, "fa2"),
        ({"kernel": "cuDNN SDPA", "gpu": "B200", "phase": "prefill"}, "cudnn_blackwell_prefill"),
        (
            {"kernel": "cuDNN SDPA", "gpu": "B200", "phase": "prefill", "notes": "cuDNN 9.13"},
            "trtllm_gen_prefill",
        ),
        (
            {"kernel": "cuDNN SDPA", "gpu": "B200", "phase": "prefill", "kv_dtype": "fp8"},
            "trtllm_gen_prefill_fp8",
        ),
        ({"kernel": "FlashAttention-2", "phase": "prefill"}, "sdpa_flash_prefill"),
        ({"kernel": "FlashAttention-2", "phase": "prefill", "gpu": "A100"}, "fa2_prefill"),
        ({"kernel": "Triton fused attention", "phase": "prefill"}, "flex_prefill"),
        ({"kernel": "Triton fused attention", "phase": "prefill", "gpu": "A100"}, "triton_prefill"),
        ({"kernel": "FA3"}, "fa3_two_warpgroups"),
        ({"kernel": "vLLM FA3"}, "fa3"),
        ({"kernel": "flash-attn 2.7.4", "gpu": "A100"}, "fa2"),
        ({"kernel": "flash_attn_with_kvcache", "gpu": "A100"}, "fa2"),
        ({"kernel": "vLLM paged_attention_v2", "gpu": "A100"}, "paged_v2"),
        ({"kernel": "FlashInfer BatchDecode FA3"}, "fa3"),
        ({"kernel": "FlashInfer BatchPrefill", "phase": "prefill"}, "fa3_prefill"),
        ({"kernel": "FlashInfer BatchPrefill FA2", "phase": "prefill"}, "flashinfer_prefill"),
        ({"kernel": "FlashInfer BatchPrefill", "phase": "prefill", "gpu": "A100"}, "flashinfer_prefill"),
        ({"kernel": "standard attention", "phase": "prefill"}, "standard"),
        ({"kernel": "cuDNN SDPA", "q_len": 8}, "cudnn_verify"),
        ({"kernel": "cuDNN 9.24", "gpu": "RTX 5090"}, "cudnn_decode"),
        ({"kernel": "cuDNN 9.24", "gpu": "RTX 4090"}, "fa2"),
        ({"kernel": "FlashAttention-4 (CuTe)", "phase": "prefill", "gpu": "B200"}, "fa4_prefill"),
        ({"kernel": "FA4", "phase": "prefill", "gpu": "B300", "head_dim": 256}, "fa4_hd256_prefill"),
        ({"kernel": "TLX flash attention", "phase": "prefill"}, "fa3_prefill"),
        ({"kernel": "ThunderKittens attention", "phase": "prefill", "gpu": "B200"}, "fa4_prefill"),
        ({"kernel": "Helion flash attention", "phase": "prefill", "gpu": "A100"}, "triton_prefill"),
        ({"kernel": "PyTorch SDPA flash", "phase": "prefill", "gpu": "A100"}, "fa2_prefill"),
        ({"kernel": "PyTorch SDPA flash", "phase": "prefill"}, "sdpa_flash_prefill"),
    ],
)
def test_a_kernel_name_means_its_profile(cells: dict[str, object], profile: str) -> None:
    assert found(**cells).kernel.profile == profile


def test_sglang_on_b200_chooses_by_heads_whatever_the_column_says() -> None:
    """64/8 heads run FlashInfer and 32/8 the generated TensorRT-LLM kernel."""
    for kernel in ("SGLang FlashInfer", "SGLang TRT-LLM gen MHA"):
        cells = {"gpu": "B200", "kernel": kernel, "kv_heads": 8}
        assert found(**cells, q_heads=64).kernel.profile == "flashinfer"
        assert found(**cells, q_heads=32).kernel.profile == "trtllm_gen"


def test_trtllm_fp8_with_grouped_heads_on_ada_is_not_split_and_equal_heads_are_another_kernel() -> None:
    cells = {"gpu": "L40S", "kernel": TRT, "kv_dtype": "fp8", "q_heads": 32}
    assert found(**cells, kv_heads=8).kernel.profile == "xqa_nosplit_fp8"
    assert found(**cells, kv_heads=32).kernel.profile == "trtllm_mmha_nosplit"


def test_trtllm_prefill_with_fp8_cache_runs_at_fp8_speed_on_hopper_only() -> None:
    """Ada multiplies 16-bit values when the source says so; Hopper's kernel is FP8 all the same."""
    cells = {"kernel": TRT, "phase": "prefill", "kv_dtype": "fp8", "notes": "compute dtype bf16; no prefix"}
    assert found(**cells).kernel.kv_format is None
    assert found(**cells, gpu="L40S").kernel.kv_format == "bf16"


def test_vllm_pages_are_shuffled_and_sglang_pages_in_order() -> None:
    assert found().runtime.page_order == "shuffled"
    sglang = found(kernel="SGLang FlashAttention-3").runtime
    assert (sglang.page_order, sglang.page_tokens) == ("sequential", 1)


def test_cold_or_warm_follows_how_the_source_times() -> None:
    assert found().runtime.l2_state == "warm"
    assert (
        found(kernel="FlashAttention-2", source="onnxruntime", notes="nvbench GPU time").runtime.l2_state
        == "cold"
    )


def test_a_layer_profile_reads_cold_since_the_layers_weights_pass_the_cache() -> None:
    cells = {"gpu": "RTX-4090", "kernel": "vLLM 0.19 attention", "source": "LLMServingSim attention profile"}
    assert found(**cells, batch=2).runtime.l2_state == "cold"
    assert found(**cells, batch=1).runtime.l2_state == "warm"  # the output matrix is a GEMV then, and streams


@pytest.mark.parametrize(
    ("kernel", "source", "notes", "framework", "state"),
    [
        ("FlashInfer", "flash-attention PR 63", "", "flashinfer", "cold"),
        ("FlashAttention-4", "flash-attention PR 2415", "", "flash_attention", "cold"),
        ("vLLM flash-attn FA3", "vllm-project/flash-attention PR 63", "", "vllm_forward", "cold"),
        ("FlashInfer", "flash-attention PR 63", "do_bench_cudagraph", "flashinfer", "warm"),
        ("FlashAttention-3", "a blog", "hopper/benchmark_attn.py", "flash_attention", "cold"),
        ("FlashAttention-3", "a blog", "", "flash_attention", "warm"),
    ],
)
def test_flashattentions_own_benchmark_flushes_the_l2(
    kernel: str, source: str, notes: str, framework: str, state: str
) -> None:
    runtime = found(kernel=kernel, source=source, notes=notes).runtime
    assert (runtime.framework, runtime.l2_state) == (framework, state)


def test_what_the_notes_say_of_the_timing_counts() -> None:
    """do_bench flushes the L2; a profiler sees no launch and nothing that a framework adds."""
    flushed = found(kernel="PyTorch SDPA", source="a blog", notes="do_bench").runtime
    assert (flushed.l2_state, flushed.framework, flushed.launch) == ("cold", "pytorch", "stream")
    alone = found(
        kernel="FlashInfer BatchDecode", source="a blog", notes="cold L2, CUPTI device time"
    ).runtime
    assert (alone.l2_state, alone.framework, alone.launch) == ("cold", "kernel_alone", "none")
    assert found(notes="context = step+1; KV fits in L2 and replays are warm").runtime == found().runtime


@pytest.mark.parametrize(
    ("cells", "state"),
    [
        ({"source": "a repository", "notes": "K and V go round 14 buffers"}, "rotated"),
        ({"source": "a repository", "notes": "CUDA graph over rotating buffers: cold"}, "rotated"),
        ({"source": "a repository", "notes": "bench_gpu_time, CUDA graph, cold L2"}, "rotated"),
        ({"source": "a repository", "notes": "bench_gpu_time with CUPTI, cold L2"}, "cold"),
        ({"kernel": "FlashInfer XQA", "source": "vLLM", "notes": "attention_benchmarks"}, "rotated"),
    ],
    ids=["buffers", "buffers of a graph", "FlashInfer's graphs", "FlashInfer's profiler", "vLLM's benchmark"],
)
def test_buffers_in_turn_leave_the_code_and_not_the_data(cells: dict[str, str], state: str) -> None:
    assert found(**{"kernel": "FlashInfer BatchDecode", **cells}).runtime.l2_state == state


def test_a_flashinfer_call_waited_for_holds_its_host_unless_a_flush_hides_it() -> None:
    notes = (
        "single calls between CUDA events with a wait for each",
        "single calls with a wait, cold by a flush",
    )
    cells = {"gpu": "H100", "kernel": "FlashInfer BatchDecode", "source": "a repository"}
    waited, flushed = (found(**cells, notes=n) for n in notes)
    assert (waited.runtime.framework, flushed.runtime.framework) == ("flashinfer_single", "flashinfer")


def test_do_bench_cudagraph_replays_a_graph_and_flushes_nothing() -> None:
    runtime = found(kernel="FlexAttention", source="a blog", notes="do_bench_cudagraph").runtime
    assert (runtime.l2_state, runtime.launch) == ("warm", "graph")


def test_notes_may_say_how_a_kernel_was_launched_and_how_its_pages_lay() -> None:
    cells = {"kernel": "FlashInfer BatchDecode", "source": "a blog"}
    usual, noted = (found(**cells, notes=notes).runtime for notes in ("", "no graph; page table shuffled"))
    assert (usual.launch, usual.page_order) == ("graph", "sequential")
    assert (noted.launch, noted.page_order) == ("stream", "shuffled")


@pytest.mark.parametrize(
    ("kernel", "framework"),
    [
        ("TLX flash attention", "triton"),
        ("Triton flash attention", "triton"),
        ("PyTorch SDPA (AOTriton)", "pytorch"),
        ("AITER Triton flash attention", "flash_attention"),
        ("FlashInfer trtllm-gen decode", "flashinfer"),
        ("SGLang TRT-LLM gen MHA", "sglang"),
    ],
)
def test_who_calls_a_kernel_owns_its_overhead(kernel: str, framework: str) -> None:
    """Whatever kernel that is: a compiler's may be called flash attention, and FlashInfer hands out TensorRT-LLM's."""
    assert found(kernel=kernel, source="a blog").runtime.framework == framework


def test_a_library_measured_in_sglangs_repository_is_not_sglangs_call() -> None:
    cells = {"source": "SGLang PR 30090", "phase": "prefill"}
    assert found(**cells, kernel="cuDNN SDPA").runtime.framework == "pytorch"
    assert found(**cells, kernel="FlashAttention-3").runtime.framework == "sglang"


@pytest.mark.parametrize("kernel", ["vLLM FlashInfer", "vLLM 0.19 attention", "SGLang TRT-LLM gen MHA", TRT])
def test_generated_kernels_read_pages_heads_first_whoever_calls_them(kernel: str) -> None:
    case = mapped_row(kernel=kernel, gpu="B200")
    assert (case.names.kernel.profile, case.workload.layout) == ("trtllm_gen", "HND")


@pytest.mark.parametrize(
    "cells",
    [
        {"gpu": "A100", "kernel": "SGLang Triton MLA"},
        {"gpu": "MI300X", "kernel": "FlashInfer MLA"},
        {"gpu": "RTX-4090", "kernel": "FlashInfer MLA paged decode (CUDA cores)"},
        {"kernel": "cuDNN SDPA (absorbed MLA)"},
    ],
)
def test_latent_rows_are_predicted_where_their_kernel_runs_only(cells: dict[str, object]) -> None:
    row = replace(ROW, **{"kernel": "FlashInfer MLA", "kv_heads": 1, "head_dim": 576, **cells})
    assert "no kernel profile imitates" in str(recognise(row, shipped_names()))


@pytest.mark.parametrize(
    ("text", "kv_format"),
    [("e5m2", "fp8_e5m2"), ("float8_e5m2", "fp8_e5m2"), ("torch.bfloat16", "bf16"), ("fp8_e4m3", "fp8_e4m3")],
)
def test_a_kv_type_may_be_spelt_in_several_ways(text: str, kv_format: str) -> None:
    assert found(kernel="FlashInfer", kv_dtype=text).kv.kv_format == kv_format


def test_a_notebook_part_has_the_rates_of_its_own_datasheet() -> None:
    """RTX 5090 Laptop: 10,496 cores of 128 an SM, 256 bits at 28 Gbit/s; the desktop part has 512 bits and 170 SMs."""
    hw = mapped_row(gpu="NVIDIA GeForce RTX 5090 Laptop GPU", kernel="FlashInfer", value=1e3).hw
    assert (hw.sm.count, peak_gb_s(hw.hbm)) == (10_496 // 128, 256 / 8 * 28)


def test_flash_attention_before_split_kv_is_its_training_kernel() -> None:
    assert found(kernel="FlashAttention-2 v2.0.9 (no split-KV)").kernel.profile == "fa2_nosplit"


def test_a_rule_may_ask_for_a_least_grid() -> None:
    """PyTorch's FlashAttention-2 does not split 212 CTAs or more on 132 SMs: 27 sequences of 8 KV heads are 216."""
    cells = {
        "source": "own harness",
        "kernel": "PyTorch SDPA flash",
        "notes": "replays are warm",
        "kv_heads": 8,
    }
    assert found(**cells, batch=26).kernel.profile == "sdpa_flash_decode"
    assert found(**cells, batch=27).kernel.profile == "fa2_whole"


def test_a_kernel_that_no_tile_imitates_is_left_out_with_the_reason() -> None:
    row = replace(ROW, kernel="Triton paged decode (no split)", source="MinivLLM PR 93")
    assert "one token at a time" in str(recognise(row, shipped_names()))


def test_every_kernel_rule_names_a_shipped_profile_or_a_reason() -> None:
    profiles = shipped("kernel profile")
    for rule in shipped_names().kernels:
        assert (rule.profile in profiles) != bool(rule.skip), rule


def test_every_kernel_rule_can_run_on_all_that_it_is_given() -> None:
    """The rule's phases, storage classes and architectures against the profile's phases, formats and copies."""
    names = shipped_names()
    for rule in (r for r in names.kernels if r.profile):
        profile = load_profile(rule.profile)
        assert set(rule.phase) <= set(profile.phase), rule
        formats = _formats(rule)
        assert formats <= set(profile.formats), (rule.kernel, rule.profile, formats - set(profile.formats))


def _formats(rule: KernelName) -> set[str]:
    """Formats that reach the rule; e5m2 appears only where a row says so, and not every kernel reads it."""
    if rule.kv_format:
        return {str(rule.kv_format)}
    known = {
        str(k.kv_format)
        for k in shipped_names().kv_dtypes
        if not k.skip and k.kv_class in (rule.kv or ["16bit"])
    }
    return known - {"fp8_e5m2"}


def test_chips_have_the_copies_that_their_kernels_use() -> None:
    """No (chip, kernel, phase, KV) of a wide sample ends at a profile that needs another copy engine."""
    names = shipped_names()
    engines = {g.hw: ENGINE[load_hardware(g.hw).spec.sm.async_copy] for g in names.gpus if not g.skip}
    kernels = (
        *("vLLM FlashAttention-2", "vLLM FlashInfer", "SGLang FlashInfer", "SGLang Triton", TRT),
        "Triton",
        "FlexAttention",
    )
    gpus = ("A100", "H100", "H200", "B200", "L40S", "L4", "RTX-4090", "RTX-PRO-6000", "MI300X")
    for gpu, kernel, phase, kv in product(gpus, kernels, ("decode", "prefill"), ("bf16", "fp8")):
        meaning = recognise(replace(ROW, gpu=gpu, kernel=kernel, phase=phase, kv_dtype=kv), names)
        if isinstance(meaning, Recognised):
            address = load_profile(meaning.kernel.profile).address
            assert ENGINE[address] <= engines[meaning.gpu.hw], (
                gpu,
                kernel,
                phase,
                kv,
                meaning.kernel.profile,
            )


@pytest.mark.parametrize(
    ("gpu", "kernel", "kv", "profile"),
    [
        ("H100-SXM5-80GB", "SGLang FlashAttention-3", "bf16", "fa3_sglang"),
        ("H100-SXM5-80GB", "SGLang FA3", "fp8", "fa3_fp8_sglang"),
        ("H200", "SGLang FlashInfer", "bf16", "flashinfer"),
        ("B200", "vLLM FlashInfer", "bf16", "trtllm_gen"),
        ("B200", "vLLM FlashInfer", "fp8", "trtllm_gen_fp8"),
        ("B200", "FlashInfer", "fp8", "flashinfer_fp8"),
        ("L40S", "SGLang FlashInfer", "bf16", "flashinfer"),
        ("A100-SXM4-80GB", "SGLang FlashInfer", "bf16", "flashinfer"),
        ("A100-SXM4-80GB", "TRT-LLM attention", "bf16", "xqa"),
        ("H200", "TRT-LLM attention", "fp8", "xqa_fp8"),
        ("GB200", "TRT-LLM attention", "fp8", "trtllm_gen_fp8"),
        ("RTX-4090", "TRT-LLM attention", "fp8", "xqa_nosplit_fp8"),
        ("RTX-4090", "TensorRT-LLM attention", "fp16", "xqa"),
        ("H100-SXM5-80GB", "vLLM Triton attention", "bf16", "triton_vllm"),
        ("L40S", "vLLM Triton attention", "fp8", "triton_vllm"),
        ("A100-PCIe-80GB", "vLLM FlashAttention", "bf16", "fa2"),
        ("RTX-4090", "vLLM FlashAttention-2", "bf16", "fa2"),
        ("H200", "vLLM FlashAttention", "fp8", "fa3_fp8"),
    ],
)
def test_a_pair_of_chip_and_framework_that_no_table_lists_row_by_row(
    gpu: str, kernel: str, kv: str, profile: str
) -> None:
    assert found(gpu=gpu, kernel=kernel, kv_dtype=kv).kernel.profile == profile


@pytest.mark.parametrize(
    ("gpu", "kernel", "q_heads", "profile"),
    [
        ("H200", "FlashMLA", 128, "flashmla"),
        ("B200", "FlashMLA", 128, "mla_blackwell"),
        ("B200", "SGLang CUTLASS MLA", 128, "mla_blackwell"),
        ("B200", "SGLang CUTLASS MLA", 16, "mla_blackwell_padded"),
        ("B200", "vLLM cute-dsl MLA", 128, "cute_dsl_mla"),
        ("B200", "vLLM FlashAttention-4 MLA", 128, "cute_dsl_mla"),
        ("B200", "TRT-LLM gen MLA", 16, "trtllm_gen_mla_small_16bit"),
        ("B200", "TRT-LLM gen MLA", 128, "trtllm_gen_mla"),
        ("A100", "FlashInfer MLA", 128, "flashinfer_mla"),
        ("RTX-4090", "FlashInfer MLA", 16, "flashinfer_mla_one_stage"),
        ("B200", "FlashInfer BatchMLAPagedAttentionWrapper FlashAttention-2", 128, "flashinfer_mla"),
        ("H100", "FlashInfer MLA fa2", 128, "flashinfer_mla"),
        ("H100", "FlashInfer MLA", 128, "flashmla"),
    ],
)
def test_a_latent_cache_has_the_kernels_of_its_chip(
    gpu: str, kernel: str, q_heads: int, profile: str
) -> None:
    meaning = found(gpu=gpu, kernel=kernel, kv_heads=1, q_heads=q_heads, head_dim=576)
    assert meaning.kernel.profile == profile
    assert meaning.runtime.framework == "flashmla"


@pytest.mark.parametrize(
    ("kernel", "profile"), [("FlashMLA", "mla_blackwell"), ("FlashInfer MLA", "cute_dsl_mla")]
)
def test_a_latent_cache_of_fp8_is_multiplied_as_it_is_but_by_flashmla(kernel: str, profile: str) -> None:
    cells = {"gpu": "B200", "kv_dtype": "fp8", "kv_heads": 1, "q_heads": 128, "head_dim": 576}
    assert found(kernel=kernel, **cells).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "source", "profiles"),
    [
        ("vLLM FlashAttention", "a blog", ["fa4_decode", "fa4_prefill"]),
        ("vLLM 0.22.1 FLASH_ATTN", "a blog", ["fa4_decode", "fa4_prefill"]),
        ("vLLM FlashAttention", "AIConfigurator: B200, vLLM 0.14.0", ["fa2", "fa2_paged_prefill"]),
        ("vLLM 0.17 FlashAttention", "a blog", ["fa2", "fa2_paged_prefill"]),
        ("vLLM FlashAttention-2", "a blog", ["fa2", "fa2_paged_prefill"]),
    ],
)
def test_vllm_has_flashattention_4_on_sm100_from_0_18(kernel: str, source: str, profiles: list[str]) -> None:
    cells = {"gpu": "B200", "kernel": kernel, "source": source}
    assert [found(**cells, phase=phase).kernel.profile for phase in ("decode", "prefill")] == profiles


@pytest.mark.parametrize(
    ("gpu", "fp32", "gb_s"),
    [
        ("NVIDIA RTX A4000", 19.2, 448),
        ("RTX 4000 Ada Generation", 26.7, 360),
        ("RTX 4500 Ada", 39.6, 432),
        ("RTX 5000 Ada", 65.3, 576),
    ],
)
def test_workstation_parts_have_the_rates_of_their_datasheets(gpu: str, fp32: float, gb_s: float) -> None:
    """TFLOP/s of FP32, 128 products and sums a clock on an SM, and GB/s."""
    hw = mapped_row(gpu=gpu, kernel="FlashInfer").hw
    assert hw.sm.count * hw.sm.clock_ghz * 256 / 1e3 == pytest.approx(fp32, rel=0.01)
    assert peak_gb_s(hw.hbm) == pytest.approx(gb_s, rel=0.01)


@pytest.mark.parametrize(
    ("gpu", "hw"),
    [
        ("4090", "rtx4090"),
        ("5090", "rtx_pro_6000_workstation"),
        ("RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtx_pro_6000_workstation"),
    ],
)
def test_a_board_is_known_without_its_family_and_with_its_power(gpu: str, hw: str) -> None:
    assert found(gpu=gpu, kernel="FlashInfer").gpu.hw == hw


def test_gb10_has_the_rates_that_its_vendor_states() -> None:
    """31 TFLOP/s of FP32, 1 PFLOP/s of FP4, twice of dense and that four times of FP16, and 273 GB/s in DGX Spark."""
    hw = mapped_row(gpu="NVIDIA GB10", kernel="FlashInfer").hw
    clocks = hw.sm.count * hw.sm.clock_ghz / 1e3
    assert clocks * 2 * 128 == pytest.approx(31, rel=0.01)
    assert clocks * hw.sm.tensor_flop_per_clk["fp16"] * 4 * 2 == pytest.approx(1000, rel=0.02)
    assert peak_gb_s(hw.hbm) == pytest.approx(273, rel=0.01)


@pytest.mark.parametrize(
    ("gpu", "fp16", "gb_s"),
    [
        ("RTX 3080 Ti", 136, 912),
        ("RTX 3070", 81, 448),
        ("GeForce RTX 3060 Ti", 65, 448),
        ("RTX 3060", 51, 360),
        ("RTX 4070 Ti SUPER", 176, 672),
        ("RTX 4070 Ti", 160, 504),
        ("RTX 4070 Super", 142, 504),
        ("RTX 4070", 117, 504),
        ("RTX 4060 Ti", 88, 288),
        ("RTX 4060", 60, 272),
        ("RTX 5070 Ti", 176, 896),
        ("RTX 5070", 123, 672),
        ("RTX 5060 Ti", 95, 448),
        ("RTX 5060", 77, 448),
    ],
)
def test_parts_for_games_have_the_rated_rates_of_their_architecture(
    gpu: str, fp16: float, gb_s: float
) -> None:
    """TFLOP/s of FP16 with FP16 accumulation, and GB/s, of NVIDIA's architecture white papers."""
    case = mapped_row(gpu=gpu, kernel="FlashInfer")
    sm = case.hw.sm
    assert peak_gb_s(case.hw.hbm) == pytest.approx(gb_s, rel=0.01)
    assert sm.count * sm.clock_ghz * 1024 / 1e3 == pytest.approx(fp16, rel=0.02)


@pytest.mark.parametrize(
    ("kernel", "gpu", "kv", "profile"),
    [
        ("vLLM FlashInfer XQA decode", "H200", "bf16", "xqa_flashinfer"),
        ("vLLM XQA", "H200", "fp8", "xqa_flashinfer_fp8"),
        ("FlashInfer trtllm-native (XQA)", "GH200", "fp8", "xqa_flashinfer_fp8"),
        ("FlashInfer XQA", "RTX-PRO-6000-Server", "fp8", "xqa_flashinfer"),
        ("TensorRT-LLM XQA", "H200", "fp8", "xqa_fp8"),
        ("TensorRT-LLM XQA", "H200", "bf16", "xqa"),
    ],
)
def test_xqa_splits_as_who_launches_it_does(kernel: str, gpu: str, kv: str, profile: str) -> None:
    assert found(kernel=kernel, gpu=gpu, kv_dtype=kv).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "cells", "profile"),
    [
        ("FlashInfer BatchDecodeWithPagedKVCache", {}, "flashinfer_cuda_cores_grouped"),
        ("FlashInfer BatchDecode", {"gpu": "RTX-4090", "kv_heads": 32}, "flashinfer_cuda_cores"),
        ("FlashInfer BatchDecode", {"q_heads": 64, "kv_heads": 8}, "flashinfer_cuda_cores_group8"),
        ("FlashInfer BatchDecode (tensor cores)", {}, "flashinfer"),
        ("FlashInfer decode without tensor cores", {}, "flashinfer_cuda_cores_grouped"),
        ("FlashInfer CUDA cores", {"q_heads": 12, "kv_heads": 2}, "flashinfer_cuda_cores_grouped"),
        ("FlashInfer BatchDecode fa2_tc", {}, "flashinfer"),
        ("FlashInfer BatchDecode use_tensor_cores=False", {"gpu": "B200"}, "flashinfer_cuda_cores_grouped"),
        ("FlashInfer BatchDecode", {"q_heads": 40, "kv_heads": 8}, "flashinfer"),  # no kernel for groups of 5
        ("FlashInfer BatchDecode", {"gpu": "B200"}, "flashinfer"),
        ("SGLang FlashInfer BatchDecode", {}, "flashinfer"),
        ("FlashInfer", {}, "flashinfer_cuda_cores_grouped"),
        ("FlashInfer paged decode", {"kv_dtype": "fp8"}, "flashinfer_cuda_cores_fp8"),
        ("FlashInfer", {"q_heads": 64, "kv_dtype": "fp8"}, "flashinfer_cuda_cores_fp8_group8"),
        ("vLLM FlashInfer", {"kv_dtype": "fp8"}, "flashinfer_fp8"),
        ("FlashInfer", {"q_len": 4}, "flashinfer"),  # a prefill wrapper
        ("FlashInfer BatchPrefill", {}, "flashinfer"),
        ("vLLM FlashInfer", {}, "flashinfer"),
        ("FlashInfer BatchAttention (persistent)", {}, "flashinfer"),
    ],
)
def test_flashinfer_decodes_on_cuda_cores_unless_told_otherwise(
    kernel: str, cells: dict[str, object], profile: str
) -> None:
    assert found(**{"kernel": kernel, **cells}).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "gpu", "profile"),
    [
        ("Triton flash attention", "B200", "triton_blackwell_prefill"),
        ("SGLang Triton extend attention", "B200", "flex_prefill_blackwell"),
        ("Helion attention", "GB200", "flex_prefill_blackwell"),
        ("FlexAttention (Triton template)", "B200", "flex_prefill_blackwell"),
        ("FlexAttention (TLX template)", "B200", "flex_prefill_blackwell"),
        ("TLX flash attention", "B200", "cutlass_prefill"),
        ("FlashInfer cute-dsl prefill", "B200", "cutlass_prefill"),
        ("Helion CuTe attention", "B200", "fa4_prefill"),
        ("Triton flash attention", "H100", "flex_prefill"),
        ("Triton _fwd_kernel (SGLang extend)", "H100", "triton_sglang_prefill"),
        ("TLX flash attention", "H100", "fa3_prefill"),
    ],
)
def test_compiled_prefill_has_the_structure_of_its_compiler_and_chip(
    kernel: str, gpu: str, profile: str
) -> None:
    assert found(kernel=kernel, gpu=gpu, phase="prefill").kernel.profile == profile


def test_flash_attention_2_packs_no_heads_where_a_query_has_several_tokens() -> None:
    assert found(kernel="FlashAttention-2", gpu="A100", q_len=4).kernel.profile == "fa2_verify"
    assert found(kernel="FlashAttention-2", gpu="A100").kernel.profile == "fa2"


@pytest.mark.parametrize(
    ("kernel", "gpu", "decode", "prefill"),
    [
        ("F.scaled_dot_product_attention", "A100", "sdpa_flash_decode", "fa2_prefill"),
        ("F.scaled_dot_product_attention", "H100", "sdpa_flash_decode", "sdpa_flash_prefill"),
        ("Flash-Attention v3", "H100", "fa3_two_warpgroups", "fa3_dense_prefill"),
        ("FlashAttention v2.7", "H100", "fa2", "sdpa_flash_prefill"),
        ("FlashAttention-4 (CuTe DSL)", "H100", "fa4_hopper_decode", "fa3_dense_prefill"),
        ("FlashAttention-4 num_splits=1", "H200", "fa4_hopper_unsplit", "fa3_dense_prefill"),
        ("FlashAttention-4 varlen", "H100", "fa3_two_warpgroups", "fa3_dense_prefill"),
        (
            "FlashInfer BatchPrefillWithPagedKVCacheWrapper fa3",
            "H100",
            "flashinfer_fa3_paged_decode",
            "fa3_prefill",
        ),
        ("TensorRT-LLM MMHA", "RTX 3060", "trtllm_mmha", "trtllm_ada_prefill"),
        ("FlashAttention-4 varlen", "B200", "fa4_decode", "fa4_prefill"),
        ("ONNX Runtime MultiHeadAttention", "H100", "fa2", "sdpa_flash_prefill"),
        ("ONNX Runtime GroupQueryAttention", "RTX-4090", "fa2", "fa2_append_prefill"),
        ("FlashInfer single_decode_with_kv_cache", "H100", "flashinfer_cuda_cores_grouped", "fa3_prefill"),
        ("FlashInfer BatchPrefillWithPagedKVCache", "B200", "flashinfer", "flashinfer_prefill"),
        ("FlashInfer BatchPrefill (trtllm-gen)", "B200", "trtllm_gen", "trtllm_gen_prefill"),
    ],
)
def test_one_name_in_both_phases(kernel: str, gpu: str, decode: str, prefill: str) -> None:
    phases = [found(kernel=kernel, gpu=gpu, phase=p).kernel.profile for p in ("decode", "prefill")]
    assert phases == [decode, prefill]


@pytest.mark.parametrize(
    "kernel", ["PyTorch SDPA (mem-efficient)", "SDPA memory efficient", "torch SDPA math", "xFormers cutlass"]
)
def test_backends_without_a_profile_in_decode_are_left_out(kernel: str) -> None:
    assert "no kernel profile imitates" in str(recognise(replace(ROW, kernel=kernel), shipped_names()))


@pytest.mark.parametrize(
    "kernel", ["PyTorch SDPA efficient", "SDPA memory efficient", "xFormers", "xformers cutlass"]
)
@pytest.mark.parametrize(
    ("head_dim", "profile"),
    [(40, "cutlass_fmha_small"), (64, "cutlass_fmha_small"), (128, "cutlass_fmha_prefill")],
)
def test_memory_efficient_attention_has_smaller_tiles_up_to_64_dimensions(
    kernel: str, head_dim: int, profile: str
) -> None:
    assert found(kernel=kernel, phase="prefill", head_dim=head_dim).kernel.profile == profile


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        ("PyTorch SDPA", "triton_amd_prefill"),  # AOTriton
        ("PyTorch SDPA CK", "ck_prefill"),
        ("PyTorch eager", "standard"),
        ("FlashAttention-2", "ck_prefill"),
    ],
)
def test_what_pytorch_asks_on_amd(kernel: str, profile: str) -> None:
    assert found(kernel=kernel, gpu="MI300X", phase="prefill").kernel.profile == profile
