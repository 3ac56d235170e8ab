"""What must hold for any stream: bytes balance, order is causal, windows and repetition change nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.config.hardware import Hardware
from sim.memory.fetches import FetchTable
from sim.memory.stamps import Stamp
from tests.memory.conftest import Outcome, changed, drive, table

RUNS = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 3000)), min_size=1, max_size=4)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mixed(seed: int, count: int = 400, span: int = 1 << 22, longest: int = 4000) -> FetchTable:
    """Random reads and writes of random lengths over a range that exceeds the small L2."""
    rng = np.random.default_rng(seed)
    runs = [
        [(int(a), int(b)) for a, b in zip(rng.integers(0, span, n), rng.integers(1, longest, n), strict=True)]
        for n in rng.integers(1, 4, count)
    ]
    return table(runs, writes=np.flatnonzero(rng.random(count) < 0.3).tolist())


def sectors(fetches: FetchTable, size: int) -> int:
    """Bytes in whole sectors, counted without the plane."""
    first = fetches.run_addr // size
    last = (fetches.run_addr + fetches.run_bytes - 1) // size
    return int((last - first + 1).sum()) * size


def assert_balanced(outcome: Outcome, fetches: FetchTable, sector: int = 32) -> None:
    count = outcome.plane.counters
    assert count["wanted"] == int(fetches.run_bytes.sum())
    assert count["requested"] == sectors(fetches, sector)
    assert count["requested"] == count["l2_read"] + count["l2_write"]
    assert count["l2_read"] == count["l2_hit"] + count["l2_miss"]
    assert count["l2_miss"] == count["hbm_read"] + count["llc_hit"]
    assert count["hbm_write"] <= count["l2_write"]
    assert sum(v for k, v in count.items() if k.startswith("requested_")) == count["requested"]


@QUICK
@given(st.lists(RUNS, min_size=1, max_size=12), st.integers(1, 4), st.data())
def test_bytes_balance_at_every_boundary(
    small: Hardware, runs: list[list[tuple[int, int]]], sms: int, data: st.DataObject
) -> None:
    writes = data.draw(st.lists(st.integers(0, len(runs) - 1), unique=True))
    fetches = table(runs, writes=writes)
    outcome = drive(small, fetches, lambda f: f % sms, depth=2)
    assert len(outcome.seen) == fetches.fetches
    assert_balanced(outcome, fetches)


def test_a_congested_mix_balances_and_its_stamps_are_causal(small: Hardware) -> None:
    hw = changed(small, l2__mshrs_per_slice=8, hbm__refresh="per_bank", l2__partitions=2)
    fetches = mixed(1)
    outcome = drive(hw, fetches, lambda f: f % 4, depth=3)
    assert_balanced(outcome, fetches)
    assert outcome.counter("mshr_stalls") > 0
    s = outcome.plane.stamps
    instants = s[:, [Stamp.SUBMIT, Stamp.ISSUE, Stamp.L2_ARRIVE, Stamp.L2_DONE]]
    assert (np.diff(instants, axis=1) >= 0).all()
    assert (s[:, Stamp.SM_ARRIVE] >= s[:, Stamp.L2_DONE] + 50_000).all()
    assert (s[:, [Stamp.NOC_QUEUE, Stamp.L2_QUEUE, Stamp.HBM_QUEUE, Stamp.INFLIGHT_WAIT]] >= 0).all()
    assert (s[:, Stamp.INFLIGHT_WAIT] <= s[:, Stamp.ISSUE] - s[:, Stamp.SUBMIT]).all()
    assert [(t, f) for t, f in outcome.seen] == [(int(s[f, Stamp.SM_ARRIVE]), f) for _, f in outcome.seen]


def test_shorter_windows_change_their_number_and_nothing_else(small: Hardware) -> None:
    hw = changed(
        small, hbm__refresh="per_bank", l2__mshrs_per_slice=16, l2__partitions=2, tlb__l2_latency_ns=20
    )
    fetches = mixed(2)
    runs = [drive(hw, fetches, lambda f: f % 4, depth=3, window_scale=w) for w in (1, 1 / 2, 1 / 7)]
    windows = [run.plane.windows for run in runs]
    assert windows[0] < windows[1] < windows[2]
    for run in runs[1:]:
        assert run.seen == runs[0].seen
        assert np.array_equal(run.plane.stamps, runs[0].plane.stamps)


def test_the_same_run_gives_the_same_bits(small: Hardware) -> None:
    first, second = (drive(small, mixed(3), lambda f: f % 4, depth=2) for _ in range(2))
    assert first.seen == second.seen
    assert first.plane.counters == second.plane.counters


def test_requests_for_lines_in_flight_are_merged(small: Hardware) -> None:
    fetches = table([[(0, 512)]] * 4)
    outcome = drive(small, fetches, lambda f: f)
    assert outcome.counter("hbm_read") == 512
    assert outcome.counter("merges") == 3
    assert outcome.counter("l2_hit") == 3 * 512


def test_short_runs_move_whole_sectors(small: Hardware) -> None:
    outcome = drive(small, table([[(8, 16), (60, 8)]]), lambda f: 0)
    assert outcome.counter("wanted") == 24
    assert outcome.counter("requested") == 32 + 64


def test_exact_grain_moves_the_same_bytes_in_about_the_same_time(small: Hardware) -> None:
    """A latency-bound stream of 4 SMs, the worst of all: a train's blocks wait for each other, lines do not (4.4%)."""
    fetches = table([[(at, 8192)] for at in range(0, 1 << 20, 8192)])
    train = drive(small, fetches, lambda f: f % 4, depth=2)
    exact = drive(changed(small, hbm__grain="exact"), fetches, lambda f: f % 4, depth=2)
    assert exact.counter("hbm_read") == train.counter("hbm_read")
    assert abs(exact.end / train.end - 1) < 0.05


@pytest.mark.parametrize("residency", [{}, {"metadata": "pin", "shared_prefix": "bypass"}])
@pytest.mark.parametrize("copies", [False, True])
def test_plain_python_gives_the_same_bits_as_compiled_code(
    small: Hardware, repo: Path, copies: bool, residency: dict[str, str]
) -> None:
    hw = changed(
        small,
        hbm__refresh="per_bank",
        l2__mshrs_per_slice=16,
        l2__capacity_mib=0.0625 if residency else 0.25,
        l2__residency=residency,
        tlb__l2_latency_ns=20,
        tlb__l1_entries=8,
        l2__partitions=2,
        l2__far_copies=copies,
        l2__replacement="nru" if copies else "lru",
        translation__assist=copies,
        translation__sm_entries=16,
        translation__shared_entries=16,
        translation__walkers=1,
    )
    from tests.memory.plain_twin import digest, plain_digest

    assert plain_digest(hw, 7, repo) == digest(hw, 7)
