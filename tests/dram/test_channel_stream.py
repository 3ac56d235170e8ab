"""Streams through the device plane's own channels, on streams whose outcome is known on paper."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sim.memory.channel_stream import ChannelStream
from sim.memory.dram.config import Policy
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.presets import controller_for
from sim.memory.dram.standards import STANDARDS
from sim.memory.dram.stream import Stream

CONTROLLER = replace(
    controller_for(STANDARDS["HBM2"]), pcs=1, access_bytes=64, act_ticks=1, refresh="none", read_queue=32
)
"""A request is one access. Ticks of 1 ns: tRCD 14 (12 to a write), tRRD 4."""
MAPPING = AddressMapping.parse("of6.co4.bg2.ba2.ro12")


def at_once(writes: Sequence[int] = (), **fields: Sequence[int]) -> Stream:
    """Requests that all arrive at time 0, those numbered in `writes` writes; `bg`, `ba`, `ro` of each."""
    n = len(next(iter(fields.values())))
    addr = MAPPING.encode({name: np.array(values, np.int64) for name, values in fields.items()}, n)
    return Stream(addr, np.isin(np.arange(n), writes), np.zeros(n, np.int64))


@pytest.mark.parametrize(("cap", "activates"), [(0, 2), (1, 3)])
def test_without_a_starvation_cap_hits_keep_their_claim_before_an_older_conflict(
    cap: int, activates: int
) -> None:
    """Rows 0, 1, 0 of a bank: row 0 opens once when its hit may pass the conflict, else twice."""
    run = ChannelStream(replace(CONTROLLER, starvation_cap=cap), MAPPING, at_once(ro=[0, 1, 0]))
    assert run.counts.activates == activates


def test_requests_that_arrive_together_are_seen_together() -> None:
    """A read from each of four groups: activates at 0, 4, 8, 12, reads tRCD, data CL and a burst later."""
    run = ChannelStream(CONTROLLER, MAPPING, at_once(bg=[0, 1, 2, 3]))
    assert (run.done - CONTROLLER.cl - CONTROLLER.burst).tolist() == [14, 18, 22, 26]
    assert run.taken.tolist() == [0, 0, 0, 0]


def test_a_full_queue_takes_the_next_read_when_one_has_been_served() -> None:
    """Two places: the third read comes in with the first one's column command, the fourth with the second one's."""
    run = ChannelStream(replace(CONTROLLER, read_queue=2), MAPPING, at_once(bg=[0, 1, 2, 3]))
    assert run.taken.tolist() == [0, 0, 14, 18]


def test_a_write_that_finds_its_queue_full_blocks_the_read_behind_it() -> None:
    """One place for writes: the second write comes in when the first one is written, and the read after it."""
    run = ChannelStream(replace(CONTROLLER, write_queue=1), MAPPING, at_once([0, 1], bg=[0, 1, 2]))
    assert run.taken.tolist() == [0, 12, 12]


@pytest.mark.parametrize(
    ("policy", "reads", "activates"), [("frfcfs", [14, 18, 22], 1), ("bank_queues", [14, 62, 110], 3)]
)
def test_a_closed_page_closes_after_the_last_visible_hit_or_with_bank_queues_after_every_access(
    policy: Policy, reads: list[int], activates: int
) -> None:
    """Three reads of a row: tCCD_L of 4 apart, or tRC of 48."""
    run = ChannelStream(replace(CONTROLLER, policy=policy, page="closed"), MAPPING, at_once(ro=[5, 5, 5]))
    assert (run.done - CONTROLLER.cl - CONTROLLER.burst).tolist() == reads
    assert run.counts.activates == activates
