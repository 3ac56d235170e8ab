"""One run: how much of each resource's peak it used."""

from typing import Any

from reports.canvas import finish
from reports.study import Study
from reports.units import percent
from sim.result import RESOURCES

NAME = "utilisation"
CAPTION = "Share of each resource's peak that the run used, averaged over its time."


def draw(study: Study) -> Any:
    """Horizontal bars; only for a single result with a utilisation."""
    from matplotlib.figure import Figure

    if len(study.done) != 1 or not study.first.utilisation:
        return None
    bars = [(RESOURCES.get(name, name), share) for name, share in study.first.utilisation.items()]
    figure = Figure(figsize=(7.0, 0.9 + 0.32 * len(bars)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(bars)), [100 * share for _, share in bars], color="#0072b2")
    for y, (_, share) in enumerate(bars):
        place = (100 * share, y)
        axes.annotate(percent(share), place, (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 110)
    axes.set_xlabel("share of peak (%)")
    finish(figure, study)
    return figure
