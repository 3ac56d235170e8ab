"""parity and residuals of `pagewalk validate attention`: predicted against measured time, a colour per GPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.validation.errors import Prediction

SIZE_IN = (11.0, 5.2)
LIMIT = 0.6
"""Residuals beyond this share are drawn at the edge."""
TENTH = 0.10


def draw(predictions: "Sequence[Prediction]", out: Path) -> None:
    """Write parity.png, parity.svg, residuals.png and residuals.svg into `out`."""
    from reports.canvas import save, styled

    phases = list(dict.fromkeys(p.case.row.phase for p in predictions))
    with styled():
        for name, panel in (("parity", _parity), ("residuals", _residuals)):
            figure, panels = _panels(len(phases))
            for axes, phase in zip(panels, phases, strict=True):
                panel(axes, [p for p in predictions if p.case.row.phase == phase], _colours(predictions))
                axes.set_title(phase, loc="left")
                axes.set_xscale("log")
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
    _points(axes, predictions, styles, lambda p: p.predicted_us)
    times = [t for p in predictions for t in (p.case.time_us, p.predicted_us)]
    low, high = min(times) * 0.9, max(times) * 1.1
    axes.plot([low, high], [low, high], color="#555555", linewidth=1)
    axes.set(yscale="log", ylim=(low, high))
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
