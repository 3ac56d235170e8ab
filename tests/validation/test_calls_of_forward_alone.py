"""A campaign of vLLM 0.20 that calls a backend's forward alone: no store, no quantisation, queries as they come."""

import pytest

from sim.config.load import load_hardware
from sim.validation.around import around_us
from sim.validation.names import shipped_names
from tests.validation.rows import mapped_row
from tests.validation.test_names_of_measurements import found

CAMPAIGN = "NVIDIA AIConfigurator silicon database: {}, vLLM 0.20.0"


@pytest.mark.parametrize(
    ("gpu", "kernel", "kv", "profile", "around"),
    [
        ("B200", "vLLM FlashInfer", "fp8", "trtllm_gen_16bit_queries", []),
        ("B200", "vLLM FlashInfer", "bf16", "trtllm_gen", []),
        ("H200", "vLLM FlashAttention-3", "fp8", "fa3_fp8", []),
        ("A100-SXM4-80GB", "vLLM FlashAttention", "bf16", "fa2", ["queries_about", "result_back"]),
    ],
)
def test_it_stores_and_quantises_nothing(
    gpu: str, kernel: str, kv: str, profile: str, around: list[str]
) -> None:
    meaning = found(source=CAMPAIGN.format(gpu), gpu=gpu, kernel=kernel, kv_dtype=kv, q_heads=32, kv_heads=8)
    assert (meaning.kernel.profile, meaning.runtime.framework) == (profile, "vllm_forward")
    assert [part.name for part in meaning.runtime.around] == around


def test_queries_of_16_bit_multiply_an_expanded_cache() -> None:
    cells = {"gpu": "B200", "kernel": "vLLM FlashInfer", "phase": "prefill", "kv_dtype": "fp8"}
    meaning = found(source=CAMPAIGN.format("B200"), **cells)
    assert (meaning.kernel.profile, meaning.kernel.kv_format) == ("trtllm_gen_prefill", "bf16")
    assert found(source="a blog", **cells).kernel.profile == "trtllm_gen_prefill_fp8"


def test_the_overhead_on_a100_is_less_by_the_store_of_the_new_token() -> None:
    """The store is one kernel for a token a sequence, which a replay finds in L2: its gap and a few trips. Two fits, of
    two versions of vLLM, one when replays read tables from memory, differ by more: 1.9 us simulated, 2.6 fitted."""
    known = {(o.framework, o.kv): o.overhead_us for o in shipped_names().overheads if o.hw == "a100_sxm_80gb"}
    stored = known["vllm", "16bit"] - known["vllm_forward", "16bit"]
    row = {"gpu": "A100-SXM4-80GB", "kernel": "vLLM FlashAttention", "phase": "prefill", "causal": True}
    case = mapped_row(source="AIConfigurator: A100, vLLM 0.14.0", batch=1, q_len=2, context=2, **row)
    assert stored == pytest.approx(around_us(case, load_hardware("a100_sxm_80gb").spec), rel=0.4)


def test_what_stands_for_an_overhead_of_sglang_is_that_one() -> None:
    """Fits move sglang's; those that nobody could fit follow."""
    known = shipped_names().overheads
    borrowed = [o for o in known if o.ref.startswith("that of sglang there")]
    assert len(borrowed) == 3
    for overhead in borrowed:
        of_sglang = next(o for o in known if (o.framework, o.hw, o.kv) == ("sglang", overhead.hw, "16bit"))
        assert overhead.overhead_us == of_sglang.overhead_us


@pytest.mark.parametrize(
    ("gpu", "kernel", "framework", "around"),
    [
        ("H200", "vLLM FLASH_ATTN (FAv3)", "vllm_forward", []),
        ("H200", "vLLM FLASHINFER (XQA decode)", "flashinfer", []),
        ("A100-SXM4-80GB", "vLLM FlashAttention", "vllm_forward", ["queries_about", "result_back"]),
    ],
)
def test_the_benchmark_of_vllms_backends_calls_forward_alone(
    gpu: str, kernel: str, framework: str, around: list[str]
) -> None:
    cells = {"q_heads": 32, "kv_heads": 8, "notes": "benchmarks/attention_benchmarks, 4 layers"}
    runtime = found(source="a pull request", gpu=gpu, kernel=kernel, **cells).runtime
    assert (runtime.framework, runtime.page_order, runtime.launch) == (framework, "sequential", "graph")
    assert [part.name for part in runtime.around] == around


@pytest.mark.parametrize(("batch", "state"), [(4, "warm"), (8, "rotated")])
def test_caches_of_four_layers_are_warm_if_l2_holds_them_all(batch: int, state: str) -> None:
    """K and V of 8 heads of 128 in 16 bit are 4 KiB a token. Sequences of 512: four layers of 4 take 32 MiB, of 8
    take 64. The L2 of an H200 holds 60."""
    case = mapped_row(gpu="H200", context=512, batch=batch, notes="vLLM's attention benchmark")
    held = case.hw.l2.capacity_mib * case.hw.l2.effective_fraction
    assert case.workload.l2_state == state
    assert 32 < held < 64
