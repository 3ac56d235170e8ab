"""Everything of a step that is not attention: GEMMs, collectives and the launches between them, as sums."""

from sim.causes import CAUSES
from sim.config.hardware import Hardware
from sim.config.workload import Model, Workload
from sim.kernel_report import KernelReport, Operations, scaled
from sim.lowering.gemm import (
    ALL_REDUCES_PER_LAYER,
    VALUE_BYTES,
    Gemm,
    all_reduce_ns,
    gemm_time,
    head,
    projections,
)
from sim.memory.params import peak_gb_s


def report_gemm(gemm: Gemm, model: Model, hw: Hardware, launch_ns: float) -> KernelReport:
    """One GEMM behind its launch gap; waiting for streamed weights is queueing at memory."""
    t = gemm_time(gemm, model, hw)
    account = dict.fromkeys(CAUSES, 0.0) | {
        "launch": launch_ns * hw.sm.count,
        "tensor": t.tensor_ns,
        "no_work": t.idle_ns,
        "hbm_queue": t.memory_ns,
    }
    moved = {
        "hbm_read": t.bytes,
        "l2_read": t.bytes,
        "l2_miss": t.bytes,
        "sram_fill": t.bytes,
        "wanted": t.bytes,
    }
    best = max(hw.sm.tensor_flop_per_clk.values())
    return KernelReport(
        time_ns=t.time_ns + launch_ns,
        account=account,
        bytes=moved,
        operations=Operations(tensor_flops=t.flops, sram_bytes=t.bytes),
        bounds_ns={
            "hbm": t.bytes / peak_gb_s(hw.hbm),
            "tensor": t.flops / (hw.sm.count * hw.sm.clock_ghz * best),
            "l2": t.bytes / hw.l2.bandwidth_gb_s,
        },
        counters={"gemms": 1},
    )


def report_collective(tokens: int, model: Model, workload: Workload, hw: Hardware) -> KernelReport | None:
    """The all-reduces of one layer, or None without tensor parallelism."""
    size = tokens * model.hidden * VALUE_BYTES
    time = ALL_REDUCES_PER_LAYER * all_reduce_ns(size, workload.tensor_parallel, hw)
    if time == 0:
        return None
    return KernelReport(
        time_ns=time,
        account=dict.fromkeys(CAUSES, 0.0) | {"collective": time * hw.sm.count},
        bytes={},
        operations=Operations(),
        bounds_ns={"link": time},
        counters={"all_reduces": ALL_REDUCES_PER_LAYER},
    )


def report_around(
    tokens: int, sequences: int, model: Model, workload: Workload, hw: Hardware
) -> list[KernelReport]:
    """All GEMMs and collectives of a whole step on one device."""
    gap = {"graph": hw.launch.graph_ns, "stream": hw.launch.stream_ns, "none": 0.0}[workload.launch]
    parts: list[KernelReport] = []
    for gemm in projections(model, tokens, workload.tensor_parallel):
        parts.append(scaled(report_gemm(gemm, model, hw, gap), model.layers))
    collective = report_collective(tokens, model, workload, hw)
    if collective is not None:
        parts.append(scaled(collective, model.layers))
    parts.append(report_gemm(head(model, sequences, workload.tensor_parallel), model, hw, gap))
    return parts
