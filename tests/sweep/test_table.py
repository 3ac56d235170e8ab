"""results.csv: stable columns, nothing in it that differs between two runs of the same sweep."""

import csv
import io

from sweep_fakes import load_hardware, load_workload, result

from sim.sweep.points import Plan, expand
from sim.sweep.table import columns, flatten, row, to_csv


def rows():
    plan = Plan(("a",), ("w",), {"hw.x": (1, 2, 3)})
    one, two, three = expand(plan, load_hardware, load_workload, "1")
    return [
        row(one, result(10.0).to_dict(), None),
        row(two, None, {"kind": "bad input", "message": "too small"}),
        row(three, None, None),
    ]


def test_columns_are_identity_axes_scalars_groups_in_contract_order_and_error():
    assert columns(rows()) == [
        *("point", "status", "hardware", "workload", "hw.x", "fidelity", "seed"),
        *("time_ns", "steps", "tokens", "bound_ns", "speed_of_light"),
        *("bounds_ns.hbm", "bounds_ns.tensor", "bytes.hbm_read", "bandwidth_gb_s.hbm", "utilisation.hbm"),
        *("stalls.tensor", "stalls.hbm_service", "mapping.tile_tokens", "counters.a", "counters.b"),
        *("kv.capacity_bytes", "sampling.mode", "sampling.relative_ci95", "error"),
    ]


def test_no_column_carries_a_time_of_day_a_wall_time_a_host_or_an_attempt():
    assert not [c for c in columns(rows()) if any(w in c for w in ("wall", "host", "date", "attempt"))]


def test_failed_and_missing_points_keep_their_row_with_the_reason():
    table = list(csv.DictReader(io.StringIO(to_csv(rows()))))
    assert [r["status"] for r in table] == ["ok", "failed", "missing"]
    assert [r["error"] for r in table] == ["", "too small", ""]
    assert [r["time_ns"] for r in table] == ["10.0", "", ""]


def test_flatten_names_leaves_by_path_and_writes_lists_as_json():
    assert flatten("m", {"a": {"b": 1}, "c": [1, 2]}) == {"m.a.b": 1, "m.c": "[1, 2]"}
