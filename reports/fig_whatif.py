"""What making one resource ideal would buy, per point."""

from typing import Any

from reports.canvas import finish
from reports.study import Study

NAME = "what_if"
CAPTION = "Speed-up of the same run with one resource ideal at a time, the mapping searched again for each."


def draw(study: Study) -> Any:
    """Bars from 1x, largest first, for a single result; None without `--what-if`."""
    from matplotlib.figure import Figure

    if len(study.done) != 1 or not study.first.what_if:
        return None
    bars = sorted(study.first.what_if.items(), key=lambda item: -item[1])
    figure = Figure(figsize=(7.0, 0.9 + 0.3 * len(bars)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(bars)), [value - 1 for _, value in bars], left=1, color="#009e73")
    for y, (_, value) in enumerate(bars):
        axes.annotate(
            f"{value:.3f}x", (max(value, 1.0), y), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(bars)), [name.replace("_", " ") for name, _ in bars])
    axes.invert_yaxis()
    axes.axvline(1, color="#555555", lw=0.8)
    axes.margins(x=0.14)
    axes.set_xlabel("speed-up (x)")
    finish(figure, study)
    return figure
