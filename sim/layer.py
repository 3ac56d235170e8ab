"""Everything of a step that is not attention: GEMMs, pointwise kernels, collectives and the launches between them."""

from collections.abc import Mapping

from sim.causes import CAUSES
from sim.config.hardware import Hardware
from sim.config.runtime import Pointwise, Runtime
from sim.config.workload import MixedFormat, Model, Workload
from sim.kernel_report import KernelReport, scaled
from sim.launch_times import launch_gap_ps, lost_share, start_ns
from sim.lowering.collective import all_gather_bound_ns, all_gather_ns, all_reduce_bound_ns, all_reduce_ns
from sim.lowering.gemm import VALUE_BYTES, Gemm, gemm_format, gemm_time, weight_bytes, written_bytes
from sim.lowering.layer_gemms import Counted, feed_forward_layers, head, head_of, layer_gemms
from sim.lowering.pointwise import pointwise_time, times_run
from sim.memory.peaks import data_peak_gb_s, ecc_share
from sim.operations import Operations

PS_PER_NS = 1000


def _account(hw: Hardware, launch_ns: float, causes: Mapping[str, float]) -> dict[str, float]:
    """SM-ns by cause, all causes: `launch_ns` on every SM, the others as they are."""
    return dict.fromkeys(CAUSES, 0.0) | {"launch": launch_ns * hw.sm.count} | dict(causes)


def _check_bits(size: int, hw: Hardware) -> dict[str, int]:
    """What inline ECC, where there is some, moves beside `size` contiguous bytes."""
    return {"hbm_ecc": round(size * ecc_share(hw.hbm))} if hw.hbm.inline_ecc_bytes else {}


def report_gemm(gemm: Gemm, model: Model, hw: Hardware, runtime: Runtime, launch_ns: float) -> KernelReport:
    """One GEMM behind its launch gap and its wait for code."""
    t = gemm_time(gemm, model, hw, runtime, launch_ns)
    causes = {
        "launch": launch_ns * hw.sm.count + t.launch_ns,
        "tensor": t.tensor_ns,
        "issue": t.issue_ns,
        "noc": t.noc_ns,
        "no_work": t.idle_ns,
        "hbm_queue": t.hbm_ns,
        "hbm_service": t.latency_ns,
        "l2": t.l2_ns,
    }
    written = written_bytes(gemm)
    read = t.bytes - written
    tensor = hw.sm.tensor_flop_per_clk[gemm_format(model, hw)]  # type: ignore[index]
    return KernelReport(
        time_ns=t.time_ns + launch_ns,
        account=_account(hw, launch_ns, causes),
        bytes={
            "hbm_read": read,
            "hbm_write": written,
            **_check_bits(t.bytes, hw),
            "l2_read": t.fill_bytes,
            "l2_write": written,
            "l2_hit": t.fill_bytes - read,
            "l2_miss": read,
            "sram_fill": t.fill_bytes,
            "wanted": read,
        },
        operations=Operations(tensor_flops=t.flops, sram_bytes=t.fill_bytes),
        bounds_ns={
            "hbm": weight_bytes(gemm, model) / data_peak_gb_s(hw.hbm),
            "tensor": t.flops / (hw.sm.count * hw.sm.clock_ghz * tensor),
            "l2": t.bytes / hw.l2.bandwidth_gb_s,
        },
        counters={"gemms": 1},
        tensor_clk=t.flops / tensor,
    )


def report_pointwise(
    kernel: Pointwise, tokens: int, model: Model, workload: Workload, hw: Hardware, launch_ns: float
) -> KernelReport:
    """One kernel that only moves values, behind its launch gap and its wait for code."""
    kept = workload.kv_format
    kv_format = kept.hot if isinstance(kept, MixedFormat) else kept
    t = pointwise_time(kernel, tokens, model, workload.tensor_parallel, hw, kv_format)
    moving = "hbm_queue" if t.memory else "l2"
    trips = t.trips_ns * hw.sm.count
    from_memory, to_memory = (t.read, t.written) if t.memory else (0, 0)
    return KernelReport(
        time_ns=t.time_ns + launch_ns,
        account=_account(hw, launch_ns, {moving: t.move_ns * hw.sm.count, "noc": trips}),
        bytes={
            "hbm_read": from_memory,
            "hbm_write": to_memory,
            **_check_bits(from_memory + to_memory, hw),
            "l2_read": t.read,
            "l2_write": t.written,
            "l2_hit": t.read - from_memory,
            "l2_miss": from_memory,
            "sram_fill": t.read,
            "wanted": t.read,
        },
        operations=Operations(),
        bounds_ns={"l2": (t.read + t.written) / hw.l2.bandwidth_gb_s},
        counters={"pointwise_kernels": 1},
    )


def _report_collective(
    kind: str, time_ns: float, bound_ns: float, hw: Hardware, launch_ns: float
) -> KernelReport:
    return KernelReport(
        time_ns=time_ns + launch_ns,
        account=_account(hw, launch_ns, {"collective": time_ns * hw.sm.count}),
        bytes={},
        operations=Operations(),
        bounds_ns={"link": bound_ns},
        counters={kind: 1},
    )


def report_collectives(
    tokens: int,
    sequences: int,
    model: Model,
    workload: Workload,
    hw: Hardware,
    runtime: Runtime,
    launch_ns: float,
) -> list[KernelReport]:
    """All-reduces after attention (or a state update), after each feed-forward block and of the embedding, whose
    vocabulary the devices share, and the gathering of each sequence's logits (Megatron-LM, arXiv:1909.08053, section 3;
    vLLM's VocabParallelEmbedding and LogitsProcessor). None without tensor parallelism."""
    parallel, rule = workload.tensor_parallel, runtime.all_reduce
    if parallel == 1:
        return []
    summed, logits = tokens * model.hidden * VALUE_BYTES, sequences * model.vocab * VALUE_BYTES
    reduce_ns, gather_ns = (
        all_reduce_ns(summed, parallel, hw, rule),
        all_gather_ns(logits, parallel, hw, rule),
    )
    reduce_bound, gather_bound = (
        all_reduce_bound_ns(summed, parallel, hw),
        all_gather_bound_ns(logits, parallel, hw),
    )
    reduce = _report_collective("all_reduces", reduce_ns, reduce_bound, hw, launch_ns)
    gather = _report_collective("all_gathers", gather_ns, gather_bound, hw, launch_ns)
    return [scaled(reduce, model.layers + feed_forward_layers(model) + 1), gather]


def layer_bytes(gemms: list[Counted], model: Model, kv_bytes: float) -> float:
    """Bytes that pass through L2 from one layer to the next, in the mean: weights, and the `kv_bytes` of attention."""
    return sum(layers * weight_bytes(gemm, model) for gemm, layers in gemms) / model.layers + kv_bytes


def report_around(
    tokens: int,
    sequences: int,
    model: Model,
    workload: Workload,
    hw: Hardware,
    runtime: Runtime,
    kv_bytes: float = 0.0,
    *,
    zero_latency: bool = False,
) -> list[KernelReport]:
    """All GEMMs, pointwise kernels and collectives of a whole step on one device. Sampling is not in it.

    zero_latency: device memory takes no time but its bursts (a what-if).
    kv_bytes: what attention reads in one layer. A kernel of a layer finds its code in L2 unless the weights and the KV
    that pass until the next layer have pushed it out.
    """
    parallel = workload.tensor_parallel
    gemms = layer_gemms(model, tokens, parallel)
    code = start_ns(hw, lost_share(layer_bytes(gemms, model, kv_bytes), hw), zero_latency=zero_latency)
    if zero_latency:
        hw = hw.model_copy(update={"hbm": hw.hbm.model_copy(update={"controller_ns": 0.0})})
    gap = launch_gap_ps(hw, workload.launch) / PS_PER_NS + code
    parts = [scaled(report_gemm(gemm, model, hw, runtime, gap), layers) for gemm, layers in gemms]
    for kernel in runtime.pointwise:
        times = times_run(kernel, model, hw)
        if times:
            parts.append(scaled(report_pointwise(kernel, tokens, model, workload, hw, gap), times))
    parts += report_collectives(tokens, sequences, model, workload, hw, runtime, gap)
    parts.append(report_gemm(head(model, sequences, parallel), head_of(model), hw, runtime, gap))
    return parts
