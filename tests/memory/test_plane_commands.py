"""Device memory's commands as an independent checker sees them, at both grains and under every policy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.config.hardware import Hardware
from sim.memory import peaks
from sim.memory.dram.standards import STANDARDS
from sim.memory.stamps import Stamp
from tests.memory.command_checker import ACT, PRE, RD, WR, problems
from tests.memory.conftest import Outcome, changed, drive, table
from tests.memory.test_plane_invariants import assert_balanced, mixed

QUICK = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROOM = 200_000


def logged(hw: Hardware, seed: int, count: int = 150, span: int = 1 << 21) -> tuple[Outcome, np.ndarray]:
    outcome = drive(hw, mixed(seed, count, span), lambda f: f % 4, depth=3, log_rows=ROOM)
    log = outcome.plane.commands()
    assert 0 < len(log) < ROOM
    return outcome, log


def broken_rules(hw: Hardware, log: np.ndarray) -> list[str]:
    std = STANDARDS[hw.hbm.standard]
    burst_ps = round(1000 * std.access_bytes * peaks.channels(hw.hbm) / peaks.peak_gb_s(hw.hbm))
    refresh = {"all_bank": std.trfc_ns, "per_bank": std.trfc_pb_ns, "none": 0.0}[hw.hbm.refresh]
    return problems(log, std, burst_ps, refresh)


@pytest.mark.parametrize("standard", list(STANDARDS))
@QUICK
@given(
    st.integers(0, 1 << 30),
    st.sampled_from(["train", "exact"]),
    st.sampled_from(["open", "closed", "adaptive"]),
    st.sampled_from(["per_bank", "all_bank", "none"]),
    st.sampled_from([1, 64]),
    st.sampled_from([1.0, 0.2]),
)
def test_no_timing_constraint_is_broken_and_no_bank_or_bus_used_twice(
    small: Hardware, standard: str, seed: int, grain: str, page: str, refresh: str, cap: int, rate: float
) -> None:
    hw = changed(
        small,
        hbm__grain=grain,
        hbm__page_policy=page,
        hbm__page_idle_ns=100,
        hbm__refresh=refresh,
        hbm__standard=standard,
        hbm__starvation_cap=cap,
        hbm__pin_gbit_s=rate * STANDARDS[standard].pin_gb_s,
        hbm__stacks=1 if standard.startswith("HBM") else 4,
        l2__capacity_mib=0.25,
    )
    outcome, log = logged(hw, seed)
    assert broken_rules(hw, log)[:5] == []
    access = STANDARDS[standard].access_bytes
    for command, counter in ((RD, "hbm_read"), (WR, "hbm_write")):
        assert log[log[:, 2] == command, 5].sum() * access == outcome.counter(counter)
    assert (log[:, 2] == ACT).sum() == outcome.counter("activates")
    assert_balanced(outcome, outcome.table, max(32, access))
    s = outcome.plane.stamps
    assert (s[:, Stamp.HBM_DONE] >= s[:, Stamp.HBM_ENQUEUE] + s[:, Stamp.HBM_QUEUE]).all()
    assert (s[:, Stamp.SM_ARRIVE] >= s[:, Stamp.HBM_DONE]).all()


def test_the_checker_sees_a_command_that_comes_too_early(small: Hardware) -> None:
    _, log = logged(small, 1)
    assert broken_rules(small, log) == []
    for command, rule in ((RD, "tRCD"), (PRE, "tRTP"), (ACT, "tRP")):
        early = log.copy()
        early[early[:, 2] == command, 0] -= 1_000
        assert any(rule in text for text in broken_rules(small, early)), rule


def test_exact_grain_schedules_every_access_and_train_grain_whole_trains(small: Hardware) -> None:
    for grain, most in (("exact", 1), ("train", 16)):
        _, log = logged(changed(small, hbm__grain=grain), 2)
        assert log[log[:, 2] == RD, 5].max() == most


@pytest.mark.parametrize("grain", ["train", "exact"])
def test_idle_rows_close_under_the_adaptive_policy_and_stay_under_open(small: Hardware, grain: str) -> None:
    """Two reads of a row with two of other channels between, each some 290 ns: adaptive closes it, open does not."""
    fetches = table([[(0, 32)], [(512, 32)], [(1024, 32)], [(32 * 512, 32)]])
    seen = {}
    for page in ("open", "adaptive"):
        hw = changed(small, hbm__grain=grain, hbm__page_policy=page, hbm__page_idle_ns=200)
        outcome = drive(hw, fetches, lambda f: 0, log_rows=100)
        log = outcome.plane.commands()
        seen[page] = outcome.counter("row_hits"), int(((log[:, 2] == PRE) & (log[:, 1] == 0)).sum())
        if page == "adaptive":
            closed = log[(log[:, 2] == PRE) & (log[:, 1] == 0), 0][0]
            read = log[(log[:, 2] == RD) & (log[:, 1] == 0), 0][0]
            assert closed - read == 200_000
    assert seen["open"][0] == seen["adaptive"][0] + 1
    assert (seen["open"][1], seen["adaptive"][1]) == (0, 1)
