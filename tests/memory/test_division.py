"""Dividing by a parameter is a multiplication, and exact."""

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from sim.config.hardware import Hardware
from sim.memory import division
from sim.memory.build import from_params
from sim.memory.fetches import FetchTable
from sim.memory.layout import RECIPROCALS
from sim.memory.params import Param, build
from sim.memory.pointer import cells

Ints = NDArray[np.int64]
KEY = int(Param.CHANNELS)


@njit
def divided(m: Ints, values: Ints, quotients: Ints, remainders: Ints) -> None:
    p = cells(m)
    for i in range(len(values)):
        quotients[i] = division.quotient(p, values[i], KEY)
        remainders[i] = division.remainder(p, values[i], KEY)


@pytest.mark.parametrize("by", [1, 2, 3, 7, 80, 96, 160, 3270, 4416, (1 << 20) - 1, 1 << 20])
def test_quotients_are_exact_where_they_change_and_up_to_the_limit(by: int) -> None:
    m = np.zeros(RECIPROCALS + len(Param), np.int64)
    m[KEY], m[RECIPROCALS + KEY] = by, division.reciprocal(by)
    limit = (1 << 62) // by
    whole = np.random.default_rng(by).integers(0, limit // by, 1000) * by
    values = np.concatenate([whole, whole + by - 1, [0, by - 1, by, limit - 1, (limit // by) * by - 1]])
    quotients, remainders = np.zeros_like(values), np.zeros_like(values)
    divided(m, values, quotients, remainders)
    assert quotients.tolist() == [int(value) // by for value in values]
    assert remainders.tolist() == [int(value) % by for value in values]


def test_a_plane_has_the_reciprocal_of_each_positive_parameter(small: Hardware) -> None:
    """Rounded up: the product with its parameter lies above 2**63 by no more than the parameter."""
    none = np.empty(0, np.int64)
    m = from_params(build(small), FetchTable(np.zeros(1, np.int64), none, none, none, none))
    for key in Param:
        by, number = int(m[key]), int(m[RECIPROCALS + key]) % (1 << 64)
        assert 0 < by * number - (1 << 63) <= by if by > 0 else number == 0
