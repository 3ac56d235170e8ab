"""How much of an SM's SRAM the chosen mapping uses."""

from typing import Any

from reports.canvas import finish, label_x, legend_right, line_key, panel_grid
from reports.layout import Done, Layout, layout, lines, panels, text_of, x_position
from reports.palette import SERIES_COLOURS
from reports.quantities import mapping_of, sram_capacity_kib, sram_used_kib
from reports.study import Study
from reports.units import axis_name

NAME = "sram_occupancy"
CAPTION = (
    "SRAM that the resident CTAs hold on one SM under the best mapping found; the step line is the capacity. "
    "Over each bar: CTAs per SM x stage buffers x tokens per tile. SRAM left over is SRAM that the mapping "
    "search found no use for."
)
BAR = 0.84
LABEL_ROOM = 0.2
"""Height of a label as a share of the largest capacity: a capacity line in there would cross it."""

MOST_LABELLED = 40
"""With more bars than this in a panel the labels over them would overlap."""


def draw(study: Study) -> Any:
    """Bars beside each other, one per series value; None when no mapping says what it uses."""
    from matplotlib.patches import Patch

    if all(sram_used_kib(result) is None for _, result in study.done):
        return None
    plan = layout(study)
    if plan.x is None:
        return None
    groups = panels(study, plan)
    figure, grid = panel_grid(len(groups), 4.3, 3.4)
    for axes, (title, rows) in zip(grid, groups, strict=True):
        _bars(axes, plan, rows)
        axes.set_title(title)
        label_x(axes, plan)
    grid[0].set_ylabel("SRAM of one SM (KiB)")
    handles: list[Any] = []
    if plan.series is not None:
        values = enumerate(plan.series.values)
        handles = [Patch(facecolor=_colour(i), label=text_of(plan.series, value)) for i, value in values]
    handles.append(line_key("capacity", color="#222222", lw=1.4))
    legend_right(figure, handles, axis_name(plan.series.path) if plan.series else None)
    finish(figure, study)
    return figure


def _bars(axes: Any, plan: Layout, rows: list[Done]) -> None:
    drawn = lines(rows, plan)
    width = BAR / len(drawn)
    room = LABEL_ROOM * max(sram_capacity_kib(result) or 0.0 for _, result in rows)
    for place, (position, _, line) in enumerate(drawn):
        for row, result in line:
            x = x_position(plan, row) - BAR / 2 + width * (place + 0.5)
            used = sram_used_kib(result) or 0.0
            axes.bar(x, used, width * 0.88, color=_colour(position))
            capacity = sram_capacity_kib(result)
            if capacity:
                axes.plot([x - width / 2, x + width / 2], [capacity] * 2, color="#222222", lw=1.4)
            if len(rows) <= MOST_LABELLED:
                crossed = capacity is not None and used < capacity < used + room
                _label(axes, x, capacity if crossed and capacity else used, mapping_of(result))
    axes.margins(y=0.22)


def _label(axes: Any, x: float, y: float, mapping: dict[str, Any]) -> None:
    parts = [mapping.get(key) for key in ("ctas_per_sm", "stages", "tile_tokens")]
    if None not in parts:
        text = "x".join(map(str, parts))
        axes.annotate(
            text,
            (x, y),
            (0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=90,
            fontsize=6.5,
        )


def _colour(position: int) -> str:
    return SERIES_COLOURS[position % len(SERIES_COLOURS)]
