"""Kernels that a framework's measured call runs beside attention: in prefill, it writes the new keys and values.

They move bytes in proportion to the tokens, so that no fixed overhead can stand for them. For one new token a
sequence (decode) one does, and is left to the overhead, but for kernels that only some shapes need.
"""

from collections.abc import Sequence

from sim.clock import under_load
from sim.config.hardware import Hardware
from sim.config.load import model_of
from sim.config.runtime import Pointwise
from sim.launch_times import launch_gap_ps
from sim.lowering.pointwise import pointwise_time, widths
from sim.validation.cases import Mapped
from sim.validation.names import Beside

PS_PER_US = 1e6
NS_PER_US = 1e3


def around_us(case: Mapped, hw: Hardware) -> float:
    """Time in us of the kernels around attention in the call that the row's framework measured, on `hw`."""
    kernels = [kernel for kernel in case.names.runtime.around if _runs(kernel, case)]
    hw = under_load(hw, case.row.phase)
    tokens, model = case.shape.batch * case.shape.q_len, model_of(case.workload)
    gap_us, stored = launch_gap_ps(hw, case.workload.launch) / PS_PER_US, case.names.kv.kv_format
    touched = tokens * call_bytes(kernels, widths(model, 1, stored)) if case.warm else 0
    return sum(
        gap_us + pointwise_time(kernel, tokens, model, 1, hw, stored, touched).time_ns / NS_PER_US
        for kernel in kernels
    )


def _runs(kernel: Beside, case: Mapped) -> bool:
    """Whether the call runs it for this shape. A step of several new tokens is neither decode nor prefill."""
    shape = case.shape
    if kernel.phase != case.row.phase or (kernel.phase == "decode" and shape.q_len > 1):
        return False
    return shape.q_heads // shape.kv_heads >= kernel.least_group and shape.kv_heads >= kernel.least_kv_heads


def call_bytes(kernels: Sequence[Pointwise], width: dict[str, int]) -> int:
    """Bytes per token that one replay of the call touches: what its kernels read, once, and what they write.

    A replayed call finds its values in L2 if all of these fit, and none of them if they do not (LRU). The output of
    attention does not count: calls whose values fit without it are no slower for it (L40S, RTX PRO 6000).
    """
    read: dict[str, float] = {}
    for kernel in kernels:
        for name, share in kernel.reads.items():
            read[name] = max(share, read.get(name, 0.0))
    written = sum(share * width[name] for kernel in kernels for name, share in kernel.writes.items())
    return round(sum(share * width[name] for name, share in read.items()) + written)
