"""What every SM-instant went to: one bar per point, one colour per cause, each bar adds up to 100%."""

from typing import Any

from reports.canvas import finish, legend_right
from reports.layout import Done, layout, line_label, lines, panels, row_label
from reports.palette import CAUSE_STYLE, CAUSE_TEXT
from reports.study import Study
from reports.units import listed, value_with_unit
from sim.causes import CAUSES

NAME = "stalls"
SMALLEST_SHOWN = 5e-4
"""A cause under 0.05% in every point is left out of the legend and named in the note."""

MAX_BARS = 60
BAR_INCHES = 0.2

Bar = tuple[str, Done]


def caption(study: Study) -> str:
    absent = [CAUSE_TEXT[cause] for cause in CAUSES if not _shown(study, cause)]
    text = "Share of SM-time by cause. Blue works, orange waits for memory, green for on-chip limits."
    return f"{text} Under 0.05% everywhere: {listed(absent)}." if absent else text


def draw(study: Study) -> Any:
    """None when no result has an account (fidelity bound)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    bars = _bars(study)
    if not bars:
        return None
    height = sum(len(group) for _, group in bars) * BAR_INCHES + 0.5 * len(bars) + 0.8
    legend = [cause for cause in CAUSES if _shown(study, cause)]
    figure = Figure(figsize=(9.2, max(height, 0.21 * len(legend) + 0.9)), layout="constrained")
    ratios = [len(group) + 1.5 for _, group in bars]
    grid = figure.subplots(len(bars), 1, sharex=True, squeeze=False, height_ratios=ratios)
    for axes, (title, group) in zip(grid.flat, bars, strict=True):
        _panel(axes, title, group)
    grid.flat[-1].set_xlabel("share of SM-time (%)")
    patches = [_patch(Patch, cause) for cause in legend]
    legend_right(figure, patches, "cause")
    finish(figure, study)
    return figure


def _bars(study: Study) -> list[tuple[str, list[Bar]]]:
    """Panels of labelled bars, grouped by series value, at most MAX_BARS in all (the first ones)."""
    plan = layout(study)
    out: list[tuple[str, list[Bar]]] = []
    left = MAX_BARS
    for title, rows in panels(study, plan):
        for _, label, line in lines(rows, plan):
            named = [
                (
                    value_with_unit(plan.x.path, done[0].axes[plan.x.path])
                    if plan.x
                    else row_label(study, done[0]),
                    done,
                )
                for done in line
                if done[1].stalls is not None
            ][:left]
            left -= len(named)
            if named:
                out.append((line_label(label, title), named))
    return out


def _panel(axes: Any, title: str, group: list[Bar]) -> None:
    for position, (_, (_, result)) in enumerate(group):
        start = 0.0
        for cause in CAUSES:
            share = 100 * (result.stalls or {}).get(cause, 0.0)
            colour, hatch = CAUSE_STYLE[cause]
            axes.barh(
                position, share, 0.82, left=start, color=colour, hatch=hatch, edgecolor="#444444", lw=0.25
            )
            start += share
    axes.set_yticks(range(len(group)), [label for label, _ in group])
    axes.set_ylim(len(group) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_title(title, loc="left", fontsize=9)
    axes.grid(False)


def _shown(study: Study, cause: str) -> bool:
    return any((result.stalls or {}).get(cause, 0.0) >= SMALLEST_SHOWN for _, result in study.done)


def _patch(patch: Any, cause: str) -> Any:
    colour, hatch = CAUSE_STYLE[cause]
    return patch(
        facecolor=colour, hatch=hatch, edgecolor="#444444", lw=0.4, label=f"{cause}: {CAUSE_TEXT[cause]}"
    )
