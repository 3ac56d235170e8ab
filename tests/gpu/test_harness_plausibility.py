"""What the harness flags: each bound from both sides, expected values by hand."""

from gpu_harness.claims import claims_about
from gpu_harness.plausibility import Peaks, flag_of, kv_bytes, peaks_of, prefill_flops
from gpu_harness.rows import Record

H200 = Peaks(hbm_gb_s=4800, bf16_tflops=989.4, l2_mib=60)


def row(measurement: str, value: float, unit: str, **cells: str | int | float) -> Record:
    return {"measurement": measurement, "value": value, "unit": unit, "check": "ok", **cells}


def decode(value: float, l2_state: str) -> Record:
    shape = {"batch": 16, "context": 8192, "kv_heads": 8, "head_dim": 128, "kv_dtype": "bf16"}
    return row("decode_attention", value, "us", l2_state=l2_state, **shape)


def test_the_peak_is_found_by_the_name_of_the_part() -> None:
    assert peaks_of("NVIDIA H200") == H200
    assert peaks_of("NVIDIA H100 PCIe") != peaks_of("NVIDIA H100 80GB HBM3")
    assert peaks_of("Some Other GPU") is None


def test_cold_bandwidth_above_the_peak_is_flagged_and_below_is_not() -> None:
    assert flag_of(row("stream", 4900, "GB/s", l2_state="cold"), H200) == "above the HBM peak of 4800 GB/s"
    assert flag_of(row("stream", 4700, "GB/s", l2_state="cold"), H200) == ""


def test_warm_bandwidth_may_beat_the_peak_only_while_it_fits() -> None:
    assert flag_of(row("stream", 7000, "GB/s", l2_state="warm", footprint_bytes=32 << 20), H200) == ""
    assert flag_of(row("stream", 7000, "GB/s", l2_state="warm", footprint_bytes=4 << 30), H200) != ""


def test_a_cold_decode_faster_than_its_bytes_is_flagged() -> None:
    # 2 x 16 x 8192 tokens x 8 heads x 128 x 2 B = 536.9 MB: 111.8 us at 4800 GB/s; less 60 MiB of L2 98.7
    assert kv_bytes(decode(1, "cold")) == 536_870_912
    assert flag_of(decode(111, "cold"), H200) == "faster than its bytes at peak (111.8 us)"
    assert flag_of(decode(113, "cold"), H200) == ""
    assert flag_of(decode(111, "warm"), H200) == ""
    assert flag_of(decode(98, "warm"), H200) == "faster than its bytes at peak (98.7 us)"


def test_a_causal_prefill_does_half_of_the_square() -> None:
    shape = {"batch": 1, "q_heads": 32, "head_dim": 128, "q_len": 4096}
    causal = row("prefill_attention", 100, "us", causal="true", **shape)
    assert prefill_flops(causal) == 4 * 32 * 128 * 4096 * 4097 / 2  # 137.5 GFLOP, 138.95 us at peak
    assert flag_of({**causal, "value": 138.9}, H200) == "faster than its operations at peak (138.9 us)"
    assert flag_of({**causal, "value": 200.0}, H200) == ""


def test_a_rate_that_the_unit_cannot_have_is_flagged() -> None:
    assert flag_of(row("exp_rate", 15.8, "values/clk/SM", method="ex2.approx.ftz.f32"), H200) == ""
    assert "outside [12, 16.5]" in flag_of(
        row("exp_rate", 31.0, "values/clk/SM", method="ex2.approx.ftz.f32"), H200
    )


def test_a_failed_check_is_a_flag_and_a_skipped_row_is_none() -> None:
    assert flag_of({**decode(120, "cold"), "check": "failed"}, H200) == "its correctness check failed"
    assert flag_of({"measurement": "chase", "check": "skipped"}, H200) == ""


def test_claims_without_their_rows_are_left_out() -> None:
    assert claims_about([], H200) == []


def test_longer_runs_that_gather_more_slowly_are_pointed_at() -> None:
    rows = [
        row("gather", value, "GB/s", method="bulk", l2_state="cold", run_bytes=run)
        for run, value in ((64, 900), (128, 1800), (256, 1200))
    ]
    claim = claims_about(rows, H200)[0]
    assert not claim.ok
    assert claim.seen == "0.67 bulk at 256 B"
    rows[2]["value"] = 1750.0
    assert claims_about(rows, H200)[0].ok


def test_few_bytes_in_flight_imply_a_latency() -> None:
    # 132 SMs x 2048 B in flight / 300 GB/s = 901 ns
    rows = [
        row("device_property", 132, "count", variant="multiprocessors"),
        row("inflight", 300, "GB/s", method="plain", inflight_bytes_per_sm=2048),
    ]
    assert [(claim.seen, claim.ok) for claim in claims_about(rows, H200)] == [("901 ns", True)]


def test_prefetched_entries_are_compared_at_the_same_page_and_blocks() -> None:
    rows = [
        row("block_table_gather", value, "GB/s", variant=variant, run_bytes=2048, ctas_per_sm=ctas)
        for variant, ctas, value in (("exposed", 1, 400), ("prefetched", 1, 600), ("prefetched", 4, 100))
    ]
    assert [(claim.seen, claim.ok) for claim in claims_about(rows, H200)] == [("1.50 to 1.50", True)]


def test_cold_decode_that_beats_warm_is_pointed_at() -> None:
    pair = [{**decode(120, "warm"), "kernel": "k"}, {**decode(100, "cold"), "kernel": "k"}]
    claims = {claim.claim: claim for claim in claims_about(pair, None)}
    assert not claims["decode with a cold L2 is not faster than warm"].ok
