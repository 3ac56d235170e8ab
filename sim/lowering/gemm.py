"""Time of one GEMM: output tiles in waves over the SMs, or weights streamed from memory, whichever takes longer.

A GEMM [M, K] x [K, N] is cut into tiles of the runtime's shapes and, where that fills the machine better, along K
(split-K, FP32 parts through L2, summed by a kernel of its own as cuBLAS does). A tile step is limited by the tensor
rate, by its operands' way into the SM or by shared memory; a wave is as long as a tile (wave quantisation), so SMs
without a tile in the last wave idle. Memory is read once (weights and activations), at the rate that the SMs at work
can keep in flight (Little's law) and at most what the runtime's kernels and the chip's memory reach. Equal products of
one launch, each with weights of its own (experts, heads of MLA), share the waves. A cluster of CTAs takes one operand
from L2 once (TMA multicast): the weights, where it has tiles of other rows, else the activations. Where accumulators
are in tensor memory its SMs also keep one copy of it between them (a pair of SMs for one MMA); in tiles of few rows the
weights are the long side of the MMA, which a pair divides, and only the activations are kept once. The library takes
the fastest shape, and so does the model; of shapes as fast as each other the one that reads L2 least, as libraries take
their large tiles (cuBLAS 128 x 256 on A100 and H100) where small ones would do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sim.config.hardware import Hardware
from sim.config.runtime import Runtime
from sim.config.workload import Model
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import data_peak_gb_s, stream_gb_s

VALUE_BYTES = 2
"""Values between kernels are 16 bit."""
OPERAND_BYTES = {"fp8": 1.0, "int8": 1.0, "fp4": 0.5}
"""Bytes of an activation in the product's format; 16 bit in all others."""
PART_BYTES = 4
"""Split-K parts are FP32."""
PAIRED_ROWS = 64
"""Least rows of each SM's half of an MMA of a pair (PTX ISA, tcgen05.mma with cta_group::2: M of 128 or 256)."""
MMA_ROWS = 16
"""Least rows of an MMA: a thinner side is padded (mma.sync m16n8k16; wgmma with the operands swapped)."""

AS_FAST = 0.01
"""Shapes whose times differ by less are equally fast: what tells them apart (L2 under load, power) is not modelled."""


@dataclass(frozen=True)
class Gemm:
    """Shape of one product on one device."""

    name: str
    m: int
    n: int
    k: int
    groups: int = 1
    """Equal products of one launch, each with weights of its own."""
    rows_in_all: int | None = None
    """Rows of all groups together, where m is rounded up."""

    @property
    def rows(self) -> int:
        return self.m * self.groups if self.rows_in_all is None else self.rows_in_all


@dataclass(frozen=True)
class GemmTime:
    """Time of one GEMM without its first launch, and the SM-time of each cause; the causes add up to SMs x time."""

    time_ns: float
    tensor_ns: float
    issue_ns: float
    """Main loop beyond the tensor cores' own time."""
    noc_ns: float
    """Operands on their way into SMs, or out of shared memory, beyond the main loop."""
    idle_ns: float
    """SMs without a tile."""
    hbm_ns: float
    """Waiting for streamed weights."""
    l2_ns: float
    """Waiting for L2's bandwidth, and for the parts of a split."""
    launch_ns: float
    """Of the kernel that sums the parts of a split."""
    latency_ns: float
    """First bytes of the first tile, last bytes of the last."""
    bytes: int
    fill_bytes: int
    """Operands that L2 gives, re-reads included."""
    flops: int
    tile: tuple[int, int]
    split: int


def gemm_format(model: Model, hw: Hardware) -> str:
    """The model's format where the chip has it, else 16 bit. Unless it names one: weights of one byte are FP8 and meet
    FP8 activations; narrower ones are expanded on the way, beside 16-bit activations (GPTQ, AWQ)."""
    wanted = model.gemm_format or ("fp8" if model.weight_bytes == 1 else "fp16")
    return wanted if wanted in hw.sm.tensor_flop_per_clk else "fp16"


def operand_bytes(model: Model, hw: Hardware) -> float:
    """Bytes of an activation as the tensor cores take it."""
    return OPERAND_BYTES.get(gemm_format(model, hw), VALUE_BYTES)


def first_byte_ns(hw: Hardware) -> float:
    """From a CTA's start to its first bytes from memory, uncontended."""
    return hw.launch.cta_ns + 2 * hw.noc.latency_ns + hw.l2.latency_ns + hw.hbm.controller_ns


def weight_bytes(gemm: Gemm, model: Model) -> int:
    return round(gemm.groups * gemm.n * gemm.k * model.weight_bytes)


def written_bytes(gemm: Gemm) -> int:
    return VALUE_BYTES * gemm.rows * gemm.n


@dataclass(frozen=True)
class _Shape:
    """One way to cut a GEMM. Times of a whole tile of one CTA in ns."""

    tile: tuple[int, int]
    split: int
    ctas: int
    streams: int
    """CTAs that read weights, or activations, that no other one reads at the same time."""
    tensor_ns: float
    loop_ns: float
    tile_ns: float
    fill_bytes: int


def _shapes(gemm: Gemm, model: Model, hw: Hardware, runtime: Runtime) -> Iterator[_Shape]:
    rate = hw.sm.tensor_flop_per_clk[gemm_format(model, hw)]  # type: ignore[index]
    steps_all = -(-gemm.k // runtime.k_step)
    cluster = runtime.cluster if hw.sm.async_copy == "tma" else 1
    for tile_m, tile_n in runtime.gemm_tiles:
        rows, columns = min(tile_m, -(-gemm.m // MMA_ROWS) * MMA_ROWS), tile_n
        own, common = (
            operand_bytes(model, hw) * rows * runtime.k_step,
            model.weight_bytes * columns * runtime.k_step,
        )
        below, beside = -(-gemm.m // tile_m), -(-gemm.n // tile_n)
        read = own + common / min(cluster, below) if below > 1 else own / min(cluster, beside) + common
        into_sm = own + common
        if hw.sm.tmem_kib:
            into_sm = read if tile_m >= PAIRED_ROWS else own / min(cluster, beside) + common
        tensor = 2 * rows * columns * runtime.k_step / rate / hw.sm.clock_ghz
        way = into_sm / min(hw.noc.port_bytes_per_clk, hw.sm.sram_bytes_per_clk) / hw.sm.clock_ghz
        loop = tensor / runtime.tensor_fraction
        for split in runtime.split_k:
            if split > steps_all:
                continue
            steps = -(-steps_all // split)
            ctas = gemm.groups * below * beside * split
            yield _Shape(
                tile=(tile_m, tile_n),
                split=split,
                ctas=ctas,
                streams=gemm.groups * max(below, beside) * split,
                tensor_ns=steps * tensor,
                loop_ns=steps * loop,
                tile_ns=steps * max(loop, way),
                fill_bytes=round(ctas * steps * read),
            )


def _stream_gb_s(streams: int, hw: Hardware, runtime: Runtime) -> float:
    """Memory rate that so many SMs can draw: bytes in flight over the latency, at most the reached peak."""
    latency = first_byte_ns(hw) - hw.launch.cta_ns
    per_sm = min(
        hw.sm.max_inflight_kib * 1024 / latency if latency else float("inf"),
        hw.noc.port_bytes_per_clk * hw.sm.clock_ghz,
    )
    reached = min(runtime.stream_fraction * data_peak_gb_s(hw.hbm), stream_gb_s(hw.hbm))
    return min(reached, min(streams, hw.sm.count) * per_sm)


def _timed(
    gemm: Gemm, shape: _Shape, model: Model, hw: Hardware, runtime: Runtime, gap_ns: float
) -> GemmTime:
    sms = hw.sm.count
    read = weight_bytes(gemm, model) + round(operand_bytes(model, hw) * gemm.rows * gemm.k)
    size = read + written_bytes(gemm)
    waves = -(-shape.ctas // sms)
    compute = waves * shape.tile_ns
    memory = size / _stream_gb_s(shape.streams, hw, runtime)
    l2 = max(shape.fill_bytes, size) / hw.l2.bandwidth_gb_s
    wait = max(0.0, memory - compute, l2 - compute)
    parts = launch = 0.0
    if shape.split > 1:
        moved = 2 * shape.split * gemm.rows * gemm.n * PART_BYTES
        parts = moved / hw.l2.bandwidth_gb_s + 2 * l2_trip_ns(hw) + hw.launch.cta_ns
        launch = gap_ns
    latency = first_byte_ns(hw) + l2_trip_ns(hw)
    return GemmTime(
        time_ns=latency + compute + wait + parts + launch,
        tensor_ns=shape.ctas * shape.tensor_ns,
        issue_ns=shape.ctas * (shape.loop_ns - shape.tensor_ns),
        noc_ns=shape.ctas * (shape.tile_ns - shape.loop_ns),
        idle_ns=(waves * sms - shape.ctas) * shape.tile_ns,
        hbm_ns=wait * sms if memory >= l2 else 0.0,
        l2_ns=(parts + (wait if l2 > memory else 0.0)) * sms,
        launch_ns=launch * sms,
        latency_ns=latency * sms,
        bytes=size,
        fill_bytes=max(shape.fill_bytes, size),
        flops=2 * gemm.rows * gemm.n * gemm.k,
        tile=shape.tile,
        split=shape.split,
    )


def gemm_time(gemm: Gemm, model: Model, hw: Hardware, runtime: Runtime, gap_ns: float) -> GemmTime:
    """The fastest of the runtime's shapes; of those as fast the one that reads L2 least. gap_ns: before a kernel that
    follows another, with its wait for code."""
    timed = [_timed(gemm, shape, model, hw, runtime, gap_ns) for shape in _shapes(gemm, model, hw, runtime)]
    enough = (1 + AS_FAST) * min(t.time_ns for t in timed)
    return min((t for t in timed if t.time_ns <= enough), key=lambda t: (t.fill_bytes, t.time_ns))
