"""How much of an SM's SRAM the chosen mapping uses, and for what."""

from typing import Any

from reports.canvas import finish, label_x, legend_right, panel_grid
from reports.layout import Done, Layout, layout, lines, panels, text_of, x_position
from reports.palette import SERIES_COLOURS
from reports.quantities import sram_capacity_kib, sram_parts_kib
from reports.study import Study

NAME = "sram_occupancy"
CAPTION = (
    "SRAM that the resident CTAs hold on one SM under the best mapping found, by what it holds; the step "
    "line is the capacity. The number over a bar is the CTAs per SM. SRAM left over is SRAM that this kernel "
    "found no use for."
)
BAR = 0.8


def draw(study: Study) -> Any:
    """Stacked bars beside each other, one per series value; None when no mapping says what it uses."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = list(dict.fromkeys(name for _, result in study.done for name in sram_parts_kib(result)))
    if not names:
        return None
    plan = layout(study)
    colours = dict(zip(names, SERIES_COLOURS * len(names), strict=False))
    groups = panels(study, plan)
    figure, grid = panel_grid(len(groups), 4.3, 3.2)
    for axes, (title, rows) in zip(grid, groups, strict=True):
        _bars(axes, plan, rows, colours)
        axes.set_title(title)
        label_x(axes, plan)
    grid[0].set_ylabel("SRAM of one SM (KiB)")
    handles: list[Any] = [Patch(facecolor=colours[name], label=name.replace("_", " ")) for name in names]
    handles.append(Line2D([], [], color="#222222", lw=1.4, label="capacity"))
    if plan.series is not None:
        order = ", ".join(text_of(plan.series, value) for value in plan.series.values)
        handles.append(Line2D([], [], ls="", label=f"bars from the left:\n{order}"))
    legend_right(figure, handles)
    finish(figure, study)
    return figure


def _bars(axes: Any, plan: Layout, rows: list[Done], colours: dict[str, str]) -> None:
    drawn = lines(rows, plan)
    width = BAR / len(drawn)
    for place, (_, _, line) in enumerate(drawn):
        for row, result in line:
            x = x_position(plan, row) - BAR / 2 + width * (place + 0.5)
            top = 0.0
            for name, size in sram_parts_kib(result).items():
                axes.bar(x, size, width * 0.9, bottom=top, color=colours[name])
                top += size
            axes.annotate(
                f"{result.mapping.get('ctas_per_sm', '')}",
                (x, top),
                (0, 1),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color="#444444",
            )
            capacity = sram_capacity_kib(result)
            if capacity:
                axes.plot([x - width / 2, x + width / 2], [capacity] * 2, color="#222222", lw=1.4)
    axes.margins(y=0.12)
