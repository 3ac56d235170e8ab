"""Durations of the stages of every tile on one chip, in integer picoseconds.

Each product is limited by the tensor rate of its format or by the operand bytes it reads from shared memory; where
the instruction stream loads the operands itself (mma.sync), it does one after the other, and the warps that issue the
product do nothing else meanwhile: it takes turns with the softmax, also of other CTAs. So do published forward times
of FlashAttention-2 on A100, H100 and B200, which are those of the products plus 0.07 to 0.1 clk a score. The softmax is
limited by exponentials or by FP32 operations; expansion by the native engine, or by the ALU pipe that the softmax also
needs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.errors import InputError
from sim.lowering.launch import Launch

PS_PER_NS = 1000


@dataclass(frozen=True)
class StageTimes:
    """Lists over tiles, for one of the launch's instruction streams; `*_stall` is time beyond the busy unit's."""

    unpack: list[int]
    unpack_native: bool
    mma_sync: bool
    """Products take the vector pipes, as the softmax does."""
    read: list[int]
    """Loads of operands before each of the two products."""
    qk: list[int]
    qk_stall: list[int]
    exp: list[int]
    alu: list[int]
    pv: list[int]
    pv_stall: list[int]
    issue: list[int]
    barrier: int
    prologue: int
    epilogue: int


def ps_per_clk(hw: Hardware) -> float:
    return PS_PER_NS / hw.sm.clock_ghz


MOST_STAGE_PS = 10**15
"""1000 s. Sums of longer stages leave the whole picoseconds that 64 bits hold, and no machine is meant by them."""


def _ps(
    operations: NDArray[np.int64] | NDArray[np.float64], per_clk: float, hw: Hardware
) -> NDArray[np.int64]:
    """Raises InputError for a rate at which a stage of a tile would last beyond all sense."""
    times = np.rint(operations * (ps_per_clk(hw) / per_clk))
    longest = float(times.max(initial=0))
    if longest > MOST_STAGE_PS:
        raise InputError(
            f"hw.sm: a stage of a tile takes {longest / 1e12:.3g} s at {per_clk:g} operations per clock of "
            f"{hw.sm.clock_ghz:g} GHz; allowed: up to {MOST_STAGE_PS / 1e12:g} s"
        )
    whole: NDArray[np.int64] = times.astype(np.int64)
    return whole


def unpack_rate(formats: tuple[str, ...], hw: Hardware, own: float | None = None) -> tuple[float, bool]:
    """(values per clock, native?) of the slowest packed format in use; native only if the engine knows them all.

    `own`: values per clock of the kernel's own instructions, which count where there is no engine.
    """
    packed = [f for f in formats if f not in ("fp16", "bf16")]
    if not packed:
        return float(hw.unpack.native_values_per_clk), True
    if all(f in hw.unpack.native for f in packed):
        return float(hw.unpack.native_values_per_clk), True
    if own is not None:
        return own, False
    rates = [hw.unpack.alu_values_per_clk.get(f, hw.sm.fp32_per_clk / FALLBACK_OPS) for f in packed]  # type: ignore[call-overload]
    return float(min(rates)), False


FALLBACK_OPS = 8
"""ALU results per value where a chip has no listed conversion: shifts, masks and two FMAs (estimate)."""


ALL = slice(None)


def stage_times(launch: Launch, formats: tuple[str, ...], hw: Hardware, part: slice = ALL) -> StageTimes:
    """Divide the operations of a part of the launch's tiles by the chip's rates."""
    work, streams = launch.work, launch.streams
    tensor = hw.sm.tensor_flop_per_clk[launch.mma]  # type: ignore[index]
    if launch.loads_operands:
        tensor *= hw.sm.mma_sync_fraction
    qk = _ps(work.qk_flops[part] // streams, tensor, hw)
    pv = _ps(work.pv_flops[part] // streams, tensor, hw)
    operand = _ps(work.sram_bytes[part] // (2 * streams), hw.sm.sram_bytes_per_clk, hw)
    under_mma = 0 if launch.loads_operands else operand
    exp = _ps(work.exps[part] // streams, hw.sm.exp_per_clk, hw)
    alu = _ps(work.alu_ops[part] // streams, hw.sm.fp32_per_clk, hw)
    rate, native = unpack_rate(formats, hw, launch.unpack_per_clk)
    clk = ps_per_clk(hw)
    return StageTimes(
        unpack=_ps(work.unpack_values[part] // streams, rate, hw).tolist(),
        unpack_native=native,
        mma_sync=launch.loads_operands,
        read=(operand - under_mma).tolist(),
        qk=qk.tolist(),
        qk_stall=np.maximum(0, under_mma - qk).tolist(),
        exp=exp.tolist(),
        alu=np.maximum(0, alu - exp).tolist(),
        pv=pv.tolist(),
        pv_stall=np.maximum(0, under_mma - pv).tolist(),
        issue=_ps(work.computed[part] * launch.token_issue_clk / streams, 1, hw).tolist(),
        barrier=round(launch.barrier_clk * clk),
        prologue=round(launch.prologue_clk * clk),
        epilogue=round(launch.epilogue_clk * clk),
    )
