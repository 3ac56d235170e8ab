"""All benchmarks on one machine, and each quantity beside what was measured on silicon."""

from collections.abc import Callable, Iterable, Sequence
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
    """A measured value of a quantity; difference: simulated over measured, less 1. own: from validation/gpu."""

    measured: float
    difference: float
    source: str
    own: bool


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
        "gather": lambda: _gather(hw, known, seed),
        "table": lambda: _table(hw, known, seed),
    }
    done = [parts[name]() for name in SECTIONS if name in sections]
    curves = {name: points for part in done for name, points in part.curves.items()}
    return Characterisation(tuple(row for part in done for row in part.rows), curves)


def _row(known: Measured, section: str, quantity: str, mib: float, simulated: float, unit: str) -> Row:
    values = [v for name, listed in known.quantities.items() if name == quantity for v in listed]
    compared = tuple(
        _beside(simulated, v.in_base_unit, f"{_as_published(v.value, v.unit)}{v.source}", v.own)
        for v in values
    )
    return Row(section, quantity, mib, "MiB", simulated, unit, compared)


def _beside(simulated: float, measured: float, source: str, own: bool) -> Comparison:
    return Comparison(measured, simulated / measured - 1, source, own)


def _as_published(value: float, unit: str) -> str:
    return f"{value:g} cycles; " if unit == "cycles" else ""


def _chase(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    plateaus = [("l2_near_latency", chase.NEAR), ("memory_latency", chase.MEMORY)]
    if hw.l2.partitions > 1 and not hw.l2.private:
        plateaus.insert(1, ("l2_second_plateau", chase.SECOND))
    sizes = [share * hw.l2.capacity_mib for share in chase.SHARES]
    points = [(mib, chase.chase_point(run(chase.chase(hw, mib, seed)))) for mib in sizes]
    at = dict(zip(chase.SHARES, points, strict=True))
    rows = [_row(known, "chase", name, *_latency_of(at[share]), "ns") for name, share in plateaus]
    pages = chase.chase_pages(hw)
    if pages is not None:
        rows.append(_row(known, "chase", "page_walk_latency", *_latency_of(pages), "ns"))
    touched, spans = _touched(hw, known, seed), _spans(hw, known, seed)
    rows += _curve_rows("chase", "chase_latency", "MiB", "ns", known.chase, map(_latency_of, touched))
    rows += _curve_rows("chase", "tlb_latency", "MiB spanned", "ns", known.tlb, map(_latency_of, spans))
    curves = {
        "chase": _with("footprint_mib", points),
        "chase_touched": _with("footprint_mib", touched),
        "tlb": _with("span_mib", spans),
        "page_walk": _with("span_mib", [pages] if pages else []),
    }
    return Characterisation(tuple(rows), curves)


def _touched(hw: Hardware, known: Measured, seed: int) -> list[tuple[float, chase.ChasePoint]]:
    """Only where it was measured: on its own it says no more than a chase over what one SM had read."""
    sizes = _footprints_mib(known.chase, [])
    return [(mib, chase.chase_point(run(chase.chase_touched(hw, mib, seed)))) for mib in sizes]


def _spans(hw: Hardware, known: Measured, seed: int) -> list[tuple[float, chase.ChasePoint]]:
    spans = [mib for mib, _ in known.tlb.points] if known.tlb else chase.tlb_spans_mib(hw)
    return [(mib, chase.chase_point(run(chase.chase_lines(hw, mib, seed)))) for mib in spans]


def _latency_of(point: tuple[float, chase.ChasePoint]) -> tuple[float, float]:
    return point[0], point[1].latency_ns


def _stream(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    sizes = _footprints_mib(known.replay, stream.replay_footprints(hw))

    def point(mib: float, **how: Any) -> tuple[float, stream.StreamPoint]:
        what = stream.Stream(mib, **how)
        outcome = run(stream.stream(hw, what, seed))
        return mib, stream.launch_point(outcome, hw) if what.launch else stream.stream_point(outcome)

    launches = known.replay is not None and known.replay.launches
    points = [point(size, warm=True, launch=launches) for size in sizes]
    cached = point(sizes[0], warm=True) if launches else points[0]
    cold, written = point(stream.COLD_MIB, passes=1), point(stream.written_mib(hw), passes=1, write=True)
    ends = (("l2_read", cached), ("memory_read", cold), ("memory_write", written))
    rows = [
        *(_row(known, "stream", name, mib, p.gb_s, "GB/s") for name, (mib, p) in ends),
        *_curve_rows("stream", "replay", "MiB", "GB/s", known.replay, [(mib, p.gb_s) for mib, p in points]),
    ]
    curves = {"replay": points, "cold": [cold], "write": [written]}
    return Characterisation(
        tuple(rows), {name: _with("footprint_mib", part) for name, part in curves.items()}
    )


def _inflight(hw: Hardware, known: Measured) -> Characterisation:
    curve = known.inflight
    threads = _sizes(curve, inflight.thread_counts(hw))
    loads = inflight.Loads(curve.load_bytes, curve.loop) if curve else inflight.ONE_EACH
    benches = [inflight.inflight(hw, count, loads=loads) for count in threads]
    points = [inflight.inflight_point(bench, run(bench), loads) for bench in benches]
    at = [(p.inflight_kib, p.gb_s) for p in points]
    rows = _curve_rows("inflight", "inflight_read", "KiB in flight", "GB/s", curve, at)
    return Characterisation(tuple(rows), {"inflight": [asdict(point) for point in points]})


def _gather(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    pool, sizes = gather.pool_mib(hw), _sizes(known.gather, gather.RUN_BYTES)
    points = [(size, gather.gather_point(run(gather.gather(hw, size, pool, seed)))) for size in sizes]
    at = [(size, p.gb_s) for size, p in points]
    rows = _curve_rows("gather", "gather_read", "B a run", "GB/s", known.gather, at)
    return Characterisation(tuple(rows), {"gather": _with("run_bytes", points)})


def _table(hw: Hardware, known: Measured, seed: int) -> Characterisation:
    pool, sizes = gather.pool_mib(hw), _sizes(known.table, gather.PAGE_BYTES)
    words = [(size, gather.table_point(run(gather.word_chase(hw, size, pool, seed)))) for size in sizes]
    pages = [
        (size, gather.table_point(run(gather.table_chase(hw, size, pool, seed))))
        for size in gather.PAGE_BYTES
    ]
    rows = [
        *_curve_rows(
            "table", "table_word", "B a page", "ns", known.table, [(x, p.step_ns) for x, p in words]
        ),
        *_curve_rows("table", "table_step", "B a page", "ns", None, [(x, p.step_ns) for x, p in pages]),
    ]
    return Characterisation(
        tuple(rows), {"table": _with("page_bytes", pages), "table_word": _with("page_bytes", words)}
    )


def _footprints_mib(curve: Curve | None, otherwise: Sequence[float]) -> Sequence[float]:
    return [kib / KIB_PER_MIB for kib, _ in curve.points] if curve else otherwise


def _sizes(curve: Curve | None, otherwise: Sequence[int]) -> Sequence[int]:
    return [round(x) for x, _ in curve.points] if curve else otherwise


def _with(name: str, points: Sequence[tuple[float, Any]]) -> Points:
    """Points as plain data behind their place on the curve."""
    return [{name: x} | asdict(point) for x, point in points]


def _curve_rows(
    section: str,
    name: str,
    x_unit: str,
    unit: str,
    curve: Curve | None,
    points: Iterable[tuple[float, float]],
) -> list[Row]:
    """One row for each point; a known curve was simulated at its own points, in order."""
    if curve is None:
        return [Row(section, name, x, x_unit, value, unit, ()) for x, value in points]
    return [
        Row(section, name, x, x_unit, value, unit, (_beside(value, y, curve.source, curve.own),))
        for (x, value), (_, y) in zip(points, curve.points, strict=True)
    ]
