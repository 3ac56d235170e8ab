"""Latency of the memory system without load."""

import numpy as np
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.memory.params import Param


def l2_trip_ns(hw: Hardware) -> float:
    """From an SM to a near slice of L2, a hit there, and back."""
    return 2 * hw.noc.latency_ns + hw.l2.latency_ns


def beyond_l2_ps(v: NDArray[np.int64]) -> int:
    """What a read takes longer that misses L2: a closed row, and the controller both ways. v: of `params.build`."""
    return int(v[Param.CTRL_IN] + v[Param.CTRL_OUT] + v[Param.RCD] + v[Param.CL] + v[Param.BURST])
