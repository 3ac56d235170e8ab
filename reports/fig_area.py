"""Speed-up against the silicon that it takes; a point above the line gains more speed than it takes die."""

from typing import Any

from reports.area import added
from reports.canvas import finish, legend_right, line_key, panel_grid
from reports.layout import layout, lines, panels
from reports.palette import series_style
from reports.study import Study
from reports.units import axis_name

NAME = "area"
CAPTION = (
    "Speed-up over the first value against the area added to it. The grey line is break-even: as many "
    "percent faster as percent of the die added. Below it, speed per silicon falls."
)


def draw(study: Study) -> Any:
    """None when x adds no silicon."""
    plan = layout(study)
    x = plan.x
    if x is None or not x.numeric or added(study.first.hardware, x.path, 0, 1) is None:
        return None
    groups = panels(study, plan)
    figure, grid = panel_grid(len(groups), 3.6, 3.1)
    handles: dict[str, Any] = {}
    for axes, (title, rows) in zip(grid, groups, strict=True):
        top = 0.0
        for position, label, line in lines(rows, plan):
            base_row, base = line[0]
            sizes = [added(base.hardware, x.path, base_row.axes[x.path], row.axes[x.path]) for row, _ in line]
            areas = [size.mm2 for size in sizes if size is not None]
            axes.plot(
                areas, [100 * (base.time_ns / r.time_ns - 1) for _, r in line], **series_style(position)
            )
            top = max(top, *areas)
            if label:
                handles[label] = line_key(label, **series_style(position))
        die = rows[0][1].hardware["area"].get("die_mm2")
        if die:
            axes.plot([0, top], [0, 100 * top / die], color="#999999", lw=1.3)
        axes.axhline(0, color="#555555", lw=0.8)
        axes.set_title(title)
        axes.set_xlabel("silicon added (mm²)")
    grid[0].set_ylabel("faster (%)")
    even = line_key("break-even with die share", color="#999999", lw=1.3)
    legend_right(figure, [*handles.values(), even], axis_name(plan.series.path) if plan.series else None)
    finish(figure, study)
    return figure
