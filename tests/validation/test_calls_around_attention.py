"""What a framework's measured call runs beside attention."""

import pytest

from sim.config.load import load_hardware
from sim.validation.around import around_us
from sim.validation.attention import map_rows
from sim.validation.names import shipped_names
from sim.validation.truth import read_truth

HEADER = (
    "id,source,source_address,gpu,kernel,phase,batch,q_heads,kv_heads,head_dim,q_len,context,page_size,kv_dtype,causal,"
    "metric,value,unit,notes"
)


def _case(tmp_path, kernel, phase, q_len, kv="bf16", notes=""):
    path = tmp_path / f"{phase}.csv"
    row = f"a,mine,,H100,{kernel},{phase},8,32,32,128,{q_len},8192,,{kv},true,latency,99999,us,{notes}"
    path.write_text(f"{HEADER}\n{row}\n")
    cases, skipped = map_rows(read_truth(path), shipped_names())
    assert not skipped
    return cases[0]


def test_a_prefill_call_of_vllm_reads_and_writes_the_new_keys_and_values_at_the_rate_of_memory(tmp_path):
    hw = load_hardware("h100_sxm").spec
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192)
    moved = 2 * (8 * 8192 * 2 * 32 * 128 * 2)
    assert around_us(case, hw) == pytest.approx(moved / 3352e3, rel=0.02)


def test_the_preprocessing_of_tensorrt_llm_moves_the_queries_too(tmp_path):
    hw = load_hardware("h100_sxm").spec
    trtllm = around_us(_case(tmp_path, "TRT-LLM attention", "prefill", 8192), hw)
    vllm = around_us(_case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192), hw)
    assert trtllm / vllm == pytest.approx(3 / 2, rel=0.02)


def test_one_new_token_is_left_to_the_fixed_overhead(tmp_path):
    hw = load_hardware("h100_sxm").spec
    assert around_us(_case(tmp_path, "vLLM FlashAttention-3", "decode", 1), hw) == 0


def test_an_fp8_cache_of_vllm_has_the_queries_read_twice_and_written_in_half(tmp_path):
    # New keys and values: 2 B read, 1 B written; queries of the same width: 2 x 2 B read, 1 B written.
    hw = load_hardware("h100_sxm").spec
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192, kv="fp8")
    values = 8 * 8192 * 32 * 128
    assert around_us(case, hw) == pytest.approx((3 * 2 * values + 5 * values) / 3352e3, rel=0.03)


# Bytes per new token and head: K and V of 128 values each in 16 bit, in FP8 as they are stored; queries of 128 values.
KV, Q = 2 * 128 * 2, 128 * 2


@pytest.mark.parametrize(
    ("kernel", "notes", "moved"),
    [
        ("vLLM FlashInfer prefill", "", KV + KV / 2),
        ("vLLM TRT-LLM gen", "", KV + KV / 2),
        ("SGLang FlashInfer", "", KV + KV / 2),
        ("SGLang TRT-LLM gen MHA", "", KV + KV / 2),
        ("SGLang FlashAttention-3", "", KV + KV / 2 + Q + Q / 2),
        ("TRT-LLM attention", "compute dtype bf16", KV + KV / 2 + 2 * Q),
        ("TRT-LLM attention", "compute dtype fp8", KV + KV / 2 + Q + Q / 2),
    ],
)
def test_keys_and_values_are_written_to_an_fp8_cache_in_one_byte_each(tmp_path, kernel, notes, moved):
    hw = load_hardware("h100_sxm").spec
    case = _case(tmp_path, kernel, "prefill", 8192, kv="fp8", notes=notes)
    assert around_us(case, hw) == pytest.approx(8 * 8192 * 32 * moved / 3352e3, rel=0.03)


def test_calls_around_prefill_run_at_the_clock_of_prefill(tmp_path):
    # Ports of 1 B/clk are the limit: 132 SMs at 1 GHz.
    hw = load_hardware("h100_sxm", ("hw.noc.port_bytes_per_clk=1", "hw.sm.busy_clock_ghz=1")).spec
    case = _case(tmp_path, "vLLM FlashAttention-3", "prefill", 8192)
    assert around_us(case, hw) == pytest.approx(8 * 8192 * 32 * 2 * KV / 132e3, rel=0.02)
