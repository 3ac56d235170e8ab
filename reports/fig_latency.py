"""Time of each point, with the bound that no machine of these resources can beat."""

from typing import Any

from reports.canvas import curve, finish, label_x, legend_right, levels, line_key, panel_grid
from reports.layout import layout, lines, panels, x_position
from reports.palette import series_style
from reports.study import Study
from reports.units import axis_name, time_scale

NAME = "latency"
CAPTION = "Time of one run (markers) and its largest bound (dotted): the gap is what stalls cost."
HEADROOM = 1.06


def draw(study: Study) -> Any:
    """Lines of time over x, one per series value, one panel per other combination; None for one point."""
    plan = layout(study)
    if plan.x is None:
        return None
    scale, unit = time_scale(max(result.time_ns for _, result in study.done))
    groups = panels(study, plan)
    figure, grid = panel_grid(len(groups), 3.6, 3.1)
    handles: dict[str, Any] = {}
    for axes, (title, rows) in zip(grid, groups, strict=True):
        for position, label, line in lines(rows, plan):
            style = series_style(position)
            x = [x_position(plan, row) for row, _ in line]
            curve(axes, plan, x, [result.time_ns / scale for _, result in line], style)
            bounds = [result.bound_ns / scale for _, result in line]
            levels(axes, plan, x, bounds, color=style["color"], ls=":", lw=1.5)
            if label:
                handles[label] = line_key(label, **style)
        axes.set_title(title)
        label_x(axes, plan)
    top = max(result.time_ns for _, result in study.done) / scale
    grid[0].set_ylim(0, HEADROOM * top)  # of all panels; a marker at the edge of the frame would be cut
    grid[0].set_ylabel(f"time ({unit})")
    bound = line_key("bound", color="#555555", ls=":", lw=1.5)
    legend_right(figure, [*handles.values(), bound], axis_name(plan.series.path) if plan.series else None)
    finish(figure, study)
    return figure
