"""The proof of the proof: every injected fault of a schedule or of an allocator is caught.

Each fault is a small change to a correct run. Where the fault makes a machine compute a wrong answer, the
answer itself must differ from the oracle; faults that happen not to change an answer must be named.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from replay_machine import make_rows, make_step
from replay_scenes import converted, forked, migrated, spare_frame

from kernels_ref.replay import NOT_A_NUMBER, Contents, EventKind, ReplayReport, Schedule, replay

Fault = Callable[[], ReplayReport]
WRONG_ANSWERS: dict[str, Fault] = {}
WRONG_ACTS: dict[str, Fault] = {}


def wrong_answer(fault: Fault) -> Fault:
    WRONG_ANSWERS[fault.__name__] = fault
    return fault


def wrong_act(fault: Fault) -> Fault:
    WRONG_ACTS[fault.__name__] = fault
    return fault


def run(step, rows, contents=None) -> ReplayReport:
    return replay(Schedule.from_rows(rows), step, seed=1, contents=contents)


def plain():
    step = make_step([100, 77])
    return step, make_rows(step)


def first_of(rows, kind, **wanted):
    return next(r for r in rows if r["kind"] == kind and all(r.get(k) == v for k, v in wanted.items()))


@wrong_answer
def frame_reused_before_its_last_reader():
    step, rows = plain()
    victim, other = int(step.table[0]), int(step.table[8])
    rows.append({"time_ps": 900, "kind": EventKind.FREE, "frame": victim})
    rows.append({"time_ps": 901, "kind": EventKind.COPY, "page_first": other, "frame": victim})
    return run(step, rows)


@wrong_answer
def frame_freed_before_its_last_reader():
    step, rows = plain()
    rows.append({"time_ps": 900, "kind": EventKind.FREE, "frame": int(step.table[0])})
    return run(step, rows)


@wrong_answer
def tile_consumed_before_its_fetch():
    step, rows = plain()
    fetch = first_of(rows, EventKind.FETCH_DONE, seq=0, tile=1)
    consume = first_of(rows, EventKind.TILE_CONSUMED, cta=fetch["cta"], tile=1)
    consume["time_ps"] = fetch["time_ps"] - 1
    return run(step, rows)


@wrong_answer
def migration_racing_an_append():
    step, rows = plain()
    last, spare = int(step.row(0)[-1]), spare_frame(step)
    rows += [
        {"time_ps": 1, "kind": EventKind.MIGRATE_OUT, "frame": last},
        {"time_ps": 3, "kind": EventKind.FREE, "frame": last},
        {"time_ps": 4, "kind": EventKind.MIGRATE_IN, "page_first": last, "frame": spare},
    ]
    return run(step, rows)


@wrong_answer
def page_read_before_its_migration_arrived():
    step = make_step([100, 33])
    step, rows = migrated(step, spare_frame(step))
    rows[-1]["time_ps"] = 10**6
    return run(step, rows)


@wrong_answer
def stale_block_table_entry():
    step, rows = plain()
    table = step.table.copy()
    table[1] = table[9]
    return run(replace(step, table=table), rows, Contents.of(step))


@wrong_answer
def fetch_from_another_frame_than_the_table_says():
    step, rows = plain()
    fetch = first_of(rows, EventKind.FETCH_DONE, page_count=1)
    fetch["frame"] = int(step.table[1 if fetch["page_first"] != 1 else 2])
    return run(step, rows)


@wrong_answer
def token_written_to_the_wrong_slot():
    step, rows = plain()
    append = first_of(rows, EventKind.APPEND, seq=0)
    append["tile"] = (append["token_first"] + 1) % step.page_tokens
    return run(step, rows)


@wrong_answer
def token_written_to_the_wrong_frame():
    step, rows = plain()
    first_of(rows, EventKind.APPEND, seq=0)["frame"] = spare_frame(step)
    return run(step, rows)


@wrong_answer
def token_written_after_the_tile_was_fetched():
    step, rows = plain()
    first_of(rows, EventKind.APPEND, seq=0)["time_ps"] = 10**6
    return run(step, rows)


@wrong_answer
def shared_page_written_without_copy():
    step, rows, table = forked()
    contents = Contents.of(step)
    shared = table.copy()
    shared[5] = table[2]
    first_of(rows, EventKind.COPY)["time_ps"] = 10**6
    first_of(rows, EventKind.APPEND, seq=1)["frame"] = int(table[2])
    return run(replace(step, table=shared), rows, contents)


@wrong_answer
def copy_after_the_new_token_was_written():
    step, rows, _ = forked()
    first_of(rows, EventKind.COPY)["time_ps"] = 5
    return run(step, rows)


@wrong_answer
def scales_of_another_page():
    step = make_step([100, 77], kv_format="int8")
    contents = Contents.of(step)
    scales = contents.scales.copy()
    scales[2] = scales[3]
    return run(step, make_rows(step), replace(contents, scales=scales))


@wrong_answer
def tail_page_dropped():
    step, rows = plain()
    last = max(r["token_first"] for r in rows if r["kind"] == EventKind.FETCH_DONE and r["seq"] == 0)
    gone = first_of(rows, EventKind.FETCH_DONE, seq=0, token_first=last)
    tile = gone["cta"], gone["tile"]
    return run(step, [r for r in rows if (r.get("cta"), r.get("tile")) != tile])


@wrong_answer
def tile_consumed_twice():
    step, rows = plain()
    fetch = first_of(rows, EventKind.FETCH_DONE, seq=0, tile=0)
    again = [dict(fetch, tile=99), dict(first_of(rows, EventKind.TILE_CONSUMED, cta=fetch["cta"]), tile=99)]
    return run(step, rows + again)


@wrong_answer
def salt_ignored_and_a_frame_of_another_tenant_shared():
    step, rows = plain()
    contents = Contents.of(step)
    table = step.table.copy()
    table[7] = table[0]
    return run(replace(step, table=table), rows, contents)


@wrong_answer
def precision_changed_without_conversion():
    step, contents = converted()
    return run(step, make_rows(step), contents)


@wrong_answer
def conversion_after_the_reader():
    step, contents = converted()
    late = {"time_ps": 10**6, "kind": EventKind.CONVERT, "frame": int(step.table[0]), "tile": 1}
    return run(step, [*make_rows(step), late], contents)


@wrong_answer
def merge_before_a_split_was_done():
    step, rows = plain()
    first_of(rows, EventKind.PARTIAL_DONE, seq=0)["time_ps"] = 10**6
    return run(step, rows)


@wrong_act
def frame_freed_twice():
    step, rows = plain()
    free = {"time_ps": 10**6, "kind": EventKind.FREE, "frame": int(step.table[0])}
    return run(step, [*rows, free, free])


@wrong_act
def page_read_that_lies_outside_the_window():
    step = make_step([100, 77], window=32)
    rows = make_rows(step)
    extra = {"cta": 99, "tile": 0, "seq": 0, "kv_head": 0, "split": 0}
    page = {"page_first": 0, "page_count": 1, "token_first": 0, "token_count": 16}
    rows.append(extra | page | {"time_ps": 10, "kind": EventKind.FETCH_DONE})
    rows.append(extra | {"time_ps": 11, "kind": EventKind.TILE_CONSUMED})
    return run(step, rows)


@wrong_act
def page_read_past_the_end():
    step, rows = plain()
    extra = {"cta": 99, "tile": 0, "seq": 0, "kv_head": 0, "split": 0}
    page = {"page_first": 7, "page_count": 1, "token_first": 112, "token_count": 16}
    rows.append(extra | page | {"time_ps": 10, "kind": EventKind.FETCH_DONE})
    rows.append(extra | {"time_ps": 11, "kind": EventKind.TILE_CONSUMED})
    return run(step, rows)


@wrong_act
def output_merged_twice():
    step, rows = plain()
    return run(step, [*rows, dict(first_of(rows, EventKind.MERGED), time_ps=10**6)])


@wrong_act
def output_never_merged():
    step, rows = plain()
    rows.remove(first_of(rows, EventKind.MERGED, seq=1, kv_head=1))
    return run(step, rows)


@wrong_act
def tile_after_its_split_was_done():
    step, rows = plain()
    rows[:] = [dict(r, time_ps=900) if r is first_of(rows, EventKind.PARTIAL_DONE) else r for r in rows]
    return run(step, rows)


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_fault_that_corrupts_data_gives_a_wrong_answer(name):
    report = WRONG_ANSWERS[name]()
    assert not report.ok
    assert report.max_abs_error > 1e-6
    assert any("differs from the oracle" in fault for fault in report.faults)


@pytest.mark.parametrize("name", WRONG_ACTS)
def test_a_fault_that_need_not_change_the_answer_is_named(name):
    report = WRONG_ACTS[name]()
    assert not report.ok
    assert report.faults


def test_the_unchanged_runs_are_clean():
    for step, rows in (plain(), forked()[:2]):
        assert run(step, rows).ok


def test_at_least_twelve_faults_corrupt_data():
    assert len(WRONG_ANSWERS) >= 12


def test_a_freed_frame_that_is_read_is_named():
    assert "sequence 0 reads frame" in frame_freed_before_its_last_reader().faults[0]
    assert frame_freed_before_its_last_reader().max_abs_error == NOT_A_NUMBER
