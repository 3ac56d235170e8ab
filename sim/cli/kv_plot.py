"""The figure of `pagewalk kv`: token hit rate against capacity in blocks, a line per policy and tier."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernels_ref.hit_curves import CurvePoint

SIZE_IN = (7.0, 4.4)
DPI = 150


def draw_hit_rates(points: "list[CurvePoint]", title: str, out: Path) -> None:
    """Write hit_rate.png and hit_rate.svg into `out`, the same bytes for the same points."""
    from matplotlib.figure import Figure

    from reports.canvas import styled

    with styled():
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes = figure.subplots()
        _draw(axes, points)
        axes.set_title(title, loc="left")
        figure.savefig(out / "hit_rate.png", dpi=DPI, metadata={"Software": None})
        figure.savefig(out / "hit_rate.svg", metadata={"Date": None})


def _draw(axes: Any, points: "list[CurvePoint]") -> None:
    from kernels_ref.hit_curves import INFINITE, OPTIMUM
    from reports.palette import SERIES_COLOURS, SERIES_MARKERS

    series: dict[tuple[str, int], list[CurvePoint]] = {}
    for point in points:
        series.setdefault((point.policy, point.tier), []).append(point)
    place = 0
    for (policy, tier), line in series.items():
        if policy == INFINITE:
            axes.axhline(line[0].token_hit_rate, color="#555555", linestyle=":", label="infinite cache")
            continue
        x, y = [point.blocks for point in line], [point.token_hit_rate for point in line]
        if policy == OPTIMUM:
            axes.plot(x, y, color="#3d3d3d", linestyle="--", marker="_", label="offline optimum (bound)")
            continue
        label = f"{policy} + tier of {tier} blocks" if tier else policy
        style = {"color": SERIES_COLOURS[place % 8], "marker": SERIES_MARKERS[(place + place // 8) % 8]}
        axes.plot(x, y, label=label, **style)
        place += 1
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("capacity of the first tier (blocks); the optimum: of both")
    axes.set_ylabel("hit rate (fraction of prompt tokens)")
    axes.legend()
