"""Figures without global state: made in one style, with a footer, saved the same to the byte each time."""

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any

from reports.layout import Layout, x_labels
from reports.study import Study
from reports.units import axis_title

PANEL_COLUMNS = 3
NARROWEST = 6.4
"""Inches: room for the legend and the footer of a figure with one panel."""

PNG_DPI = 150

FEW_DECADES = 1e3
"""Ratio of the ends of a logarithmic axis up to which decades alone are too few ticks."""

Draw = Callable[[Study], Any]


def styled() -> AbstractContextManager[None]:
    """The house style, for the time of one `with`; figures are made and saved inside it."""
    import matplotlib as mpl

    with resources.as_file(resources.files("reports") / "style.mplstyle") as path:
        style = mpl.rc_params_from_file(path, use_default_template=False)
    context: AbstractContextManager[None] = mpl.rc_context(style)
    return context


def panel_grid(count: int, width: float, height: float, *, share_y: bool = True) -> tuple[Any, list[Any]]:
    """A figure of `count` panels of this size in inches, at most three in a row."""
    from matplotlib.figure import Figure

    columns = min(count, PANEL_COLUMNS)
    lines = -(-count // columns)
    across = max(width * columns, NARROWEST)
    figure = Figure(figsize=(across, height * lines + 0.9), layout="constrained")
    grid = figure.subplots(lines, columns, sharey=share_y, squeeze=False)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def label_x(axes: Any, plan: Layout) -> None:
    labels = x_labels(plan)
    long = len(labels) > 4 and max(map(len, labels)) > 8
    axes.set_xticks(range(len(labels)), labels, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.4, len(labels) - 0.6)
    if plan.x is not None:
        axes.set_xlabel(axis_title(plan.x.path))


def curve(axes: Any, plan: Layout, x: Sequence[int], y: Sequence[float], style: dict[str, str]) -> None:
    """Markers joined by a line along a numeric axis; names have nothing between them to be joined over."""
    joined = plan.x is not None and plan.x.numeric
    axes.plot(x, y, ls="-" if joined else "", **style)


def levels(axes: Any, plan: Layout, x: Sequence[int], y: Sequence[float], **style: Any) -> None:
    """A horizontal line at each x, for limits that belong to one point; neighbours meet along numbers."""
    half = 0.5 if plan.x is not None and plan.x.numeric else 0.3
    axes.hlines(y, [v - half for v in x], [v + half for v in x], **style)


def write_out(axis: Any) -> None:
    """Ticks of a logarithmic axis as numbers: 200, not 2 x 10^2; between decades where there are few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1,) if high / low > FEW_DECADES else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def line_key(label: str, **style: Any) -> Any:
    """Legend entry of a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def legend_right(figure: Any, handles: Sequence[Any], title: str | None = None) -> None:
    """Outside, so that it never covers data."""
    if handles:
        figure.legend(handles=list(handles), loc="outside right upper", title=title, alignment="left")


def footer(study: Study) -> str:
    result = study.first
    hardware = sorted({r.hardware["name"] for _, r in study.done})
    workload = sorted({r.workload["name"] for _, r in study.done})
    names = f"{_few(hardware)} | {_few(workload)}"
    return f"{names} | fidelity {result.fidelity}, seed {result.seed} | pagewalk {result.pagewalk_version}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def finish(figure: Any, study: Study) -> None:
    """The footer: which configs, which program."""
    figure.supxlabel(footer(study), fontsize=7, color="#666666", x=0.01, ha="left")


def svg_bytes(figure: Any) -> bytes:
    """SVG without a date and with fixed ids."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": "pagewalk"})
    return stream.getvalue()


def png_bytes(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=PNG_DPI, metadata={"Software": "pagewalk"})
    return stream.getvalue()


def save(folder: Path, name: str, figure: Any) -> bytes:
    """Write NAME.svg and NAME.png; returns the SVG, for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    svg = svg_bytes(figure)
    (folder / f"{name}.svg").write_bytes(svg)
    (folder / f"{name}.png").write_bytes(png_bytes(figure))
    return svg
