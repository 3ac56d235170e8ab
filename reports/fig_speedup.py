"""Speed-up of each point over the first value of x, as a map."""

from typing import Any

from reports.canvas import finish
from reports.layout import layout, line_label, lines, panels, x_labels, x_position
from reports.study import Study
from reports.units import axis_title

NAME = "speedup"
CAPTION = (
    "Speed-up over the base column (1.000x) of the same row. White: no change, blue: faster, orange: slower."
)
SMALLEST_SPAN = 0.1
"""The colour scale covers at least 10% each way, so that differences of noise size stay pale."""


def draw(study: Study) -> Any:
    """None when x does not vary, or names a single row of designs: the tables say that better."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    plan = layout(study)
    if plan.x is None:
        return None
    names, cells = _cells(study)
    if not cells:
        return None
    if len(cells) < 2 and not plan.x.numeric:
        return None
    spread = max([SMALLEST_SPAN] + [abs(v - 1) for line in cells for v in line if v == v])
    figure = Figure(figsize=(2.6 + 1.15 * len(plan.x.values), 1.5 + 0.36 * len(cells)), layout="constrained")
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("gain", ["#d55e00", "#ffffff", "#0072b2"], bad="#eeeeee")
    image = axes.imshow(cells, cmap=colours, vmin=1 - spread, vmax=1 + spread, aspect="auto")
    for y, line in enumerate(cells):
        for x, value in enumerate(line):
            dark = abs(value - 1) > 0.75 * spread
            text = f"{value:.3f}x" if value == value else "no result"
            axes.text(
                x, y, text, ha="center", va="center", fontsize=8.5, color="white" if dark else "#222222"
            )
    axes.set_xticks(range(len(plan.x.values)), x_labels(plan))
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(axis_title(plan.x.path))
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="speed-up")
    finish(figure, study)
    return figure


def _cells(study: Study) -> tuple[list[str], list[list[float]]]:
    """Row names, and time of the base x over time at each x; nan where a point is missing."""
    plan = layout(study)
    width = len(plan.x.values) if plan.x is not None else 1
    base = plan.x.values.index(plan.x.base) if plan.x is not None else 0
    names, cells = [], []
    for title, rows in panels(study, plan):
        for _, label, line in lines(rows, plan):
            times = {x_position(plan, row): result.time_ns for row, result in line}
            if base in times:
                names.append(line_label(label, title))
                cells.append([times[base] / times[x] if x in times else float("nan") for x in range(width)])
    return names, cells
