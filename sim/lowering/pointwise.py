"""Kernels that only move values: norms, rotary embedding, activations, copies into the cache, the embedding.

One CTA per token at least (vLLM and PyTorch launch them so), so that a few tokens leave most SMs idle and the time is
that of a few dependent trips to L2; many tokens take turns on the SMs, each for as long as its trips. Values that the
kernel before has just written come from L2 while they fit it, from memory beyond that.
"""

import math
from dataclasses import dataclass

from sim.config.hardware import Hardware, KvFormat
from sim.config.runtime import Pointwise
from sim.config.workload import Model
from sim.formats import token_bytes
from sim.lowering.gemm import VALUE_BYTES, gemm_format
from sim.lowering.layer_gemms import attention_layers, feed_forward_layers, ffn_width
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import data_peak_gb_s

CTA_BYTES = 4096
"""Bytes that one CTA of an element-wise kernel takes at most: 1024 threads of 16 bytes are four such."""


CTAS_PER_SM = 2
"""CTAs of 1024 threads, as vLLM's kernels have for a token, that an SM holds at a time."""


@dataclass(frozen=True)
class PointwiseTime:
    """Time of one kernel without its launch: moving bytes (or computing, or CTAs that take turns), and dependent trips.
    `memory`: bytes come from memory."""

    move_ns: float
    trips_ns: float
    read: int
    written: int
    memory: bool

    @property
    def time_ns(self) -> float:
        return self.move_ns + self.trips_ns


def widths(model: Model, parallel: int, kv_format: KvFormat) -> dict[str, int]:
    """Bytes per token on one device of what pointwise kernels work on; kv and cache: K and V together."""
    heads, latent = max(1, model.kv_heads // parallel), model.attention == "mla"
    value_dim = model.value_dim or model.head_dim
    compressed = (model.latent.q_rank or 0) + model.head_dim if model.latent is not None else 0
    count, active = (model.experts.count, model.experts.active) if model.experts is not None else (0, 0)
    return {
        "hidden": VALUE_BYTES * model.hidden,
        "q": VALUE_BYTES * -(-model.q_heads * model.head_dim // parallel),
        "kv": VALUE_BYTES * heads * (model.head_dim if latent else model.head_dim + value_dim),
        "cache": token_bytes(kv_format, heads, model.head_dim, value_dim, latent=latent),
        "ffn": VALUE_BYTES * math.ceil(ffn_width(model) / parallel),
        "latent": VALUE_BYTES * compressed,
        "router": VALUE_BYTES * count,
        "routed": VALUE_BYTES * active * model.hidden,
    }


def times_run(kernel: Pointwise, model: Model, hw: Hardware) -> int:
    """How often a step of the model runs the kernel on this chip."""
    experts = model.experts
    layers = {
        "attention": attention_layers(model),
        "state": model.layers - attention_layers(model),
        "block": feed_forward_layers(model),
        "qk_norm": model.layers if model.qk_norm else 0,
        "latent": model.layers if model.attention == "mla" else 0,
        "experts": experts.layers if experts is not None else 0,
        "shared_expert": experts.layers if experts is not None and experts.shared_ffn else 0,
        "fp8": model.layers if gemm_format(model, hw) == "fp8" else 0,
    }
    having = min((layers[part] for part in kernel.only), default=model.layers)
    return kernel.count * (having if kernel.per == "layer" else min(having, 1))


def pointwise_time(
    kernel: Pointwise,
    tokens: int,
    model: Model,
    parallel: int,
    hw: Hardware,
    kv_format: KvFormat = "fp16",
    touched_bytes: int = 0,
) -> PointwiseTime:
    """`kv_format`: what the cache stores new tokens in. `touched_bytes`: what passes through L2 from one use of the
    kernel's values to the next, where that is more than the kernel's own."""
    width = widths(model, parallel, kv_format)
    read, written = (
        round(tokens * sum(share * width[name] for name, share in sides.items()))
        for sides in (kernel.reads, kernel.writes)
    )
    size = read + written
    memory = max(size, touched_bytes) > hw.l2.capacity_mib * 2**20 * hw.l2.effective_fraction
    active = min(hw.sm.count, max(tokens, -(-size // CTA_BYTES)))
    rate = min(
        active * hw.noc.port_bytes_per_clk * hw.sm.clock_ghz,
        hw.l2.bandwidth_gb_s,
        data_peak_gb_s(hw.hbm) * (1 - hw.hbm.busy_fraction) if memory else float("inf"),
    )
    work = sum(clocks * width[name] for name, clocks in kernel.clocks.items()) / VALUE_BYTES
    work_ns = tokens * work / (active * hw.sm.clock_ghz)
    trips = hw.launch.cta_ns + (kernel.round_trips + 1) * l2_trip_ns(hw)
    turns_ns = max(0.0, tokens / (hw.sm.count * CTAS_PER_SM) - 1) * trips
    return PointwiseTime(max(size / rate, work_ns, turns_ns), trips, read, written, memory)
