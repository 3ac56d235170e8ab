"""Measured values that ship: for machines that ship, from public material, in the units that the program reads."""

import pytest

from sim.config.catalog import shipped
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_measured
from sim.config.measured import Curve, Measured
from sim.memory.peaks import peak_gb_s

NAMES = shipped("measured values")
FORBIDDEN = (".md", "/work", "shared/", "facts", "todo", "tbd")


def spec(name: str) -> Hardware:
    return load_hardware(name).spec


def curves(known: Measured) -> list[Curve]:
    listed = (known.chase, known.tlb, known.replay, known.inflight, known.gather, known.table)
    return [curve for curve in listed if curve]


def test_the_machines_that_are_judged_have_measured_values() -> None:
    assert {"a100_sxm_80gb", "h100_sxm", "h200_sxm", "b200"} <= set(NAMES) <= set(shipped("hardware"))


@pytest.mark.parametrize("name", NAMES)
def test_sources_name_public_material(name: str) -> None:
    known = load_measured(name)
    sources = [value.source for values in known.quantities.values() for value in values]
    sources += [curve.source for curve in curves(known)]
    assert sources
    assert not any(word in source.lower() for source in sources for word in FORBIDDEN)


@pytest.mark.parametrize("name", NAMES)
def test_rates_are_below_the_peak_and_latencies_in_order(name: str) -> None:
    known, peak = load_measured(name).quantities, peak_gb_s(spec(name).hbm)
    for quantity in ("memory_read", "memory_write"):
        assert all(value.in_base_unit < peak for value in known.get(quantity, []))
    plateaus = [
        known[q][0].in_base_unit
        for q in ("l2_near_latency", "l2_second_plateau", "memory_latency")
        if q in known
    ]
    assert plateaus == sorted(plateaus)
    assert all(20 < value < 1000 for value in plateaus)


@pytest.mark.parametrize("name", NAMES)
def test_curves_go_from_left_to_right_and_memory_gives_less_than_its_peak(name: str) -> None:
    known, peak = load_measured(name), peak_gb_s(spec(name).hbm)
    for curve in curves(known):
        along = [x for x, _ in curve.points]
        assert along == sorted(set(along))
    for curve in (known.inflight, known.gather):
        assert curve is None or all(gb_s < peak for _, gb_s in curve.points)


def test_a_machine_without_measurements_has_none() -> None:
    known = load_measured("l4")
    assert known.quantities == {}
    assert curves(known) == []
