"""Draws in compiled code, the same in every run."""

import numpy as np
from numpy.typing import NDArray

from sim.coarse.jit import inlined
from sim.coarse.state import G_RANDOM
from sim.coarse.tags import MODULUS, MULTIPLIER

Int64 = NDArray[np.int64]


@inlined
def random(g: Int64) -> float:
    """The next number in (0, 1) of the generator."""
    g[G_RANDOM] = g[G_RANDOM] * MULTIPLIER % MODULUS
    return float(g[G_RANDOM] / MODULUS)
