"""A correct order gives the oracle's answer, whatever the geometry, format or movement of pages."""

from dataclasses import replace

import numpy as np
import pytest
from replay_machine import make_rows, make_schedule, make_step
from replay_scenes import converted, forked, migrated, spare_frame

from kernels_ref.errors import InputError
from kernels_ref.replay import EventKind, Schedule, replay

FORMATS = ["fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "int8", "int4", "mxfp4", "nvfp4", "mxfp8"]


@pytest.mark.parametrize(
    "options",
    [
        {"context": [100, 37, 1, 0, 64]},
        {"context": [100, 37, 40], "q_len": [5, 1, 0]},
        {"context": [300, 50], "window": 40},
        {"context": [300, 50], "window": 40, "q_len": 7},
        {"context": [90], "page_tokens": 1},
        {"context": [90, 300], "page_tokens": 128},
        {"context": [90], "latent": True, "kv_heads": 1, "group": 16},
        {"context": [90, 20], "appends": False},
    ],
)
def test_a_correct_schedule_gives_the_dense_answer(options):
    step = make_step(**options)
    report = replay(make_schedule(step), step, seed=1)
    assert report.faults == []
    assert report.ok
    # 1e-12 of 1 + |x| is the order of summation; the values here are below 10.
    assert report.max_abs_error < 1e-12
    outputs = np.count_nonzero((step.q_len > 0) & (step.context > 0)) * step.geometry.kv_heads
    assert report.checked == outputs


@pytest.mark.parametrize("kv_format", FORMATS)
def test_every_kv_format_is_replayed_in_its_own_precision(kv_format):
    step = replace(make_step([100, 33], kv_format=kv_format), formats=(kv_format,))
    assert replay(make_schedule(step), step, seed=2).ok
    assert replay(make_schedule(step, heads=[-1]), step, seed=2).ok


def test_a_format_without_a_codec_is_bad_input():
    step = replace(make_step([20]), formats=("fp3",))
    schedule = make_schedule(step)
    with pytest.raises(InputError, match="kv format 'fp3' cannot be replayed"):
        replay(schedule, step, seed=2)


def test_one_cta_may_hold_all_kv_heads():
    step = make_step([100, 90], kv_heads=4)
    report = replay(make_schedule(step, heads=[-1]), step, seed=1)
    assert report.ok
    assert report.checked == 2 * 4


def test_tile_size_splits_and_completion_order_do_not_matter():
    step = make_step([200, 77])
    for tile_tokens, splits, seed in [(16, 1, 0), (48, 3, 1), (256, 1, 2), (8, 5, 3)]:
        schedule = make_schedule(step, tile_tokens=tile_tokens, splits=splits, seed=seed)
        assert replay(schedule, step, seed=1).ok


def test_max_outputs_computes_whole_sequences_only():
    step = make_step([50] * 10, kv_heads=2)
    report = replay(make_schedule(step), step, seed=1, max_outputs=6)
    assert report.ok
    assert report.checked == 6


def test_the_same_seed_gives_the_same_error_to_the_bit():
    step = make_step([100, 33])
    first, second = (replay(make_schedule(step), step, seed=3) for _ in range(2))
    assert first.max_abs_error == second.max_abs_error


def test_query_tiles_of_a_prefill_are_outputs_of_their_own():
    step = make_step([40], q_len=40, kv_heads=1, appends=False)
    rows = []
    for tile, (first, count) in enumerate([(0, 24), (24, 16)]):
        base = {
            "cta": tile,
            "tile": 0,
            "seq": 0,
            "kv_head": 0,
            "split": 0,
            "q_first": first,
            "q_count": count,
        }
        tokens = {"page_first": 0, "page_count": 3, "token_first": 0, "token_count": first + count}
        rows.append(base | tokens | {"time_ps": 1, "kind": EventKind.FETCH_DONE})
        for time, kind in enumerate((EventKind.TILE_CONSUMED, EventKind.PARTIAL_DONE, EventKind.MERGED)):
            rows.append(base | {"time_ps": 2 + time, "kind": kind})
    report = replay(Schedule.from_rows(rows), step, seed=0)
    assert report.ok
    assert report.checked == 2
    without_the_second = replay(Schedule.from_rows(rows[:4]), step, seed=0)
    assert without_the_second.faults == ["sequence 0 head 0: 24 of 40 query rows were computed"]


def test_a_copied_page_is_its_source_plus_the_new_token():
    step, rows, _ = forked()
    assert replay(Schedule.from_rows(rows), step, seed=1).ok


def test_a_page_that_arrives_from_a_tier_in_time_is_read_from_its_new_frame():
    step = make_step([100, 33])
    step, rows = migrated(step, spare_frame(step))
    assert replay(Schedule.from_rows(rows), step, seed=1).ok


def test_a_page_that_leaves_and_returns_keeps_its_data():
    step = make_step([100, 33])
    frame, spare = int(step.table[0]), spare_frame(step)
    rows = make_rows(step)
    rows += [
        {"time_ps": 10, "kind": EventKind.MIGRATE_OUT, "frame": frame},
        {"time_ps": 11, "kind": EventKind.FREE, "frame": frame},
        {"time_ps": 12, "kind": EventKind.MIGRATE_IN, "page_first": frame, "frame": spare},
    ]
    assert replay(Schedule.from_rows(rows), step, seed=1).ok


def test_a_conversion_before_the_first_reader_gives_the_new_precision():
    step, contents = converted()
    rows = make_rows(step)
    rows.append({"time_ps": 500, "kind": EventKind.CONVERT, "frame": int(step.table[0]), "tile": 1})
    assert replay(Schedule.from_rows(rows), step, seed=1, contents=contents).ok


def test_unknown_kinds_and_frames_are_bad_input():
    step = make_step([20])
    rows = make_rows(step)
    with pytest.raises(InputError, match="kinds"):
        Schedule.from_rows([*rows, {"time_ps": 1, "kind": 77}])
    beyond = {"time_ps": 1, "kind": EventKind.APPEND, "seq": 0, "token_first": 1, "frame": 10**6}
    schedule = Schedule.from_rows([*rows, beyond])
    with pytest.raises(InputError, match="frames"):
        replay(schedule, step, seed=1)


def test_pages_that_slid_out_of_the_window_need_no_frame():
    step = make_step([100], window=20)
    table = step.table.copy()
    table[:5] = -1
    step = replace(step, table=table)
    assert replay(make_schedule(step), step, seed=1).ok


def test_one_cta_may_serve_a_shared_prefix_to_several_sequences():
    step = make_step([48, 48], kv_heads=1)
    table = step.table.copy()
    table[3:5] = table[0:2]
    step = replace(step, table=table)
    rows = [r for r in make_rows(step, splits=1) if r["kind"] == EventKind.APPEND]
    for seq in (0, 1):
        for cta, first, count in ((0, 0, 32), (1 + seq, 32, 16)):
            base = {"cta": cta, "tile": 0, "seq": seq, "kv_head": 0, "split": int(cta > 0)}
            tokens = {"token_first": first, "token_count": count, "page_first": first // 16, "page_count": 1}
            rows.append(base | tokens | {"time_ps": 10, "kind": EventKind.FETCH_DONE})
            rows.append(base | {"time_ps": 11, "kind": EventKind.TILE_CONSUMED})
            rows.append(base | {"time_ps": 12, "kind": EventKind.PARTIAL_DONE})
        rows.append({"time_ps": 13, "kind": EventKind.MERGED, "seq": seq, "kv_head": 0})
    assert replay(Schedule.from_rows(rows), step, seed=1).ok


def test_a_sample_of_sequences_ignores_the_events_of_the_others():
    step, rows, _ = forked()
    schedule = Schedule.from_rows(rows)
    whole, sample = replay(schedule, step, seed=1), replay(schedule, step, seed=1, max_outputs=2)
    assert (whole.checked, sample.checked) == (4, 2)
    assert sample.ok


def test_long_prefills_check_the_last_row_of_a_tile():
    step = make_step([200], q_len=200, appends=False)
    rows = make_rows(step, tile_tokens=16)
    assert replay(Schedule.from_rows(rows), step, seed=1).ok
    # only the last rows see the last page
    last = next(r for r in rows if r["kind"] == EventKind.FETCH_DONE and r["token_first"] == 192)
    last["frame"] = int(step.table[0])
    assert not replay(Schedule.from_rows(rows), step, seed=1).ok


def test_columns_of_unequal_length_are_bad_input():
    schedule = make_schedule(make_step([20]))
    with pytest.raises(InputError, match="column frame has 1 rows"):
        replace(schedule, frame=schedule.frame[:1])


def test_hot_and_cold_pages_may_have_different_formats():
    step = make_step([100, 77], kv_format="fp8_e4m3")
    cold = np.zeros_like(step.frame_format)
    cold[step.table[[0, 1, 7]]] = 1
    step = replace(step, frame_format=cold)
    assert replay(make_schedule(step), step, seed=1).ok


def test_a_page_that_arrives_in_place_is_not_there_before():
    step = make_step([100, 33])
    frame = int(step.table[1])
    step, rows = migrated(step, frame)
    assert replay(Schedule.from_rows(rows), step, seed=1).ok
    rows[-1]["time_ps"] = 10**6
    assert not replay(Schedule.from_rows(rows), step, seed=1).ok
