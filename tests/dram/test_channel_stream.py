"""Streams through the device plane's own channels, on streams whose outcome is known on paper."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sim.memory.channel_stream import ChannelStream
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.presets import controller_for
from sim.memory.dram.standards import STANDARDS
from sim.memory.dram.stream import Stream

CONTROLLER = replace(controller_for(STANDARDS["HBM2"]), pcs=1, refresh="none")
MAPPING = AddressMapping.parse("of5.co5.bg2.ba2.ro12")


def reads(**fields: Sequence[int]) -> Stream:
    """Reads of 64 bytes that all arrive at time 0; `bg`, `ba`, `ro` of each."""
    n = len(next(iter(fields.values())))
    addr = MAPPING.encode({name: np.array(values, np.int64) for name, values in fields.items()}, n)
    return Stream(addr, np.zeros(n, np.bool_), np.zeros(n, np.int64))


@pytest.mark.parametrize(("cap", "activates"), [(0, 2), (1, 3)])
def test_without_a_starvation_cap_hits_keep_their_claim_before_an_older_conflict(
    cap: int, activates: int
) -> None:
    """Rows 0, 1, 0 of a bank: row 0 opens once when its hit may pass the conflict, else twice."""
    run = ChannelStream(replace(CONTROLLER, starvation_cap=cap), MAPPING, reads(ro=[0, 1, 0]))
    assert run.counts.activates == activates
