"""Roofline: useful work per byte against work per second, with each ceiling named (Williams et al., 2009)."""

from math import atan, degrees
from typing import Any

from reports.canvas import finish, legend_right
from reports.layout import layout, panels, text_of
from reports.palette import SERIES_COLOURS, SERIES_MARKERS
from reports.quantities import hbm_peak_gb_s, intensity, tensor_ceiling, useful_flops
from reports.study import Study
from reports.units import axis_name
from sim.result import Result

NAME = "roofline"
CAPTION = (
    "Useful FLOP per byte moved at the device memory, against useful FLOP per second. A point under the "
    "sloped ceiling is limited by bandwidth, and its distance to it is bandwidth not used."
)


def draw(study: Study) -> Any:
    """One point per row, coloured by series (else by what x names), marked by panel; None without FLOPs or
    bandwidth."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    placed = [(row, r) for row, r in study.done if intensity(r) is not None and hbm_peak_gb_s(r) is not None]
    if not placed:
        return None
    plan = layout(study)
    told_apart = plan.series or (plan.x if plan.x and not plan.x.numeric else None)
    figure = Figure(figsize=(7.8, 4.4), layout="constrained")
    axes = figure.subplots()
    results = [result for _, result in placed]
    span = _span(results)
    _ceilings(axes, results, span)
    titles = [title for title, _ in panels(study, plan)]
    for panel, (_title, rows) in enumerate(panels(study, plan)):
        for row, result in rows:
            series = told_apart.values.index(row.axes[told_apart.path]) if told_apart else 0
            flops, x = useful_flops(result), intensity(result)
            if flops is None or x is None:
                continue
            axes.plot(
                x,
                flops / result.time_ns / 1e3,
                color=SERIES_COLOURS[series % 8],
                marker=SERIES_MARKERS[panel % 8],
                ls="",
                ms=6,
                mec="white",
                mew=0.6,
                alpha=0.9,
            )
    handles: list[Any] = []
    if told_apart is not None:
        handles += [
            Line2D([], [], color=SERIES_COLOURS[i % 8], lw=5, label=text_of(told_apart, value))
            for i, value in enumerate(told_apart.values)
        ]
    if len(titles) > 1:
        handles += [
            Line2D([], [], color="#666666", marker=SERIES_MARKERS[i % 8], ls="", label=title)
            for i, title in enumerate(titles)
        ]
    legend_right(figure, handles, axis_name(told_apart.path) if told_apart else None)
    axes.set(xscale="log", yscale="log", xlim=span)
    axes.set_xlabel("arithmetic intensity (useful FLOP per byte of device memory)")
    axes.set_ylabel("useful TFLOP/s")
    axes.grid(True, which="both")
    finish(figure, study)
    return figure


def _span(results: list[Result]) -> tuple[float, float]:
    """From a fifth of the lowest intensity to past the ridge."""
    placed = [x for r in results if (x := intensity(r)) is not None]
    ridges = [c[1] / p for r in results if (c := tensor_ceiling(r)) and (p := hbm_peak_gb_s(r))]
    return min(placed) / 5, 4 * max(ridges + placed)


def _ceilings(axes: Any, results: list[Result], span: tuple[float, float]) -> None:
    """Sloped: device memory; flat: tensor cores in the formats used, each up to where it meets those of its machines.
    1 FLOP/ns is 1e-3 TFLOP/s."""
    pairs = [(round(peak, 1), tensor_ceiling(r)) for r in results if (peak := hbm_peak_gb_s(r)) is not None]
    for bandwidth in sorted({bandwidth for bandwidth, _ in pairs}):
        highest = max((c[1] for b, c in pairs if c and b == bandwidth), default=float("inf"))
        end = min(span[1], highest / bandwidth)
        axes.plot([span[0], end], [bandwidth * span[0] / 1e3, bandwidth * end / 1e3], color="#333333", lw=1.2)
        x = span[0] * (end / span[0]) ** 0.5
        y = 1.12 * bandwidth * x / 1e3
        axes.text(
            x,
            y,
            f"device memory {bandwidth:.0f} GB/s",
            rotation=degrees(atan(y / x)),
            rotation_mode="anchor",
            transform_rotates_text=True,
            fontsize=8,
        )
    for name, peak in sorted({ceiling for _, ceiling in pairs if ceiling}, key=lambda item: item[1]):
        ridge = peak / max(b for b, ceiling in pairs if ceiling == (name, peak))
        axes.plot([ridge, span[1]], [peak / 1e3] * 2, color="#333333", lw=1.2)
        text = f"tensor {name.upper()} {peak / 1e3:.0f} TFLOP/s"
        axes.annotate(
            text, (span[1], peak / 1e3), (-4, 4), textcoords="offset points", ha="right", fontsize=8
        )
