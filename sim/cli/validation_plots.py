"""Plots of `pagewalk validate attention`: predicted against measured time (parity, residuals), a colour per GPU, and
the effect of one change at a time (trends), a panel per change.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.validation.errors import Prediction
    from sim.validation.trends import Change

SIZE_IN = (11.0, 5.2)
PANEL_IN = 3.2
LIMIT = 0.6
"""Residuals beyond this share are drawn at the edge."""
TENTH = 0.10
EDGE = 8.0
"""Ratios of more than this, or less than its inverse, are drawn at the edge."""
NARROW = 4
NEAR_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2)
WIDE_TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8)


def draw(predictions: "Sequence[Prediction]", out: Path) -> None:
    """Write parity.png, parity.svg, residuals.png and residuals.svg into `out`."""
    from reports.canvas import save, styled, write_out

    phases = list(dict.fromkeys(p.case.row.phase for p in predictions))
    with styled():
        for name, panel in (("parity", _parity), ("residuals", _residuals)):
            figure, panels = _panels(len(phases))
            for axes, phase in zip(panels, phases, strict=True):
                panel(axes, [p for p in predictions if p.case.row.phase == phase], _colours(predictions))
                axes.set_title(phase, loc="left")
                axes.set_xscale("log")
                write_out(axes.xaxis)
                axes.set_xlabel("measured time (us)")
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
            save(out, name, figure)


def _panels(count: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _colours(predictions: "Sequence[Prediction]") -> dict[str, dict[str, str]]:
    from reports.palette import series_style

    gpus = dict.fromkeys(p.case.row.gpu for p in predictions)
    return {gpu: series_style(place) for place, gpu in enumerate(gpus)}


def _parity(axes: Any, predictions: "Sequence[Prediction]", styles: dict[str, dict[str, str]]) -> None:
    from reports.canvas import write_out

    _points(axes, predictions, styles, lambda p: p.predicted_us)
    times = [t for p in predictions for t in (p.case.time_us, p.predicted_us)]
    low, high = min(times) * 0.9, max(times) * 1.1
    axes.plot([low, high], [low, high], color="#555555", linewidth=1)
    axes.set(yscale="log", ylim=(low, high))
    write_out(axes.yaxis)
    axes.set_ylabel("predicted time (us)")


def _residuals(axes: Any, predictions: "Sequence[Prediction]", styles: dict[str, dict[str, str]]) -> None:
    _points(axes, predictions, styles, lambda p: max(-LIMIT, min(LIMIT, p.predicted_us / p.case.time_us - 1)))
    axes.axhline(0, color="#555555", linewidth=1)
    axes.axhspan(-TENTH, TENTH, color="#e4e4e4", zorder=0)
    axes.set_ylim(-LIMIT * 1.05, LIMIT * 1.05)
    axes.set_ylabel("predicted / measured - 1 (grey: 10 %)")


def _points(
    axes: Any, predictions: "Sequence[Prediction]", styles: dict[str, dict[str, str]], y: Any
) -> None:
    """Every GPU gets a legend entry in every panel, so that one legend serves all."""
    for gpu, style in styles.items():
        mine = [p for p in predictions if p.case.row.gpu == gpu]
        x = [p.case.time_us for p in mine]
        axes.plot(x, [y(p) for p in mine], ls="", markersize=3, label=gpu, **style)


def draw_changes(found: "Sequence[Change]", out: Path) -> None:
    """Write trends.png and trends.svg into `out`: predicted against measured ratio of the times after and before."""
    from reports.canvas import panel_grid, save, styled

    kinds = list(dict.fromkeys(change.kind for change in found))
    with styled():
        figure, panels = panel_grid(len(kinds), PANEL_IN, PANEL_IN, share_y=False)
        for axes, kind in zip(panels, kinds, strict=True):
            mine = [change for change in found if change.kind == kind]
            _ratios(axes, mine)
            axes.set_title(f"{kind}: {len(mine)} pairs", loc="left")
        figure.supxlabel("measured time after / before")
        figure.supylabel("predicted time after / before (grey: 10 %)")
        save(out, "trends", figure)


def _ratios(axes: Any, changes: "Sequence[Change]") -> None:
    from reports.palette import series_style

    within = [tuple(min(EDGE, max(1 / EDGE, v)) for v in (c.measured, c.predicted)) for c in changes]
    low = min([*(v for pair in within for v in pair), 0.9]) * 0.95
    high = max([*(v for pair in within for v in pair), 1.1]) * 1.05
    ends = (low, high)
    band = [[v * share for v in ends] for share in (1 - TENTH, 1 + TENTH)]
    axes.fill_between(ends, *band, color="#e4e4e4", zorder=0)
    axes.plot(ends, ends, color="#555555", linewidth=1)
    axes.plot([x for x, _ in within], [y for _, y in within], ls="", markersize=3, **series_style(0))
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    ticks = [tick for tick in (NEAR_TICKS if high / low < NARROW else WIDE_TICKS) if low <= tick <= high]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
