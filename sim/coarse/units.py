"""The units of an SM at tile grain: work-conserving, with the last gap before the booked end kept open."""

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.jit import compiled

Int64 = NDArray[np.int64]

U_ISSUE, U_TENSOR, U_VECTOR, U_UNPACK, U_SRAM = range(17, 32, 3)
"""A unit: when it is free for good, and the last gap before that, [begin, end). The port's columns come before."""
SM_COLS = 32


@compiled
def work(sms: Int64, unit: int, at: int, duration: int) -> int:
    """Book the unit at cell `unit` from `at` on, in its last gap as far as that goes; the end."""
    if duration <= 0:
        return int(at)
    begin = max(at, sms[unit + 1])
    room = sms[unit + 2] - begin
    if room > 0:
        if room >= duration:
            sms[unit + 1] = begin + duration
            return int(begin + duration)
        sms[unit + 2] = begin
        duration -= room
        at = sms[unit]
    if at > sms[unit]:
        sms[unit + 1] = sms[unit]
        sms[unit + 2] = at
        sms[unit] = at
    sms[unit] += duration
    return int(sms[unit])


@compiled
def compute(p: Int64, classes: Int64, k: int, sms: Int64, sm: int, at: int) -> int:
    """One stream's share of a tile of the class at cell `k` through the units of an SM; the end."""
    base = sm * SM_COLS
    at = work(sms, base + U_ISSUE, at, classes[k + c.ISSUE])
    expander = U_UNPACK if p[c.UNPACK_NATIVE] else U_VECTOR
    at = work(sms, base + expander, at, classes[k + c.UNPACK])
    product = U_VECTOR if p[c.MMA_SYNC] else U_TENSOR
    at = work(sms, base + U_SRAM, at, classes[k + c.READ])
    at = work(sms, base + product, at, classes[k + c.QK]) + classes[k + c.QK_STALL]
    at = work(sms, base + U_VECTOR, at, classes[k + c.EXP])
    at = work(sms, base + U_VECTOR, at, classes[k + c.ALU])
    at = work(sms, base + U_SRAM, at, classes[k + c.READ])
    at = work(sms, base + product, at, classes[k + c.PV]) + classes[k + c.PV_STALL]
    return int(at + p[c.BARRIER])
