"""One run: its time beside every bound, so that the next limit is seen as well as the first."""

from typing import Any

from reports.canvas import finish
from reports.study import Study
from reports.units import time_scale, time_text
from sim.result import RESOURCES

NAME = "bounds"
CAPTION = "The time of the run, if it was simulated, and for each resource the time that no machine with it can beat."


def draw(study: Study) -> Any:
    """Horizontal bars; only for a single result."""
    from matplotlib.figure import Figure

    if len(study.done) != 1:
        return None
    result = study.first
    bars = [] if result.fidelity == "bound" else [("time", result.time_ns)]
    bars += sorted(((k, v) for k, v in result.bounds_ns.items() if v), key=lambda item: -item[1])
    scale, unit = time_scale(result.time_ns)
    figure = Figure(figsize=(7.0, 0.9 + 0.34 * len(bars)), layout="constrained")
    axes = figure.subplots()
    colours = ["#0072b2" if name == "time" else "#bdbdbd" for name, _ in bars]
    axes.barh(range(len(bars)), [value / scale for _, value in bars], color=colours)
    for y, (_, value) in enumerate(bars):
        axes.annotate(
            time_text(value), (value / scale, y), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(bars)), [RESOURCES.get(name, name) for name, _ in bars])
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_xlabel(f"time ({unit}); grey: bounds")
    finish(figure, study)
    return figure
