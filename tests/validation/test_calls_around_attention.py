"""What a framework's measured call runs beside attention."""

import pytest

from sim.config.load import load_hardware
from sim.config.runtime import Pointwise
from sim.memory.latency import l2_trip_ns
from sim.validation.around import around_us, call_bytes
from sim.validation.attention import map_rows
from sim.validation.names import shipped_names
from sim.validation.truth import read_truth

H100 = load_hardware("h100_sxm").spec
QUICK = load_hardware("h100_sxm", ("hw.sm.clock_ghz=10", "hw.noc.port_bytes_per_clk=64")).spec
"""The same memory, and SMs that are never the limit."""
RATE = 3352e3 * (1 - H100.hbm.busy_fraction)
"""Bytes per us that memory has left."""
HEADER = (
    "id,source,source_address,gpu,kernel,phase,batch,q_heads,kv_heads,head_dim,q_len,context,page_size,kv_dtype,causal,"
    "metric,value,unit,notes"
)


def _case(tmp_path, kernel, phase, q_len, kv="bf16", notes="", heads="32,32", gpu="H100"):
    path = tmp_path / f"{phase}.csv"
    row = f"a,mine,,{gpu},{kernel},{phase},8,{heads},128,{q_len},8192,,{kv},true,latency,99999,us,{notes}"
    path.write_text(f"{HEADER}\n{row}\n")
    cases, skipped = map_rows(read_truth(path), shipped_names())
    assert not skipped
    return cases[0]


def test_a_prefill_call_of_vllm_reads_and_writes_the_new_keys_and_values_at_the_rate_of_memory(tmp_path):
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192)
    moved = 2 * (8 * 8192 * 2 * 32 * 128 * 2)
    assert around_us(case, H100) == pytest.approx(moved / RATE, rel=0.02)


def test_the_preprocessing_of_tensorrt_llm_moves_the_queries_too(tmp_path):
    trtllm = around_us(_case(tmp_path, "TRT-LLM attention", "prefill", 8192), H100)
    vllm = around_us(_case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192), H100)
    assert trtllm / vllm == pytest.approx(3 / 2, rel=0.02)


def test_with_few_kv_heads_the_preprocessing_of_tensorrt_llm_takes_its_clocks_for_every_query_value(tmp_path):
    # In and out, 64 and 2 x 8 heads of 256 B: 40,960 B a token, 13.4 ns; 64 x 128 values on 132 SMs take longer.
    case = _case(tmp_path, "TRT-LLM attention", "prefill", 8192, heads="64,8")
    clocks = next(k.clocks["q"] for k in case.names.runtime.around)
    expected = 8 * 8192 * 64 * 128 * clocks / (132 * H100.sm.clock_ghz * 1e3)
    assert around_us(case, H100) == pytest.approx(expected, rel=0.02)


def test_one_new_token_is_left_to_the_fixed_overhead(tmp_path):
    assert around_us(_case(tmp_path, "vLLM FlashAttention-3", "decode", 1), H100) == 0


@pytest.mark.parametrize(("heads", "copies"), [("32,8", 2), ("8,1", 1), ("8,8", 0)])
def test_flash_attention_2_in_vllm_copies_queries_and_result_where_heads_share_kv_heads(
    tmp_path, heads, copies
):
    case = _case(tmp_path, "vLLM FlashAttention-2", "decode", 1, heads=heads, gpu="L40S")
    hw = case.hw
    one = hw.launch.graph_ns + hw.launch.cta_ns + 2 * l2_trip_ns(hw)
    moved = 2 * 8 * int(heads.split(",")[0]) * 128 * 2
    moved /= max(8, moved // 4096) * hw.noc.port_bytes_per_clk * hw.sm.clock_ghz
    assert around_us(case, hw) == pytest.approx(copies * (one + moved) / 1e3, rel=0.02)


@pytest.mark.parametrize("kernel", ["vLLM FlashAttention-3", "vLLM FlashAttention (FA3)", "vLLM FlashInfer"])
def test_others_in_vllm_copy_nothing(tmp_path, kernel):
    assert around_us(_case(tmp_path, kernel, "decode", 1, heads="32,8"), H100) == 0


def test_several_new_tokens_are_not_turned_about(tmp_path):
    assert (
        around_us(_case(tmp_path, "vLLM FlashAttention-2", "decode", 4, heads="32,8", gpu="L40S"), H100) == 0
    )


def test_a_prefill_of_one_token_is_a_decode_step(tmp_path):
    case = _case(tmp_path, "vLLM FlashAttention-2", "prefill", 1, heads="32,8", gpu="L40S")
    assert (case.row.phase, case.names.kernel.profile) == ("decode", "fa2")


def test_an_fp8_cache_of_vllm_has_the_queries_read_twice_and_written_in_half(tmp_path):
    # New keys and values: 2 B read, 1 B written; queries of the same width: 2 x 2 B read, 1 B written.
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192, kv="fp8")
    values = 8 * 8192 * 32 * 128
    assert around_us(case, QUICK) == pytest.approx((3 * 2 * values + 5 * values) / RATE, rel=0.03)


# Bytes per new token and head: K and V of 128 values each in 16 bit, in FP8 as they are stored; queries of 128 values.
KV, Q = 2 * 128 * 2, 128 * 2


@pytest.mark.parametrize(
    ("kernel", "notes", "moved"),
    [
        ("vLLM FlashInfer prefill", "", KV + KV / 2),
        ("vLLM TRT-LLM gen", "", KV + KV / 2),
        ("SGLang FlashInfer", "", KV + KV / 2),
        ("SGLang TRT-LLM gen MHA", "", KV + KV / 2 + Q + Q / 2),
        ("SGLang FlashAttention-3", "", KV + KV / 2 + Q + Q / 2),
        ("TRT-LLM attention", "compute dtype bf16", KV + KV / 2 + 2 * Q),
        ("TRT-LLM attention", "compute dtype fp8", KV + KV / 2 + Q + Q / 2),
    ],
)
def test_keys_and_values_are_written_to_an_fp8_cache_in_one_byte_each(tmp_path, kernel, notes, moved):
    case = _case(tmp_path, kernel, "prefill", 8192, kv="fp8", notes=notes)
    assert around_us(case, QUICK) == pytest.approx(8 * 8192 * 32 * moved / RATE, rel=0.03)


def test_calls_around_prefill_run_at_the_clock_of_prefill(tmp_path):
    # Ports of 1 B/clk are the limit: 132 SMs at 1 GHz.
    hw = load_hardware("h100_sxm", ("hw.noc.port_bytes_per_clk=1", "hw.sm.busy_clock_ghz=1")).spec
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192)
    assert around_us(case, hw) == pytest.approx(8 * 8192 * 32 * 2 * KV / 132e3, rel=0.02)


def test_a_replayed_call_touches_what_it_reads_once_and_all_that_it_writes():
    # Queries of 64 B, read by two kernels, and written in half; keys and values of 32 B, stored in 16.
    kernels = [
        Pointwise(name="append", reads={"kv": 1}, writes={"cache": 1}),
        Pointwise(name="maximum", reads={"q": 1}),
        Pointwise(name="quantisation", reads={"q": 1}, writes={"q": 0.5}),
    ]
    assert call_bytes(kernels, {"q": 64, "kv": 32, "cache": 16}) == 32 + 16 + 64 + 32


def test_a_call_whose_values_do_not_fit_l2_together_finds_none_of_them(tmp_path):
    # 512 tokens, 64 and 32 heads: 25 MB, of which no kernel takes more than 13. They fit 40 MiB, and not 20.
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 64, kv="fp8", heads="64,32")
    sizes = [
        QUICK.model_copy(update={"l2": QUICK.l2.model_copy(update={"capacity_mib": m})}) for m in (40, 20)
    ]
    fits, missed = (around_us(case, hw) for hw in sizes)
    moved = 8 * 64 * 64 * (KV / 2 * 1.5 + Q * 2.5)
    assert missed - fits == pytest.approx(moved / RATE - moved / (H100.l2.bandwidth_gb_s * 1e3), rel=0.02)
