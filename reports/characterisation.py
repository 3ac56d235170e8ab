"""The figure of `pagewalk characterise`: latency and bandwidth curves of a machine, measured points beside."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from reports.palette import series_style

Document = dict[str, Any]
WIDTH_IN, HEIGHT_IN = 4.2, 3.2
COLUMNS = 3
MEASURED = MappingProxyType({False: ("published", "#999999"), True: ("measured by us", "#111111")})
"""Label and colour by whether a value is our own; our own last, on top."""
CURVES = frozenset({"chase_latency", "tlb_latency", "replay", "inflight_read", "gather_read", "table_word"})


def figure(document: Document) -> Any:
    """One panel for each curve that was simulated. Made in the house style, inside `reports.canvas.styled`."""
    from matplotlib.figure import Figure

    from reports.canvas import styled

    drawn = [draw for name, draw in PANELS.items() if name in document["curves"]]
    with styled():
        across = min(len(drawn), COLUMNS)
        down = -(-len(drawn) // across)
        made = Figure(figsize=(WIDTH_IN * across, HEIGHT_IN * down + 0.5), layout="constrained")
        grid = list(made.subplots(down, across, squeeze=False).flat)
        for axes in grid[len(drawn) :]:
            axes.set_visible(False)
        for axes, draw in zip(grid, drawn, strict=False):
            draw(axes, document)
        name, program = document["hardware"]["name"], document["pagewalk_version"]
        made.supxlabel(
            f"{name} | seed {document['seed']} | pagewalk {program}",
            fontsize=7,
            color="#666666",
            x=0.01,
            ha="left",
        )
    return made


def _curve(axes: Any, points: list[dict[str, Any]], x: str, y: str, label: str, position: int = 0) -> None:
    axes.plot([p[x] for p in points], [p[y] for p in points], label=label, **series_style(position))


def _measured(axes: Any, document: Document, *quantities: str) -> None:
    """Crosses at the measured values of these quantities, where they were simulated; joined where they are a curve."""
    for own, (label, colour) in MEASURED.items():
        for quantity in quantities:
            points = [
                (row["x"], value["measured"])
                for row in document["rows"]
                if row["quantity"] == quantity
                for value in row["measured"]
                if value["own"] == own
            ]
            _crosses(axes, points, label, colour, joined=quantity in CURVES)


def _crosses(axes: Any, points: list[tuple[float, float]], label: str, colour: str, *, joined: bool) -> None:
    if not points:
        return
    x, y = zip(*points, strict=True)
    named = label not in axes.get_legend_handles_labels()[1]
    axes.plot(
        x,
        y,
        ls="-" if joined else "",
        lw=0.9,
        marker="x",
        ms=6,
        mew=1.6,
        color=colour,
        label=label if named else None,
        zorder=3,
    )


def _finish(axes: Any, title: str, x: str, y: str, *, log_y: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    whole = FuncFormatter(lambda value, _: f"{value:,.10g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=4))
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    else:
        axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(whole)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.legend(loc="best")


def _capacity(axes: Any, document: Document) -> None:
    axes.axvline(
        document["hardware"]["l2"]["capacity_mib"], color="#999999", ls=":", lw=1.2, label="L2 capacity"
    )


def _chase(axes: Any, document: Document) -> None:
    curves = document["curves"]
    _curve(axes, curves["chase"], "footprint_mib", "latency_ns", "after laps of one SM")
    if curves["chase_touched"]:
        _curve(axes, curves["chase_touched"], "footprint_mib", "latency_ns", "after reads of all SMs", 1)
    _measured(axes, document, "chase_latency", "l2_near_latency", "l2_second_plateau", "memory_latency")
    _capacity(axes, document)
    _finish(axes, "Pointer chase", "footprint (MiB)", "latency of a load (ns)")


def _tlb(axes: Any, document: Document) -> None:
    curves = document["curves"]
    _curve(axes, curves["tlb"], "span_mib", "latency_ns", "lines in L2")
    if curves["page_walk"]:
        _curve(axes, curves["page_walk"], "span_mib", "latency_ns", "from memory, walks", 1)
    _measured(axes, document, "tlb_latency", "page_walk_latency")
    _finish(axes, "Chase of one line a page", "memory spanned (MiB)", "latency of a load (ns)")


def _replay(axes: Any, document: Document) -> None:
    curves = document["curves"]
    _curve(axes, curves["replay"], "footprint_mib", "gb_s", "replayed")
    _curve(axes, curves["cold"], "footprint_mib", "gb_s", "cold", 1)
    _curve(axes, curves["write"], "footprint_mib", "gb_s", "written", 2)
    _measured(axes, document, "replay", "l2_read", "memory_read", "memory_write")
    _capacity(axes, document)
    _finish(axes, "Streams", "footprint (MiB)", "bandwidth (GB/s)")


def _inflight(axes: Any, document: Document) -> None:
    _curve(axes, document["curves"]["inflight"], "inflight_kib", "gb_s", "simulated")
    _measured(axes, document, "inflight_read")
    _finish(axes, "Bytes in flight", "in flight on the chip (KiB)", "bandwidth (GB/s)", log_y=True)


def _gather(axes: Any, document: Document) -> None:
    points = document["curves"]["gather"]
    _curve(axes, points, "run_bytes", "gb_s", "wanted bytes")
    moved = [p | {"moved": p["gb_s"] * p["overfetch"]} for p in points]
    axes.plot(
        [p["run_bytes"] for p in moved], [p["moved"] for p in moved], ls="--", color="#777777", label="moved"
    )
    _measured(axes, document, "gather_read")
    _finish(axes, "Gather of runs at random", "run (bytes)", "bandwidth (GB/s)")


def _table(axes: Any, document: Document) -> None:
    points = document["curves"]["table"]
    _curve(axes, document["curves"]["table_word"], "page_bytes", "step_ns", "entry, then a word")
    _curve(axes, points, "page_bytes", "step_ns", "entry, then the page", 1)
    _curve(axes, points, "page_bytes", "entry_ns", "entry alone", 2)
    _measured(axes, document, "table_word")
    _finish(axes, "Block-table chase", "page (bytes)", "time of a step (ns)")


PANELS: dict[str, Callable[[Any, Document], None]] = {
    "chase": _chase,
    "tlb": _tlb,
    "replay": _replay,
    "inflight": _inflight,
    "gather": _gather,
    "table": _table,
}
