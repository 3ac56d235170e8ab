"""The figure of `pagewalk kv`: hit rate in tokens and blocks against capacity, a line per policy and tier."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernels_ref.hit_curves import CurvePoint

SIZE_IN = (11.0, 4.4)
DPI = 150
RATES = (("token_hit_rate", "of prompt tokens"), ("block_hit_rate", "of blocks"))

Series = dict[tuple[str, int], "list[CurvePoint]"]


def draw_hit_rates(points: "list[CurvePoint]", title: str, out: Path) -> None:
    """Write hit_rate.png and hit_rate.svg into `out`, the same bytes for the same points."""
    from matplotlib.figure import Figure

    from reports.canvas import styled

    series: Series = {}
    for point in points:
        series.setdefault((point.policy, point.tier), []).append(point)
    with styled():
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (rate, label) in zip(panels, RATES, strict=True):
            _draw(axes, series, rate)
            axes.set_title(f"Hits {label}", loc="left")
        panels[0].set_ylim(bottom=0)
        panels[0].set_ylabel("hit rate (fraction)")
        # Below the panels: the lines rise to the right and end anywhere.
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
        figure.suptitle(title, x=0.01, ha="left")
        figure.savefig(out / "hit_rate.png", dpi=DPI, metadata={"Software": None})
        figure.savefig(out / "hit_rate.svg", metadata={"Date": None})


def _draw(axes: Any, series: Series, rate: str) -> None:
    from kernels_ref.hit_curves import INFINITE, OPTIMUM
    from reports.canvas import write_out
    from reports.palette import series_style

    place = 0
    for (policy, tier), line in series.items():
        # Over the blocks of both tiers, so that the bound of that capacity lies above every line.
        x, y = [point.blocks + point.tier for point in line], [getattr(point, rate) for point in line]
        if policy == INFINITE:
            axes.axhline(y[0], color="#555555", linestyle=":", label="infinite cache")
        elif policy == OPTIMUM:
            axes.plot(
                x, y, color="#3d3d3d", linestyle="--", marker="_", label="offline optimum (bounds blocks)"
            )
        else:
            label = f"{policy} + tier of {tier} blocks" if tier else policy
            axes.plot(x, y, label=label, **series_style(place))
            place += 1
    axes.set_xscale("log")
    write_out(axes.xaxis)
    axes.set_xlabel("capacity (blocks, both tiers together)")
