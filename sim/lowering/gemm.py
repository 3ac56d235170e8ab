"""GEMMs and collectives around attention, by roofline with wave quantisation (an honest first form).

A GEMM [M, K] x [K, N] runs as ceil(M/128) x ceil(N/128) output tiles in whole waves over the SMs, or streams its
weights at peak memory bandwidth, whichever takes longer. Tensor parallelism divides the weights; two ring
all-reduces a layer bring the parts together (Megatron-LM).
"""

from dataclasses import dataclass

from sim.config.hardware import Hardware
from sim.config.workload import Model
from sim.memory.params import peak_gb_s

TILE = 128
VALUE_BYTES = 2
ALL_REDUCES_PER_LAYER = 2


@dataclass(frozen=True)
class Gemm:
    """Shape of one product on one device. `count` equal ones in the step."""

    name: str
    m: int
    n: int
    k: int
    count: int = 1


@dataclass(frozen=True)
class GemmTime:
    """Time of one GEMM, and the SM-time by cause: tensor work, idle SMs of the last wave, waiting for memory."""

    time_ns: float
    tensor_ns: float
    idle_ns: float
    memory_ns: float
    bytes: int
    flops: int


def projections(model: Model, tokens: int, parallel: int) -> list[Gemm]:
    """The GEMMs of one transformer layer on one device."""
    attention = (model.q_heads + 2 * model.kv_heads) * model.head_dim
    return [
        Gemm("qkv", tokens, -(-attention // parallel), model.hidden),
        Gemm(
            "out", tokens, model.hidden, -(-model.q_heads * (model.value_dim or model.head_dim) // parallel)
        ),
        Gemm("gate_up", tokens, -(-2 * model.ffn // parallel), model.hidden),
        Gemm("down", tokens, model.hidden, -(-model.ffn // parallel)),
    ]


def head(model: Model, sequences: int, parallel: int) -> Gemm:
    """The vocabulary projection, once a step, for the last token of each sequence."""
    return Gemm("head", sequences, -(-model.vocab // parallel), model.hidden)


def gemm_time(gemm: Gemm, model: Model, hw: Hardware) -> GemmTime:
    rate = hw.sm.tensor_flop_per_clk[
        "fp8" if model.weight_bytes <= 1 and "fp8" in hw.sm.tensor_flop_per_clk else "fp16"
    ]
    tiles = -(-gemm.m // TILE) * -(-gemm.n // TILE)
    waves = -(-tiles // hw.sm.count)
    tile_ns = 2 * min(TILE, max(16, gemm.m)) * TILE * gemm.k / rate / hw.sm.clock_ghz
    size = round(gemm.n * gemm.k * model.weight_bytes) + VALUE_BYTES * gemm.m * (gemm.k + gemm.n)
    compute = waves * tile_ns
    memory = size / min(peak_gb_s(hw.hbm), hw.l2.bandwidth_gb_s)
    tensor = tiles * tile_ns
    return GemmTime(
        time_ns=max(compute, memory),
        tensor_ns=tensor,
        idle_ns=(waves * hw.sm.count - tiles) * tile_ns,
        memory_ns=max(0.0, memory - compute) * hw.sm.count,
        bytes=size,
        flops=2 * gemm.m * gemm.n * gemm.k,
    )


def all_reduce_ns(size: int, parallel: int, hw: Hardware) -> float:
    """Ring all-reduce of `size` bytes: 2 (p - 1) / p of them over the link, 2 (p - 1) hops of latency."""
    if parallel == 1 or hw.link is None:
        return 0.0
    hops = 2 * (parallel - 1)
    return hops / parallel * size / hw.link.bandwidth_gb_s + hops * hw.link.latency_ns
