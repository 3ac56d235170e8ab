"""The replay proves what a simulated machine did: real orders pass, the same orders with one fault do not.

The machine brings half of the pages in from host memory while its grid runs.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kernels_ref.replay import Contents, EventKind, Schedule, replay
from sim import schedule
from sim.cli import job
from sim.config.load import load_hardware, load_workload

SMALL = ("workload.batch=2", "workload.context=512")
WIDE = {"time_ps": np.int64, "frame": np.int64, "kind": np.int8}


@pytest.fixture(scope="module")
def simulated():
    """The verify block of the result, and the step and event columns that were replayed for it."""
    seen = {}

    def keep(step, run, real=schedule.schedule_columns):
        seen.update(columns=real(step, run), step=schedule.replay_step(step, run))
        return seen["columns"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "schedule_columns", keep)
        hardware = load_hardware("h200_tiered", SMALL).spec
        workload = load_workload("decode_tiered", SMALL).spec
        result = job.simulate(hardware, workload, verify=True)
    return result.verify, seen["step"], seen["columns"]


def replayed(step, columns, contents=None):
    events = Schedule(**{name: col.astype(WIDE.get(name, np.int32)) for name, col in columns.items()})
    return replay(events, step, seed=0, contents=contents)


def changed(columns, name, rows, values):
    column = columns[name].copy()
    column[rows] = values
    return columns | {name: column}


def without(columns, rows):
    kept = np.setdiff1d(np.arange(len(columns["kind"])), rows)
    return {name: column[kept] for name, column in columns.items()}


def rows_of(columns, kind):
    return np.flatnonzero(columns["kind"] == kind)


def a_tile(columns):
    """Rows of the fetch and of the use of one tile."""
    fetch = rows_of(columns, EventKind.FETCH_DONE)[5]
    used = rows_of(columns, EventKind.TILE_CONSUMED)
    same = (columns["cta"][used] == columns["cta"][fetch]) & (columns["tile"][used] == columns["tile"][fetch])
    return fetch, used[same][0]


def test_a_machine_that_fetches_from_a_tier_computes_the_right_answer(simulated):
    verify, step, columns = simulated
    assert verify["ok"]
    # 2 sequences, 8 KV heads.
    assert verify["checked"] == 2 * 8
    assert replayed(step, columns).ok


def test_every_page_that_lies_in_the_tier_arrives_once(simulated):
    _, step, columns = simulated
    arrived = columns["frame"][rows_of(columns, EventKind.MIGRATE_IN)]
    # 512 tokens are 8 pages of 64, the older half in host memory.
    assert len(arrived) == 2 * 4
    assert sorted(arrived) == np.flatnonzero(step.frame_residency).tolist()


def test_no_tile_is_read_before_its_pages_have_arrived(simulated):
    _, step, columns = simulated
    rows = rows_of(columns, EventKind.MIGRATE_IN)
    late = changed(columns, "time_ps", rows[-1], columns["time_ps"].max() + 1)
    report = replayed(step, late)
    assert not report.ok
    assert "before its page has arrived" in report.faults[0]
    never = replayed(step, without(columns, rows[0]))
    assert "before its page has arrived" in never.faults[0]


def test_a_tile_that_is_used_before_its_fetch_is_caught(simulated):
    _, step, columns = simulated
    fetch, used = a_tile(columns)
    report = replayed(step, changed(columns, "time_ps", fetch, columns["time_ps"][used] + 1))
    assert "consumed before it was fetched" in report.faults[0]


def test_a_tile_that_is_dropped_gives_a_wrong_answer(simulated):
    _, step, columns = simulated
    report = replayed(step, without(columns, a_tile(columns)))
    assert not report.ok
    assert report.max_abs_error > 1e-6


def test_pages_that_land_in_each_other_s_frame_are_caught(simulated):
    _, step, columns = simulated
    rows = rows_of(columns, EventKind.MIGRATE_IN)[:2]
    report = replayed(step, changed(columns, "frame", rows, columns["frame"][rows[::-1]]))
    assert "which a table still names" in report.faults[0]


def test_swapped_table_entries_give_a_wrong_answer(simulated):
    _, step, columns = simulated
    table = step.table.copy()
    # The last page of the first sequence and the last of the second: both were there from the start.
    table[[7, 15]] = table[[15, 7]]
    report = replayed(replace(step, table=table), columns, Contents.of(step))
    assert not report.ok
    assert report.max_abs_error > 1e-6


def test_a_token_that_is_written_after_its_page_was_read_gives_a_wrong_answer(simulated):
    _, step, columns = simulated
    append = rows_of(columns, EventKind.APPEND)[0]
    report = replayed(step, changed(columns, "time_ps", append, columns["time_ps"].max() + 1))
    assert not report.ok


def test_copies_on_write_come_before_the_new_tokens(simulated):
    step = simulated[1]
    run = SimpleNamespace(tiers=None, outcome=SimpleNamespace(pages_arrived_ps=None))
    forked = replace(step, copies=np.array([[3, 5]], np.int32))
    copy, append = schedule._page_events(forked, run)
    assert (copy["kind"][0], copy["page_first"][0], copy["frame"][0]) == (EventKind.COPY, 3, 5)
    assert set(append["kind"]) == {EventKind.APPEND}
    assert copy["time_ps"][0] == append["time_ps"][0] == 0


@pytest.mark.parametrize("causal", [True, False])
def test_a_prefill_computes_the_right_answer_with_and_without_a_causal_mask(causal):
    sets = (*SMALL, f"workload.causal={str(causal).lower()}", "workload.context=160", "workload.batch=1")
    workload = load_workload("prefill_chunked", (*sets, "workload.q_len=96")).spec
    result = job.simulate(load_hardware("h100_sxm", sets).spec, workload, verify=True)
    assert result.verify["ok"]
    assert result.verify["checked"] > 0
