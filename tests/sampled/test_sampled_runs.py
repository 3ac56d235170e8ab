"""`--fidelity sampled` beside full runs, end to end."""

import numpy as np
import pytest

from sim.cli.endings import exit_code_of
from sim.cli.job import run_named
from sim.cli.main import pagewalk
from sim.result import Result
from sim.sampled.run import Sampled

SMALL = ("workload.kernel=fa3", "workload.batch=2", "workload.context=2048")
LARGE = ("workload.kernel=fa3", "workload.batch=24", "workload.context=4096")


def run(sets: tuple[str, ...], fidelity: str, hw: str = "h100_sxm") -> Result:
    return run_named("decode_16x8k", hw, sets, fidelity=fidelity, seed=0, what_if=False, verify=False)


@pytest.fixture(scope="module")
def large() -> tuple[Result, Result]:
    return run(LARGE, "sampled"), run(LARGE, "full")


def test_a_small_launch_is_simulated_whole() -> None:
    sampled, full = run(SMALL, "sampled"), run(SMALL, "full")
    assert sampled.time_ns == full.time_ns
    assert sampled.counters == full.counters
    assert sampled.sampling == {"mode": "sampled", "share": 1.0, "relative_ci95": 0.0, "pace": 1.0}


def test_a_large_launch_is_within_its_interval_of_full(large: tuple[Result, Result]) -> None:
    sampled, full = large
    assert sampled.sampling["share"] < 0.5
    assert sampled.time_ns == pytest.approx(full.time_ns, rel=sampled.sampling["relative_ci95"])
    assert sampled.time_ns == pytest.approx(full.time_ns, rel=0.03)


def test_the_same_mapping_is_chosen_sampled_and_full(large: tuple[Result, Result]) -> None:
    sampled, full = large
    assert sampled.mapping == full.mapping


def test_a_search_finds_the_same_mapping_sampled_and_full() -> None:
    sets = ("workload.kernel=auto", "workload.batch=8", "workload.context=4096")
    sampled, full = run(sets, "sampled"), run(sets, "full")
    assert sampled.mapping["runners_up"]
    assert sampled.mapping == full.mapping


def test_a_replay_from_a_last_level_cache_runs_whole() -> None:
    """162 MB in 256 MiB of MI300X: what it finds there is not found in L2. Twice as much as there is room for is."""
    sets = ("workload.kernel=register_decode", "workload.context=4400", "workload.l2_state=warm")
    fits, beyond = (run((*sets, f"workload.batch={batch}"), "sampled", "mi300x") for batch in (9, 31))
    assert fits.sampling["relative_ci95"] == 0.0
    assert beyond.sampling["share"] < 1.0


def test_what_cannot_be_replayed_is_not_verified(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("run", "decode_1x8k_warm", "--hw", "h100_sxm", "--fidelity", "sampled", "--verify")
    assert exit_code_of(pagewalk, arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err.strip().splitlines()[-1]
        == "Error: --verify replays every tile: it needs --fidelity full."
    )


def test_the_account_of_a_sampled_run_closes(large: tuple[Result, Result]) -> None:
    assert large[0].stalls is not None
    assert sum(large[0].stalls.values()) == pytest.approx(1, abs=1e-9)


def test_bytes_balance_and_a_cold_stream_reads_all_from_memory(large: tuple[Result, Result]) -> None:
    """A sample that kept its few tiles in L2 would invent hits; each byte of this KV is read once."""
    sampled, full = (result.counters for result in large)
    assert sampled["l2_hit"] + sampled["l2_miss"] == sampled["l2_read"]
    kv = 24 * 4096 * 8 * 128 * 2 * 2
    assert kv <= sampled["hbm_read"] <= 1.01 * kv
    assert sampled["hbm_read"] == pytest.approx(full["hbm_read"], rel=0.01)


@pytest.mark.parametrize(
    ("workload", "sets"),
    [
        # 64 rows a CTA: queries of 74 KB beside tiles of 74 KB, and partial results of 131 KB.
        ("decode_mla", ("workload.kernel=flashmla", "workload.batch=16", "workload.context=8192")),
        ("verify_32x8k", ("workload.kernel=fa3", "workload.batch=16", "workload.q_len=8")),
    ],
)
def test_bytes_that_do_not_grow_with_the_context_are_not_scaled(workload: str, sets: tuple[str, ...]) -> None:
    """A sample has fewer tiles a CTA, but all of its query rows, outputs and partial results."""
    options = {"seed": 0, "what_if": False, "verify": False}
    sampled, full = (
        run_named(workload, "h100_sxm", sets, fidelity=fidelity, **options)  # type: ignore[arg-type]
        for fidelity in ("sampled", "full")
    )
    assert sampled.sampling["share"] < 0.5
    for name in ("l2_read", "l2_write", "requested_kv", "requested_output", "requested_partial", "wanted"):
        assert sampled.counters[name] == pytest.approx(full.counters[name], rel=1e-3), name
    assert sampled.bytes["hbm_read"] == pytest.approx(full.bytes["hbm_read"], rel=0.03)


@pytest.mark.parametrize(
    "sets",
    [
        # pages of 16: entries of 512 tokens in a line of 128 bytes, of which a shortened CTA has fewer
        ("workload.kernel=fa3", "workload.batch=8", "workload.context=8192", "workload.page_tokens=16"),
        (
            "workload.kernel=flashinfer",
            "workload.batch=24",
            "workload.page_tokens=1",
            "workload.context=2500",
        ),
        ("workload.kernel=fa3", "workload.batch=16", "workload.table_layout=two_level"),
    ],
    ids=["16 tokens a page", "1 token a page", "two levels"],
)
def test_block_tables_are_counted_by_line(sets: tuple[str, ...]) -> None:
    sampled, full = run(sets, "sampled"), run(sets, "full")
    assert sampled.sampling["share"] < 0.5
    assert sampled.bytes["block_table"] == full.bytes["block_table"] > 0


def test_a_warm_prefill_whose_queries_left_l2_waits_for_them() -> None:
    """Q and O of four prompts are 2.7 times the L2, K and V a third of it: all Q comes from memory again, and the first
    reader of each K and V brings it."""
    sets = ("workload.kernel=fa3_prefill", "workload.batch=4", "workload.context=1024", "workload.q_len=1024")
    options = {"seed": 0, "what_if": False, "verify": False}
    sampled, full = (
        run_named("prefill_4k", "h100_sxm", (*sets, "workload.l2_state=warm"), fidelity=fidelity, **options)  # type: ignore[arg-type]
        for fidelity in ("sampled", "full")
    )
    assert full.counters["l2_miss"] == pytest.approx(4 * 1024 * (64 * 256 + 2 * 8 * 256), rel=1e-4)
    assert sampled.counters["l2_miss"] == pytest.approx(full.counters["l2_miss"], rel=0.1)
    assert sampled.time_ns == pytest.approx(full.time_ns, rel=0.03)


def test_a_warm_replay_far_beyond_l2_finds_nothing_in_a_sample_either() -> None:
    """Eight times the capacity: full finds next to nothing."""
    sets = (*LARGE[:1], "workload.batch=48", "workload.context=2048", "workload.l2_state=warm")
    sampled = run(sets, "sampled")
    assert sampled.sampling["share"] < 1
    assert sampled.counters["l2_hit"] < 0.02 * sampled.counters["l2_read"]


def test_no_bound_is_beaten(large: tuple[Result, Result]) -> None:
    assert large[0].time_ns >= large[0].bound_ns


def test_an_estimate_that_beats_a_bound_is_not_used(
    large: tuple[Result, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an estimate is wrong; the launch then runs whole, and nothing is clamped."""
    too_fast = Sampled(1.0, {}, {}, relative_ci95=0.0, pace=1.0, share=0.5)
    monkeypatch.setattr("sim.attention_run.run_sampled", lambda *_: too_fast)
    result = run(LARGE, "sampled")
    assert result.sampling["share"] == 1
    assert result.time_ns == large[1].time_ns


def test_equal_runs_give_equal_bits(large: tuple[Result, Result]) -> None:
    again = run(LARGE, "sampled")
    assert again.time_ns == large[0].time_ns
    assert again.counters == large[0].counters
    assert np.array_equal(list((again.stalls or {}).values()), list((large[0].stalls or {}).values()))
