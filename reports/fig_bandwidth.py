"""Bandwidth reached at the device memory, against its peak."""

from typing import Any

from reports.canvas import curve, finish, label_x, legend_right, levels, line_key, panel_grid
from reports.layout import layout, lines, panels, x_position
from reports.palette import series_style
from reports.quantities import hbm_peak_gb_s
from reports.study import Study
from reports.units import axis_name

NAME = "bandwidth"
CAPTION = (
    "Bytes read from device memory per second, averaged over the whole run; the dashed line is the peak."
)


def draw(study: Study) -> Any:
    """Lines of GB/s over x; None for a single point or without any bandwidth."""
    if not any(result.bandwidth_gb_s.get("hbm") for _, result in study.done):
        return None
    plan = layout(study)
    if plan.x is None:
        return None
    groups = panels(study, plan)
    figure, grid = panel_grid(len(groups), 3.6, 3.1)
    handles: dict[str, Any] = {}
    for axes, (title, rows) in zip(grid, groups, strict=True):
        for position, label, line in lines(rows, plan):
            x = [x_position(plan, row) for row, _ in line]
            style = series_style(position)
            curve(axes, plan, x, [result.bandwidth_gb_s.get("hbm", 0.0) for _, result in line], style)
            peaks = [hbm_peak_gb_s(result) or float("nan") for _, result in line]
            levels(axes, plan, x, peaks, color="#333333", ls="--", lw=1.2)
            if label:
                handles[label] = line_key(label, **style)
        axes.set_title(title)
        label_x(axes, plan)
    grid[0].set_ylim(
        bottom=0
    )  # of all panels, and only now: a limit that is set stays, whatever is drawn later
    grid[0].set_ylabel("device memory bandwidth (GB/s)")
    peak = line_key("peak", color="#333333", ls="--", lw=1.1)
    legend_right(figure, [*handles.values(), peak], axis_name(plan.series.path) if plan.series else None)
    finish(figure, study)
    return figure
