"""All benchmarks on one machine, and each quantity beside what was measured on silicon."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sim.config.hardware import Hardware
from sim.config.measured import Curve, Measured
from sim.micro import chase, gather, inflight, stream
from sim.micro.driver import run

SECTIONS = ("chase", "stream", "inflight", "gather", "table")
KIB_PER_MIB = 1024

Points = list[dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """A measured value of a quantity; difference: simulated over measured, less 1."""

    measured: float
    difference: float
    source: str


@dataclass(frozen=True)
class Row:
    """One quantity; `x` and `x_unit` say where on its curve it was read."""

    section: str
    quantity: str
    x: float
    x_unit: str
    simulated: float
    unit: str
    measured: tuple[Comparison, ...]


@dataclass(frozen=True)
class Characterisation:
    """Rows to compare, and the curves as plain points, by name."""

    rows: tuple[Row, ...]
    curves: dict[str, Points]


def characterise(hw: Hardware, known: Measured, sections: Sequence[str], seed: int = 0) -> Characterisation:
    """Run the sections named. Where a measured curve is known its own points are simulated."""
    parts: dict[str, Callable[[], Characterisation]] = {
        "chase": lambda: _chase(hw, known, seed),
        "stream": lambda: _stream(hw, known, seed),
        "inflight": lambda: _inflight(hw, known),
        "gather": lambda: _gather(hw, seed),
        "table": lambda: _table(hw, seed),
    }
    done = [parts[name]() for name in SECTIONS if name in sections]
    curves = {name: points for part in done for name, points in part.curves.items()}
    return Characterisation(tuple(row for part in done for row in part.rows), curves)


def _row(known: Measured, section: str, quantity: str, mib: float, simulated: float, unit: str) -> Row:
    values = [v for name, listed in known.quantities.items() if name == quantity for v in listed]
    compared = tuple(
        Comparison(
            v.in_base_unit, simulated / v.in_base_unit - 1, f"{_as_published(v.value, v.unit)}{v.source}"
        )
        for v in values
    )
    return Row(section, quantity, mib, "MiB", simulated, unit, compared)


def _as_published(value: float, unit: str) -> str:
    return f"{value:g} cycles; " if unit == "cycles" else ""


def _chase(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    sizes = [share * hw.l2.capacity_mib for share in chase.SHARES]
    points = [(mib, chase.chase_point(run(chase.chase(hw, mib, seed)))) for mib in sizes]
    at = dict(zip(chase.SHARES, points, strict=True))
    plateaus = [("l2_near_latency", at[chase.NEAR]), ("memory_latency", at[chase.MEMORY])]
    if hw.l2.partitions > 1 and not hw.l2.private:
        plateaus.insert(1, ("l2_second_plateau", at[chase.SECOND]))
    pages = chase.chase_pages(hw)
    if pages is not None:
        points.append(pages)
        plateaus.append(("page_walk_latency", pages))
    rows = [_row(known, "chase", name, mib, point.latency_ns, "ns") for name, (mib, point) in plateaus]
    return Characterisation(tuple(rows), {"chase": _with("footprint_mib", points)})


def _stream(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    sizes = (
        [x / KIB_PER_MIB for x, _ in known.replay.points] if known.replay else stream.replay_footprints(hw)
    )

    def point(mib: float, **how: Any) -> tuple[float, stream.StreamPoint]:
        return mib, stream.stream_point(run(stream.stream(hw, stream.Stream(mib, **how), seed)))

    points = [point(size, warm=True) for size in sizes]
    cold, written = point(stream.COLD_MIB, passes=1), point(stream.written_mib(hw), passes=1, write=True)
    ends = (("l2_read", points[0]), ("memory_read", cold), ("memory_write", written))
    rows = [
        *(_row(known, "stream", name, mib, p.gb_s, "GB/s") for name, (mib, p) in ends),
        *_curve_rows("stream", "replay", "MiB", known.replay, [(mib, p.gb_s) for mib, p in points]),
    ]
    curves = {"replay": points, "cold": [cold], "write": [written]}
    return Characterisation(
        tuple(rows), {name: _with("footprint_mib", part) for name, part in curves.items()}
    )


def _inflight(hw: Hardware, known: Measured) -> Characterisation:
    threads = [round(x) for x, _ in known.inflight.points] if known.inflight else inflight.thread_counts(hw)
    benches = [inflight.inflight(hw, count) for count in threads]
    points = [inflight.inflight_point(bench, run(bench)) for bench in benches]
    at = [(p.inflight_kib, p.gb_s) for p in points]
    rows = _curve_rows("inflight", "inflight_read", "KiB in flight", known.inflight, at)
    return Characterisation(tuple(rows), {"inflight": [asdict(point) for point in points]})


def _gather(hw: Hardware, seed: int) -> Characterisation:
    pool = gather.pool_mib(hw)
    points = [
        (size, gather.gather_point(run(gather.gather(hw, size, pool, seed)))) for size in gather.RUN_BYTES
    ]
    rows = [Row("gather", "gather_read", size, "B a run", p.gb_s, "GB/s", ()) for size, p in points]
    return Characterisation(tuple(rows), {"gather": _with("run_bytes", points)})


def _table(hw: Hardware, seed: int) -> Characterisation:
    pool = gather.pool_mib(hw)
    points = [
        (size, gather.table_point(run(gather.table_chase(hw, size, pool, seed))))
        for size in gather.PAGE_BYTES
    ]
    rows = [Row("table", "table_step", size, "B a page", p.step_ns, "ns", ()) for size, p in points]
    return Characterisation(tuple(rows), {"table": _with("page_bytes", points)})


def _with(name: str, points: Sequence[tuple[float, Any]]) -> Points:
    """Points as plain data behind their place on the curve."""
    return [{name: x} | asdict(point) for x, point in points]


def _curve_rows(
    section: str, name: str, x_unit: str, curve: Curve | None, points: Sequence[tuple[float, float]]
) -> list[Row]:
    """One row for each point; a known curve was simulated at its own points, in order."""
    measured = [y for _, y in curve.points] if curve else [None] * len(points)
    source = curve.source if curve else ""
    return [
        Row(section, name, x, x_unit, value, "GB/s", (Comparison(y, value / y - 1, source),) if y else ())
        for (x, value), y in zip(points, measured, strict=True)
    ]
