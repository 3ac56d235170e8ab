"""From the sums of a run to its Result: rates, shares of peaks, energy, area."""

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from sim.config.hardware import Hardware
from sim.cost.area import area_mm2
from sim.cost.energy import Events, energy_j
from sim.kernel_report import KernelReport
from sim.memory.peaks import peak_gb_s
from sim.result import Result


def echo_of(hw: Hardware, workload: Mapping[str, Any], seed: int, fidelity: str) -> dict[str, Any]:
    """What a result repeats of the question; `workload`: as plain data."""
    return {
        "pagewalk_version": version("pagewalk"),
        "seed": seed,
        "fidelity": fidelity,
        "hardware": hw.model_dump(mode="json"),
        "workload": workload,
    }


def finish(
    report: KernelReport,
    hw: Hardware,
    echo: Mapping[str, Any],
    *,
    tokens: int | None = None,
    kv: Mapping[str, float] | None = None,
    sampling: Mapping[str, Any],
    what_if: Mapping[str, float] | None,
    verify: Mapping[str, Any] | None = None,
    started: float,
) -> Result:
    """`hw`: at the clock that it held; `echo`: of `echo_of`; `started`: when the run began
    (`time.perf_counter`).
    """
    bound = max(report.bounds_ns.values())
    area = sum(report.account.values())
    return Result(
        **echo,
        mapping=dict(report.mapping),
        time_ns=report.time_ns,
        steps=1,
        tokens=tokens,
        bounds_ns=dict(report.bounds_ns),
        bound_ns=bound,
        speed_of_light=bound / report.time_ns,
        bytes={name: int(value) for name, value in report.bytes.items()},
        bandwidth_gb_s=bandwidths_gb_s(report),
        utilisation=utilisation(report, hw),
        stalls={cause: value / area for cause, value in report.account.items()},
        counters=dict(report.counters) | _clock(hw),
        kv=dict(kv or {}),
        energy_j=energy_j(events_of(report, hw), hw),
        area_mm2=area_mm2(hw),
        sampling=dict(sampling),
        what_if=None if what_if is None else dict(what_if),
        verify=None if verify is None else dict(verify),
        wall_s=time.perf_counter() - started,
    )


def finish_bound(
    bounds_ns: Mapping[str, float],
    moved: Mapping[str, int],
    hw: Hardware,
    echo: Mapping[str, Any],
    *,
    tokens: int | None = None,
    kv: Mapping[str, float] | None = None,
    started: float,
) -> Result:
    """The analytic floor as the answer, without a simulation."""
    bound = max(bounds_ns.values())
    return Result(
        **echo,
        mapping={},
        time_ns=bound,
        steps=1,
        tokens=tokens,
        bounds_ns=dict(bounds_ns),
        bound_ns=bound,
        speed_of_light=1.0,
        bytes=dict(moved),
        bandwidth_gb_s={},
        utilisation={},
        stalls=None,
        counters=_clock(hw),
        kv=dict(kv or {}),
        energy_j=None,
        area_mm2=area_mm2(hw),
        sampling={"mode": "bound", "relative_ci95": None},
        what_if=None,
        verify=None,
        wall_s=time.perf_counter() - started,
    )


def _clock(hw: Hardware) -> dict[str, float]:
    """The clock that SMs had, which the config alone does not tell: it has one for each phase."""
    return {"sm_clock_ghz": hw.sm.clock_ghz}


def bandwidths_gb_s(report: KernelReport) -> dict[str, float]:
    moved, time_ns = report.bytes, report.time_ns
    rates = {
        "hbm": (moved.get("hbm_read", 0) + moved.get("hbm_write", 0)) / time_ns,
        "l2": (moved.get("l2_read", 0) + moved.get("l2_write", 0)) / time_ns,
        "sram_fill": moved.get("sram_fill", 0) / time_ns,
    }
    tiers = {name: value / time_ns for name, value in moved.items() if name.startswith("tier.")}
    return rates | tiers


def utilisation(report: KernelReport, hw: Hardware) -> dict[str, float]:
    clocks = report.time_ns * hw.sm.clock_ghz * hw.sm.count
    rates = bandwidths_gb_s(report)
    ops = report.operations
    return {
        "hbm": rates["hbm"] / peak_gb_s(hw.hbm),
        "l2": rates["l2"] / hw.l2.bandwidth_gb_s,
        "noc": report.bytes.get("sram_fill", 0) / (clocks * hw.noc.port_bytes_per_clk),
        "tensor": report.tensor_clk / clocks,
        "exp": ops.exps / (clocks * hw.sm.exp_per_clk),
        "unpack": report.account["unpack"] / (report.time_ns * hw.sm.count),
        "sram": ops.sram_bytes / (clocks * hw.sm.sram_bytes_per_clk),
    }


def events_of(report: KernelReport, hw: Hardware) -> Events:
    """Counts of a run that take energy."""
    moved = report.bytes
    l2 = moved.get("l2_read", 0) + moved.get("l2_write", 0)
    return Events(
        hbm_bytes=sum(moved.get(name, 0) for name in ("hbm_read", "hbm_write", "hbm_ecc")),
        l2_bytes=l2,
        noc_bytes=l2,
        sram_bytes=report.operations.sram_bytes,
        fp16_flops=report.tensor_clk * hw.sm.tensor_flop_per_clk["fp16"],
        exps=report.operations.exps,
        unpack_values=report.operations.unpack_values,
        tier_bytes=report.tier_bytes,
        time_ns=report.time_ns,
    )
