"""Tables of the page: gains with their area, effects of the other axes, points, what was assumed."""

from collections.abc import Sequence
from html import escape
from typing import Any

from reports.comparison import Metric, compare, times_text
from reports.conclusion import Conclusion, Effect, Line, Step
from reports.config_keys import yaml_text
from reports.layout import layout
from reports.palette import CAUSE_TEXT
from reports.quantities import MEASURED, intensity, largest_stalls, mapping_of
from reports.study import Study
from reports.units import (
    axis_name,
    counted,
    percent,
    signed_percent,
    time_scale,
    value_text,
    value_with_unit,
)
from sim.result import Result

CALL_TEXT = {"gain": "gain", "loss": "loss", "tie": "tie", "mixed": "mixed"}
MAX_POINT_ROWS = 500


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int, text_from: int | None = None
) -> str:
    """HTML table; cells are HTML already. Keys do not wrap, columns from `numeric_from` on are aligned right,
    those from `text_from` on are running text. With no numeric column all is running text."""
    last = len(header) if text_from is None else text_from
    kinds = ["k" if i < numeric_from else "n" if i < last else "" for i in range(len(header))]
    classes = [f' class="{kind}"' if kind and numeric_from < len(header) else "" for kind in kinds]
    head = "".join(f"<th{c}>{h}</th>" for c, h in zip(classes, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{cell}</td>" for c, cell in zip(classes, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def tag(call: str) -> str:
    return f'<span class="tag {call}">{CALL_TEXT[call]}</span>'


def gains(found: Conclusion) -> str:
    """One row per line and step along x: gain, what the model's error makes of it, area, share of the die."""
    x = found.plan.x
    if x is None or not found.lines:
        return ""
    with_area = any(step.area is not None for line in found.lines for step in line.steps)
    header = ["with", "step", "speed", "call"]
    header += ["area of the step", "share of die"] if with_area else []
    header += ["smallest within 1% of best" if x.numeric else "first within 1% of best"]
    rows = []
    for line in found.lines:
        for place, step in enumerate(line.steps):
            rows.append(_gain_row(line, step, x.path, with_area, first=place == 0))
    return table(header, rows, 2)


def _gain_row(line: Line, step: Step, path: str, with_area: bool, *, first: bool) -> list[str]:
    label = escape(line.label or "all") if first else ""
    cells = [label, f"{escape(value_with_unit(path, step.low))} → {escape(value_with_unit(path, step.high))}"]
    cells += [signed_percent(step.gain, 2), tag(step.call)]
    if with_area:
        area = step.area
        cells += [f"{area.mm2:.1f} mm²" if area else "-"]
        cells += [percent(area.die_share, 2) if area and area.die_share is not None else "-"]
    return [*cells, escape(value_with_unit(path, line.enough)) if first else ""]


def effects(found: Conclusion) -> str:
    """Each value of the other axes against the first value of its axis, all else equal."""
    if not found.effects:
        return ""
    rows = [
        [
            escape(axis_name(e.axis.path)),
            escape(_against(e)),
            signed_percent(e.low),
            signed_percent(e.mid),
            signed_percent(e.high),
            str(e.count),
            tag(e.call),
        ]
        for e in found.effects
    ]
    return table(["axis", "change", "least", "median", "most", "pairs", "call"], rows, 2)


def _against(effect: Effect) -> str:
    path = effect.axis.path
    return f"{value_text(path, effect.value)} against {value_text(path, effect.axis.base)}"


def points(study: Study) -> str:
    """One row per point in order: axis values, time, bound, rates, mapping, largest stall, or the error."""
    scale, unit = time_scale(max(result.time_ns for _, result in study.done))
    plan = layout(study)
    axes = [a for a in (*plan.others, plan.series, plan.x) if a is not None]
    names = [escape(axis_name(axis.path)) for axis in axes]
    header = [*names, f"time ({unit})", f"bound ({unit})", "of bound", "HBM (GB/s)", "HBM read (GB)"]
    header += ["FLOP/B", "mapping", "largest share of SM-time"]
    text_from = len(header) - 2
    measures = any(measured_text(result) for _, result in study.done)
    header += ["measured"] if measures else []
    rows = []
    for row in study.rows[:MAX_POINT_ROWS]:
        cells = [escape(value_with_unit(a.path, row.axes[a.path])) for a in axes]
        if row.result is None:
            failed = f'<span class="tag loss">failed</span> {escape(row.error or "")}'
            rows.append([*cells, failed, *[""] * (len(header) - len(axes) - 1)])
            continue
        r = row.result
        work = intensity(r)
        top = largest_stalls(r, 1)
        cells += [f"{r.time_ns / scale:.4g}", f"{r.bound_ns / scale:.4g}", percent(r.speed_of_light)]
        cells += [f"{r.bandwidth_gb_s.get('hbm', 0):.0f}", f"{r.bytes.get('hbm_read', 0) / 1e9:.4g}"]
        cells += [f"{work:.3g}" if work else "-"]
        cells += [escape(mapping_text(mapping_of(r)))]
        cells += [f"{CAUSE_TEXT.get(top[0][0], top[0][0])} {percent(top[0][1], 0)}" if top else "-"]
        cells += [measured_text(r)] if measures else []
        rows.append(cells)
    return table(header, rows, len(axes), text_from)


def measured_text(result: Result) -> str:
    """'2763 GB/s'; empty for what is no microbenchmark."""
    found = [(result.counters[key], unit) for key, _, unit, _ in MEASURED if key in result.counters]
    return ", ".join(f"{value:.4g} {unit}" for value, unit in found)


def mapping_text(mapping: dict[str, Any]) -> str:
    """'fa3: 64 tokens x 2 stages, 4 splits, 2 CTAs/SM'; of what has no tiles the name."""
    if "tile_tokens" not in mapping:
        return str(mapping.get("kernel", "-"))
    tile = f"{counted(mapping['tile_tokens'], 'token')} x {counted(mapping['stages'], 'stage')}"
    ctas = f"{counted(mapping['ctas_per_sm'], 'CTA')}/SM"
    return f"{mapping['kernel']}: {tile}, {counted(mapping['splits'], 'split')}, {ctas}"


def side_by_side(study: Study) -> str:
    """Inputs that differ, then every metric absolute and relative to the first design."""
    names = [str(row.axes["hardware"]) for row, _ in study.done]
    found = compare(names, [result for _, result in study.done])
    heads = [escape(name) for name in found.names]
    differ = [
        [f"<code>{escape(path)}</code>", *(escape(number_text(value)) for value in values)]
        for path, values in found.differ.items()
    ]
    rows = [
        [escape(m.name), escape(m.unit), *(_relative(m, i) for i in range(len(names)))] for m in found.metrics
    ]
    metrics = table(["metric", "unit", *heads], rows, 2)
    return metrics + "<p>Inputs that differ:</p>" + table(["key", *heads], differ, 1)


def _relative(metric: Metric, place: int) -> str:
    value, ratio, call = metric.values[place], metric.relative[place], metric.calls[place]
    text = number_text(value)
    if place == 0 or ratio is None:
        return text
    colours = {"better": "gain", "worse": "loss"}
    word = "" if call == "different" else f" {call}"
    return f'{text} <span class="tag {colours.get(call, "")}">{times_text(ratio, call)}{word}</span>'


def number_text(value: object) -> str:
    """Four digits, thousands grouped; None as a dash, all else as a config has it."""
    if value is None:
        return "-"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return yaml_text(value)


def line_titles(study: Study) -> list[str]:
    """Every key that the study varies, with its values, for the page's head."""
    return [
        f"{axis_name(a.path)}: {', '.join(value_with_unit(a.path, v) for v in a.values)}"
        for a in study.axes
        if a.path not in ("hardware", "workload")
    ]
