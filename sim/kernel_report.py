"""One simulated kernel as plain sums: time, account, bytes, operations, bounds, mapping. Steps add these up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kernels_ref.trace import Step
from sim.attention_run import AttentionRun, Task
from sim.bounds import kernel_bounds_ns
from sim.causes import CAUSES
from sim.config.hardware import Hardware
from sim.lowering.cut import Cut
from sim.lowering.occupancy import KIB
from sim.lowering.units import attention_units
from sim.operations import Operations

PS_PER_NS = 1000


@dataclass(frozen=True)
class KernelReport:
    """Sums of one kernel (or of several in a row)."""

    time_ns: float
    account: Mapping[str, float]
    """SM-ns by cause, all causes."""
    bytes: Mapping[str, int]
    operations: Operations
    bounds_ns: Mapping[str, float]
    counters: Mapping[str, float]
    mapping: Mapping[str, Any] = field(default_factory=dict)
    tensor_clk: float = 0.0
    """SM-clocks that the products take at the peak rates of their formats."""
    tier_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes moved by kind of tier."""


def moved_bytes(task: Task, run: AttentionRun) -> dict[str, int]:
    """The `bytes` section of a result for one attention kernel."""
    c = run.outcome.counters
    return {
        "hbm_read": c["hbm_read"],
        "hbm_write": c["hbm_write"],
        **({"hbm_ecc": c["hbm_ecc"]} if "hbm_ecc" in c else {}),
        "l2_read": c["l2_read"],
        "l2_write": c["l2_write"],
        "l2_hit": c["l2_hit"],
        "l2_miss": c["l2_miss"],
        "wanted": c["wanted"],
        "sram_fill": c["l2_read"],
        "block_table": c["requested_metadata"] + c["assist_walks"] * task.hw.l2.sector_bytes,
        "scales": run.totals.scale_bytes,
    } | {f"tier.{name}.in": run.outcome.tier_bytes.get(name, 0) for name in task.step.tiers}


def _cut_as_run(step: Step, cut: Cut) -> dict[str, Any]:
    """A cut with the most splits that its whole tiles make of an output, which are no more than were asked for."""
    if cut.profile.algorithm != "flash":
        return cut.summary()
    return cut.summary() | {"splits": int(attention_units(step, cut).splits.max(initial=1))}


def attention_mapping(step: Step, run: AttentionRun) -> dict[str, Any]:
    """The `mapping` section: the cut, its storage arithmetic, what else was tried."""
    candidate = run.candidate
    fits = candidate.footprint
    cut = candidate.cut
    return _cut_as_run(step, cut) | {
        "ctas": run.totals.ctas,
        "tiles": run.totals.tiles,
        "sram_kib_per_cta": fits.sram_bytes / KIB,
        "sram_kib_used_per_sm": fits.sram_bytes * cut.ctas_per_sm / KIB,
        "sram_occupancy": fits.sram_bytes * cut.ctas_per_sm / fits.sram_limit_bytes,
        "registers_kib_per_cta": fits.register_bytes / KIB,
        "arithmetic": fits.arithmetic(),
        "mma": run.totals.mma,
        "expand_in": cut.profile.expand_in,
        "candidates_considered": run.choice.considered,
        "candidates_probed": len(run.choice.tried),
        "runners_up": [
            _cut_as_run(step, tried) | {"estimate_ns": time}
            for tried, time in run.choice.tried
            if tried != cut
        ],
        "estimate_ns": next((time for tried, time in run.choice.tried if tried == cut), None),
    }


def _by_kind(hw: Hardware, by_name: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, size in by_name.items():
        kind = hw.tiers[name].kind
        total[kind] = total.get(kind, 0) + size
    return total


def _tensor_rate(hw: Hardware, mma: str) -> float:
    """FLOP per clock and SM in a format; a launch without products names one that the chip may lack."""
    return {str(name): rate for name, rate in hw.sm.tensor_flop_per_clk.items()}.get(mma, 1.0)


def report_attention(task: Task, run: AttentionRun) -> KernelReport:
    outcome = run.outcome
    bounds = kernel_bounds_ns(task.step, task.profiles, task.workload, task.loaded)
    counters: dict[str, float] = dict(outcome.counters)
    counters |= {"ctas": run.totals.ctas_first, "tiles": run.totals.tiles_first}
    return KernelReport(
        time_ns=outcome.time_ps / PS_PER_NS,
        account={cause: value / PS_PER_NS for cause, value in outcome.account.items()},
        bytes=moved_bytes(task, run),
        operations=run.totals.operations,
        bounds_ns=bounds,
        counters=counters,
        mapping=attention_mapping(task.step, run),
        tensor_clk=run.totals.operations.tensor_flops / _tensor_rate(task.hw, run.totals.mma),
        tier_bytes=_by_kind(task.hw, outcome.tier_bytes),
    )


def scaled(report: KernelReport, count: int) -> KernelReport:
    """`count` equal kernels, one after the other."""
    return replace(
        report,
        time_ns=report.time_ns * count,
        account={cause: value * count for cause, value in report.account.items()},
        bytes={name: value * count for name, value in report.bytes.items()},
        operations=report.operations.times(count),
        bounds_ns={name: value * count for name, value in report.bounds_ns.items()},
        counters={name: value * count for name, value in report.counters.items()},
        tensor_clk=report.tensor_clk * count,
        tier_bytes={name: value * count for name, value in report.tier_bytes.items()},
    )


def _sum(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {name: sum(part.get(name, 0) for part in parts) for name in names}


def joined(reports: Sequence[KernelReport], mapping: Mapping[str, Any]) -> KernelReport:
    """Kernels in a row: everything adds up."""
    total = Operations()
    for report in reports:
        total += report.operations
    account = _sum([r.account for r in reports])
    return KernelReport(
        time_ns=sum(r.time_ns for r in reports),
        account={cause: account.get(cause, 0.0) for cause in CAUSES},
        bytes=_sum([r.bytes for r in reports]),
        operations=total,
        bounds_ns=_sum([r.bounds_ns for r in reports]),
        counters=_sum([r.counters for r in reports]),
        mapping=mapping,
        tensor_clk=sum(r.tensor_clk for r in reports),
        tier_bytes=_sum([r.tier_bytes for r in reports]),
    )
