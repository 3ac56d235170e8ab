"""Kernels that a framework's measured call runs beside attention: in prefill, it writes the new keys and values.

They move bytes in proportion to the tokens, so that no fixed overhead can stand for them; for one new token a
sequence (decode) they do, and are left to the overhead.
"""

from sim.clock import under_load
from sim.config.hardware import Hardware
from sim.config.load import model_of
from sim.lowering.pointwise import pointwise_time
from sim.machine import launch_gap_ps
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
    return sum(
        gap_us + pointwise_time(kernel, tokens, model, 1, hw, stored).time_ns / NS_PER_US
        for kernel in case.names.runtime.around
    )
