"""A validation as one JSON object and as a table of rows."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim.error_summary import summary
from sim.validation.attention import Validation
from sim.validation.baselines import Baseline
from sim.validation.errors import groups, short_rows
from sim.validation.skipped import as_list
from sim.validation.trends import Change, Setting, setting, trends, without

SCHEMA = "pagewalk.validation/1"
COLUMNS = (
    *(
        "id",
        "gpu",
        "kernel",
        "phase",
        "batch",
        "q_heads",
        "kv_heads",
        "head_dim",
        "q_len",
        "context",
        "kv_dtype",
    ),
    *("metric", "unit", "truth", "predicted", "relative_error", "truth_us", "simulated_us", "overhead_us"),
    *("bound_us", "kv_bytes", "hardware", "profile", "framework", "l2_state", "stand_in"),
)
CHANGE_COLUMNS = (
    *("change", "before", "after", "id_before", "id_after", "measured_ratio", "predicted_ratio"),
    *("relative_error", *Setting._fields),
)


def as_json(result: Validation) -> dict[str, Any]:
    """The object of `--json`."""
    return {
        "schema": SCHEMA,
        "kind": "attention",
        "rows": len(result.rows),
        "skipped": as_list(result.skipped),
        "anchors": [
            {
                "id": a.case.row.id,
                "group": dict(zip(("gpu", "kernel", "kv_dtype"), a.group, strict=True)),
                "overhead_us": a.overhead_us,
            }
            for a in result.anchors
        ],
        "overall": summary(p.error for p in result.predictions),
        "groups": groups(result.predictions),
        "whole": [{"id": name, "reason": reason} for name, reason in result.whole.items()],
        "stand_ins": [p.case.row.id for p in result.predictions if p.case.names.stands_in],
        "short_rows": short_rows(result.predictions),
        "baselines": {name: _baseline(b) for name, b in result.baselines.items()},
        "trends": {
            kind: {pair: asdict(trend) for pair, trend in by_pair.items()}
            for kind, by_pair in trends(result.changes).items()
        },
        "predictions": [
            {
                "id": p.case.row.id,
                "metric": p.case.row.metric,
                "truth": p.truth,
                "predicted": p.predicted,
                "unit": p.case.row.unit,
            }
            for p in result.predictions
        ],
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    """Errors are null where no group has enough rows to fit."""
    by_gpu = {
        gpu: {"n": n, "mape": mape, "model_mape": model} for gpu, (n, mape, model) in baseline.by_gpu.items()
    }
    return {"mape": baseline.mape, "n": baseline.n, "model_mape": baseline.model_mape, "gpu": by_gpu}


def write_rows(result: Validation, path: Path) -> None:
    """One tidy CSV line per predicted row, in file order."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for p in result.predictions:
            row, case = p.case.row, p.case
            shape = (row.batch, row.q_heads, row.kv_heads, row.head_dim, case.shape.q_len, row.context)
            times = (case.time_us, p.simulated_us, p.overhead_us, p.bound_us)
            writer.writerow(
                (
                    *(row.id, row.gpu, row.kernel, row.phase, *shape, row.kv_dtype, row.metric, row.unit),
                    *(row.value, f"{p.predicted:.9g}", f"{p.error:.6g}", *(f"{t:.6g}" for t in times)),
                    *(case.kv_bytes, case.hw.name, case.names.kernel.profile),
                    *(case.names.runtime.framework, case.workload.l2_state, int(case.names.stands_in)),
                )
            )


def write_changes(found: Sequence[Change], path: Path) -> None:
    """One tidy CSV line per pair of rows that differ in one thing: what, the two rows, ratios of their times."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CHANGE_COLUMNS)
        for change in found:
            first, second = change.rows
            shared = without(setting(first), change.kind)
            ratios = (f"{change.measured:.5g}", f"{change.predicted:.5g}", f"{change.error:.5g}")
            ids = (first.case.row.id, second.case.row.id)
            writer.writerow((change.kind, change.before, change.after, *ids, *ratios, *shared))
