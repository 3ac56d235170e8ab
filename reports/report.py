"""From a folder of results to the page and the plots: the one entry point of this package."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports import (
    fig_area,
    fig_bandwidth,
    fig_bounds,
    fig_latency,
    fig_occupancy,
    fig_roofline,
    fig_speedup,
    fig_stalls,
    fig_utilisation,
    fig_whatif,
)
from reports.canvas import save, styled
from reports.conclusion import Conclusion, conclude
from reports.model_error import ModelError, known_error
from reports.page import Picture, page
from reports.study import Study, load
from reports.verdict import Verdict, verdict


@dataclass(frozen=True)
class Written:
    """What a report wrote, and what it says."""

    html: Path
    plots: tuple[Path, ...]
    study: Study
    found: Conclusion
    said: Verdict


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    caption: Callable[[Study], str]
    draw: Callable[[Study], Any]


def _fixed(text: str) -> Callable[[Study], str]:
    return lambda study: text


CHARTS: Sequence[Chart] = (
    Chart(fig_latency.NAME, "Latency", _fixed(fig_latency.CAPTION), fig_latency.draw),
    Chart(fig_bounds.NAME, "Time and its bounds", _fixed(fig_bounds.CAPTION), fig_bounds.draw),
    Chart(
        fig_utilisation.NAME, "Use of each resource", _fixed(fig_utilisation.CAPTION), fig_utilisation.draw
    ),
    Chart(fig_speedup.NAME, "Speed-up", _fixed(fig_speedup.CAPTION), fig_speedup.draw),
    Chart(fig_area.NAME, "Speed-up against silicon", _fixed(fig_area.CAPTION), fig_area.draw),
    Chart(fig_bandwidth.NAME, "Achieved bandwidth", _fixed(fig_bandwidth.CAPTION), fig_bandwidth.draw),
    Chart(fig_stalls.NAME, "Where SM-time goes", fig_stalls.caption, fig_stalls.draw),
    Chart(fig_occupancy.NAME, "SRAM occupancy", _fixed(fig_occupancy.CAPTION), fig_occupancy.draw),
    Chart(fig_roofline.NAME, "Roofline", _fixed(fig_roofline.CAPTION), fig_roofline.draw),
    Chart(fig_whatif.NAME, "What if", _fixed(fig_whatif.CAPTION), fig_whatif.draw),
)


def write_report(folder: Path, html: Path | None = None, model: ModelError | None = None) -> Written:
    """Write FOLDER/report.html (or `html`) and plots/*.svg|png beside it. `model`: none: the stated error.

    Raises ReportError when the folder has nothing to report on.
    """
    study = load(folder)
    target = html or folder / "report.html"
    found = conclude(study, model or known_error(study))
    said = verdict(study, found)
    plots = target.parent / "plots"
    with styled():
        pictures = _pictures(study, plots)
    target.write_text(page(study, found, said, pictures), encoding="utf-8")
    files = tuple(plots / f"{picture.name}.{ending}" for picture in pictures for ending in ("svg", "png"))
    return Written(target, files, study, found, said)


def _pictures(study: Study, folder: Path) -> list[Picture]:
    """Every chart that has something to show."""
    out = []
    for chart in CHARTS:
        figure = chart.draw(study)
        if figure is not None:
            out.append(
                Picture(chart.name, chart.title, chart.caption(study), save(folder, chart.name, figure))
            )
    return out
