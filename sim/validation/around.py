"""Kernels that a framework's measured call runs beside attention: in prefill, it writes the new keys and values.

They move bytes in proportion to the tokens, so that no fixed overhead can stand for them; for one new token a
sequence (decode) they do, and are left to the overhead.
"""

from sim.clock import under_load
from sim.config.hardware import Hardware
from sim.config.load import model_of
from sim.config.runtime import Pointwise
from sim.launch_times import launch_gap_ps
from sim.lowering.pointwise import pointwise_time, widths
from sim.validation.cases import Mapped

PS_PER_US = 1e6
NS_PER_US = 1e3


def around_us(case: Mapped, hw: Hardware) -> float:
    """Time in us of the kernels around attention in the call that the row's framework measured, on `hw`."""
    if case.row.phase != "prefill":
        return 0.0
    hw = under_load(hw, case.row.phase)
    tokens, model = case.shape.batch * case.shape.q_len, model_of(case.workload)
    gap_us, stored = launch_gap_ps(hw, case.workload.launch) / PS_PER_US, case.names.kv.kv_format
    kernels = case.names.runtime.around
    touched = tokens * call_bytes(kernels, widths(model, 1, stored)) if case.warm else 0
    return sum(
        gap_us + pointwise_time(kernel, tokens, model, 1, hw, stored, touched).time_ns / NS_PER_US
        for kernel in kernels
    )


def call_bytes(kernels: list[Pointwise], width: dict[str, int]) -> int:
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
