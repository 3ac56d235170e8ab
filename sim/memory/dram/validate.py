"""Predicted against truth for a file of DRAM simulations: every row, every group, overall.

The overall error is that of the bandwidth; the `metric` dimension of the groups holds every figure. Latency
of a row whose queue grows without limit (`stable` 0) only reflects the run length: it is left out of the
errors.
"""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sim.error_summary import Summary, summary
from sim.errors import InputError
from sim.memory.channel_stream import ChannelStream
from sim.memory.dram.config import ControllerConfig
from sim.memory.dram.controller import ExactDram
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.metrics import figures
from sim.memory.dram.truth import CONFIG, ID, TAIL_TICKS, config_of, read_truth, stream_of
from sim.memory.dram.truth_cells import REPORTED
from sim.table_file import MOST_PROBLEMS, Row

Grain = Literal["exact", "train"]
Figures = dict[str, float]
Keep = Callable[[str, Callable[[], Figures]], Figures]
"""From what decides a row's figures, and how to compute them, to the figures; those of an earlier run will do."""
OPEN_WINDOW = 256
"""Requests in flight per channel that keep every queue full."""
HEADLINE = "bw_GBps"
DIMENSIONS = ("simulator", CONFIG, "group", "mapping_name", "arrival", "probe")
SCHEMA = "pagewalk.validation/1"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One figure of one row."""

    id: str
    metric: str
    truth: float
    predicted: float
    unit: str
    counted: bool  # enters the errors

    @property
    def error(self) -> float:
        """Signed relative error."""
        return (self.predicted - self.truth) / self.truth


@dataclass(frozen=True, slots=True)
class Validation:
    """All predictions of a truth file, in file order."""

    rows: tuple[Row, ...]
    predictions: tuple[Prediction, ...]
    skipped: tuple[tuple[str, str], ...]
    baselines: dict[str, float]


def computed(_row: str, compute: Callable[[], Figures]) -> Figures:
    """Keeps nothing."""
    return compute()


def validate_dram(
    path: Path,
    progress: Callable[[int, int], None] | None = None,
    grain: Grain = "exact",
    keep: Keep = computed,
) -> Validation:
    """Run every row of `path` through the exact controller, or through the device plane's channels at train grain.

    Raises InputError for unusable files or cells. Rows whose configuration is not modelled, or whose stream
    cannot be regenerated, are skipped with the reason; if that leaves none, the reasons are raised.
    """
    rows, config_rows = read_truth(path)
    configs, unmodelled = _configs(rows, config_rows)
    mappings = {r.text("mapping"): AddressMapping.parse(r.text("mapping"), r.where) for r in rows}
    predictions: list[Prediction] = []
    skipped: list[tuple[str, str]] = []
    used: list[Row] = []
    for done, row in enumerate(rows):
        if progress is not None:
            progress(done, len(rows))
        if row.text(CONFIG) in unmodelled:
            skipped.append((row.text(ID), unmodelled[row.text(CONFIG)]))
            continue
        mapping = mappings[row.text("mapping")]
        if grain == "train" and 0 < row.integer("window") < OPEN_WINDOW << mapping.width("ch"):
            skipped.append((row.text(ID), f"window {row.text('window')}: trains are fed without a window"))
            continue
        try:
            seen = keep(
                json.dumps([grain, row.cells, config_rows[row.text(CONFIG)].cells], sort_keys=True),
                partial(figures_of, row, configs[row.text(CONFIG)], mapping, grain),
            )
        except InputError as error:
            if "stream_digest" not in str(error):
                raise
            skipped.append((row.text(ID), str(error)))
            continue
        predictions += compared(row, seen)
        used.append(row)
    if not used:
        reasons = dict.fromkeys(line for _, reason in skipped for line in reason.splitlines())
        raise InputError(*list(reasons)[:MOST_PROBLEMS])
    return Validation(tuple(used), tuple(predictions), tuple(skipped), _baselines(used, configs))


def _configs(
    rows: list[Row], config_rows: dict[str, Row]
) -> tuple[dict[str, ControllerConfig], dict[str, str]]:
    """The controllers that the rows use, and why the others cannot be modelled."""
    configs: dict[str, ControllerConfig] = {}
    unmodelled: dict[str, str] = {}
    for name in dict.fromkeys(r.text(CONFIG) for r in rows):
        try:
            configs[name] = config_of(config_rows[name])
        except InputError as error:
            unmodelled[name] = str(error)
    return configs, unmodelled


def figures_of(row: Row, config: ControllerConfig, mapping: AddressMapping, grain: Grain) -> Figures:
    """All figures of one row's stream."""
    stream = stream_of(row, mapping)
    dram: ExactDram | ChannelStream
    if grain == "train":
        dram = ChannelStream(config, mapping, stream)
    else:
        dram = ExactDram(config, mapping, stream, row.integer("window"))
        dram.run_to_end(TAIL_TICKS[config.policy])
    return figures(dram, stream, row.number("peak_GBps"))


def compared(row: Row, seen: Figures) -> list[Prediction]:
    """The reported figures of one row that its truth also has."""
    out = []
    for metric, unit in REPORTED.items():
        if metric in seen and row.has(metric) and row.number(metric) > 0:
            unstable = row.has("stable") and row.integer("stable") == 0
            counted = not (metric.startswith("lat") and unstable)
            out.append(Prediction(row.text(ID), metric, row.number(metric), seen[metric], unit, counted))
    return out


def _baselines(rows: list[Row], configs: dict[str, ControllerConfig]) -> dict[str, float]:
    """Bandwidth error of two models that know no banks: peak, and peak less refresh, capped by the offer."""
    peak, refreshed = [], []
    for row in rows:
        c = configs[row.text(CONFIG)]
        offered = row.number("offered_GBps") if row.has("offered_GBps") else float("inf")
        top = row.number("peak_GBps")
        share = 1 - c.rfc / c.refi if c.refresh == "all_bank" else 1.0
        truth = row.number(HEADLINE)
        peak.append(abs(min(top, offered) / truth - 1))
        refreshed.append(abs(min(top * share, offered) / truth - 1))
    return {
        "peak_bandwidth": float(np.mean(peak)) if peak else 0.0,
        "peak_less_refresh": float(np.mean(refreshed)) if refreshed else 0.0,
    }


def counted_summary(predictions: Iterable[Prediction]) -> Summary:
    """Errors of the predictions that count."""
    return summary(p.error for p in predictions if p.counted)


def groups(result: Validation) -> dict[str, dict[str, dict[str, float | int]]]:
    """Errors by dimension and value: bandwidth by row property, and every metric under `metric`."""
    headline = {p.id: p for p in result.predictions if p.metric == HEADLINE}
    out: dict[str, dict[str, dict[str, float | int]]] = {}
    metrics = dict.fromkeys(p.metric for p in result.predictions)
    out["metric"] = {m: counted_summary(p for p in result.predictions if p.metric == m) for m in metrics}
    for dimension in DIMENSIONS:
        values = dict.fromkeys(r.text(dimension) for r in result.rows if r.has(dimension))
        if values:
            out[dimension] = {
                value: counted_summary(
                    headline[r.text(ID)]
                    for r in result.rows
                    if r.cells.get(dimension) == value and r.text(ID) in headline
                )
                for value in values
            }
    return out


def as_json(result: Validation) -> dict[str, Any]:
    """The object of `--json`."""
    return {
        "schema": SCHEMA,
        "kind": "dram",
        "rows": len(result.rows) + len(result.skipped),
        "skipped": [{"id": name, "reason": reason} for name, reason in result.skipped],
        "overall": counted_summary(p for p in result.predictions if p.metric == HEADLINE),
        "groups": groups(result),
        "baselines": {name: {"mape": mape} for name, mape in result.baselines.items()},
        "predictions": [
            {"id": p.id, "metric": p.metric, "truth": p.truth, "predicted": p.predicted, "unit": p.unit}
            for p in result.predictions
        ],
    }


def write_predictions(result: Validation, path: Path) -> None:
    """One tidy CSV line per prediction."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("run_id", "metric", "truth", "predicted", "unit", "relative_error", "counted"))
        for p in result.predictions:
            writer.writerow(
                (p.id, p.metric, p.truth, f"{p.predicted:.9g}", p.unit, f"{p.error:.6g}", int(p.counted))
            )
