"""The values in hwconfigs/measured that say `own: true` are those of the committed runs of validation/gpu."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from own_runs import RUNS, checked_rows

from sim.config.kernel_profile import USUAL_CODE_TRIPS
from sim.config.load import load_hardware, load_measured
from sim.config.measured import Curve
from sim.memory import params
from sim.memory.latency import beyond_l2_ps

KIB, MIB = 1024, 1 << 20
DIGITS = 5e-4
"""Four significant digits."""

Points = dict[float, float]


@dataclass(frozen=True)
class Table:
    """Checked rows of one run."""

    rows: list[dict[str, str]]

    def where(self, measurement: str, unit: str, **cells: str) -> list[dict[str, str]]:
        cells |= {"measurement": measurement, "unit": unit}
        found = [row for row in self.rows if all(row[name] == cell for name, cell in cells.items())]
        assert found, cells
        return found

    def along(self, x: str, measurement: str, unit: str, **cells: str) -> Points:
        rows = self.where(measurement, unit, **cells)
        points = {float(row[x]): float(row["value"]) for row in rows}
        assert len(points) == len(rows), "one row for each x"
        return points


@pytest.fixture(params=sorted(RUNS))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def table(machine: str) -> Table:
    return Table(checked_rows(machine))


def chased(table: Table) -> Points:
    warm = table.along("footprint_bytes", "pointer_chase", "ns", method="ld.cg", l2_state="warm")
    return {size / KIB: ns for size, ns in warm.items()}


def streamed(table: Table, variant: str, state: str) -> Points:
    rows = table.along("footprint_bytes", "stream", "GB/s", variant=variant, l2_state=state)
    return {size / MIB: gb_s for size, gb_s in rows.items()}


def replayed(table: Table) -> Points:
    """[KiB] bandwidth of a pass without what it costs beside its bytes: the intercept of time over footprint in L2."""
    ns = {mib: mib * MIB / gb_s for mib, gb_s in streamed(table, "replay", "warm").items()}
    inside = [mib for mib in ns if 12 <= mib <= 32]
    design = np.stack([np.ones(len(inside)), inside], axis=1)
    fixed, _ = np.linalg.lstsq(design, [ns[mib] for mib in inside])[0]
    return {mib * KIB: mib * MIB / (time - fixed) for mib, time in ns.items()}


def one_load_each(table: Table) -> Points:
    """[threads on the chip] plain loads of 16 bytes, one in flight for a thread; in the fewest blocks."""
    rows = table.where("inflight", "GB/s", method="plain")
    points: Points = {}
    for row in sorted(rows, key=lambda row: int(row["ctas_per_sm"])):
        threads = int(row["ctas_per_sm"]) * int(row["threads"])
        if threads * 16 == int(row["inflight_bytes_per_sm"]):
            points.setdefault(132.0 * threads, float(row["value"]))
    return points


def spanned(table: Table) -> Points:
    spans = table.along("footprint_bytes", "tlb_reach", "ns", stride_bytes=str(2 * MIB))
    return {span / MIB: ns for span, ns in spans.items()}


def gathered(table: Table) -> Points:
    """[B] bandwidth of 256 MiB in one launch, without what an empty kernel takes between the same events."""
    (empty,) = table.where("launch", "us", variant="empty kernel between events", launch="stream")
    rows = table.along("run_bytes", "gather", "GB/s", method="bulk", l2_state="cold")
    size = 256 * MIB
    return {run: size / (size / gb_s - 1e3 * float(empty["value"])) for run, gb_s in rows.items()}


CURVES: dict[str, Callable[[Table], Points]] = {
    "chase": chased,
    "tlb": spanned,
    "replay": replayed,
    "inflight": one_load_each,
    "gather": gathered,
    "table": lambda table: table.along("run_bytes", "block_table_pair", "ns", l2_state="cold"),
}
QUANTITIES: dict[str, Callable[[Table], float]] = {
    "l2_near_latency": lambda table: chased(table)[12 * KIB],
    "memory_latency": lambda table: chased(table)[256 * KIB],
    "l2_read": lambda table: streamed(table, "read", "warm")[12],
    "memory_read": lambda table: streamed(table, "read", "cold")[4096],
    "memory_write": lambda table: streamed(table, "write", "cold")[4096],
}


@pytest.mark.parametrize("name", sorted(CURVES))
def test_every_point_of_our_own_curves_is_in_the_run_that_its_source_names(
    name: str, machine: str, table: Table
) -> None:
    curve = getattr(load_measured(machine), name)
    assert isinstance(curve, Curve)
    assert curve.own
    assert f"validation/gpu/{RUNS[machine]}:" in curve.source
    measured = CURVES[name](table)
    for x, y in curve.points:
        assert y == pytest.approx(measured[x], rel=DIGITS), x


def test_every_own_value_of_a_quantity_is_in_the_run_that_its_source_names(
    machine: str, table: Table
) -> None:
    expected = {name: read(table) for name, read in QUANTITIES.items()}
    listed = load_measured(machine).quantities
    own = [(name, value) for name, values in listed.items() for value in values if value.own]
    assert sorted(name for name, _ in own) == sorted(expected)
    for name, value in own:
        assert value.in_base_unit == pytest.approx(expected[name], rel=DIGITS), name
        assert f"validation/gpu/{RUNS[machine]}:" in value.source


def test_the_cost_of_a_pass_beside_its_bytes_is_what_the_source_says(machine: str, table: Table) -> None:
    curve = load_measured(machine).replay
    assert curve is not None
    time = 1 / streamed(table, "replay", "warm")[12] - 1 / replayed(table)[12 * KIB]
    assert f"less {time * 12 * MIB / 1000:.2f} us a pass" in curve.source


@pytest.mark.parametrize(
    ("measurement", "cells", "key"),
    [
        ("exp_rate", {"method": "ex2.approx.ftz.f32"}, "exp_per_clk"),
        ("shared_memory", {"method": "load 16 B"}, "sram_bytes_per_clk"),
    ],
)
def test_rates_of_the_sm_are_within_1_per_cent_of_what_silicon_showed(
    measurement: str, cells: dict[str, str], key: str, machine: str, table: Table
) -> None:
    unit = {"exp_rate": "values/clk/SM", "shared_memory": "B/clk/SM"}[measurement]
    (row,) = table.where(measurement, unit, **cells)
    assert getattr(load_hardware(machine).spec.sm, key) == pytest.approx(float(row["value"]), rel=0.01)


def test_a_streaming_read_makes_the_trips_for_its_code_that_are_assumed_of_any_kernel(
    machine: str, table: Table
) -> None:
    """What a replay takes beside its bytes (the intercept of time over footprint) is longer where its data push each
    other out of L2: by a trip for the first of them, and by those for the code."""
    ns = {mib: mib * MIB / gb_s for mib, gb_s in streamed(table, "replay", "warm").items()}

    def fixed(least: float, most: float) -> float:
        sizes = [mib for mib in ns if least <= mib <= most]
        return float(np.polyfit(sizes, [ns[mib] for mib in sizes], 1)[1])

    trip_ns = beyond_l2_ps(params.build(load_hardware(machine).spec)) / 1000
    trips = (fixed(72, 256) - fixed(4, 16)) / trip_ns - 1
    assert pytest.approx(trips, abs=0.5) == USUAL_CODE_TRIPS
