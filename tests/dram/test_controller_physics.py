"""Latencies and throughputs of single effects, each from arithmetic on the datasheet."""

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError
from sim.memory.dram.controller import ExactDram
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.presets import controller_for
from sim.memory.dram.standards import STANDARDS
from sim.memory.dram.stream import Stream, make_probe

HBM2 = STANDARDS["HBM2"]
ONE_CHANNEL = AddressMapping.parse("of5.co5.bg2.ba2.ro15")
IDLE = replace(controller_for(HBM2, "bank_queues"), refresh="none")  # 1 tick = 1 ns


def run(probe: str, n: int, window: int, **changes: object) -> ExactDram:
    config = replace(IDLE, **changes)  # type: ignore[arg-type]
    dram = ExactDram(config, ONE_CHANNEL, make_probe(probe, n, ONE_CHANNEL), window)
    dram.run_to_end()
    return dram


def test_an_isolated_read_of_a_closed_row_takes_trcd_and_tcl_and_two_bursts() -> None:
    # One tick to reach the bank queue, ACT at 1, RD tRCD later, its second half tCCD_L later, tCL, burst.
    dram = run("hit", 1, 1)
    assert int(dram.done[0]) == 1 + 14 + 4 + (14 + 2)


def test_row_conflicts_in_one_bank_cost_trc_each() -> None:
    dram = run("conflict", 400, 256)
    spacing = np.diff(dram.done[100:300])
    # tRC 48 = tRAS 34 + tRP 14; the second access of a request comes before tRAS is over
    assert spacing.mean() == pytest.approx(48, abs=0.01)


def test_reads_of_one_bank_group_keep_tccd_l_and_of_all_groups_the_bus() -> None:
    same = np.diff(run("bg_same", 3000, 256).done)[500:2500].mean()
    spread = np.diff(np.sort(run("bg_rr", 3000, 256).done))[500:2500].mean()
    assert same >= 2 * 4  # two accesses, tCCD_L 4
    assert spread == pytest.approx(2 * 2, rel=0.15)  # two accesses, tCCD_S 2


def test_activates_are_bounded_by_tfaw() -> None:
    wide = np.diff(np.sort(run("act_rr", 2000, 256, faw=40).done))[500:1500].mean()
    assert wide == pytest.approx(10, rel=0.02)  # four activates in 40 ticks


def test_all_bank_refresh_takes_its_share_of_the_time() -> None:
    without = run("conflict", 3000, 256).last_done
    refreshed = run("conflict", 3000, 256, refresh="all_bank").last_done
    # 350 of every 3900 ticks, and up to one row cycle in which the bank is closed for it
    assert 3900 / (3900 - 350) < refreshed / without < 3900 / (3900 - 350 - 48)


def test_a_read_of_a_buffered_write_is_forwarded() -> None:
    addr = np.zeros(2, dtype=np.int64)
    stream = Stream(addr, np.array([True, False]), np.zeros(2, dtype=np.int64))
    for config in (IDLE, replace(controller_for(HBM2), pcs=1, refresh="none")):
        dram = ExactDram(config, ONE_CHANNEL, stream, 0)
        dram.run_to_end()
        assert dram.done.tolist() == [0, 1]
        assert dram.counts.reads == 0


def test_reads_of_one_address_share_a_single_access_in_the_bank_queue_controller() -> None:
    stream = Stream(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=bool), np.zeros(3, dtype=np.int64))
    dram = ExactDram(IDLE, ONE_CHANNEL, stream, 0)
    dram.run_to_end()
    assert dram.counts.reads == 2  # two halves of 64 bytes
    assert len(set(dram.done.tolist())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"bank_groups": 3}, "power of two"), ({"access_bytes": 48}, "access_bytes"), ({"cl": 900}, "CL")],
)
def test_a_configuration_that_the_model_cannot_hold_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(IDLE, **change)


@pytest.mark.parametrize("name", list(STANDARDS))
def test_every_standard_streams_close_to_its_peak(name: str) -> None:
    std = STANDARDS[name]
    config = replace(controller_for(std, queue=128), refresh="none")
    pc = ".pc1" if config.pcs == 2 else ""
    columns = (std.row_bytes // std.access_bytes).bit_length() - 1
    offset = std.access_bytes.bit_length() - 1
    low = min(columns, 6 - offset)
    groups = config.bank_groups.bit_length() - 1
    banks = config.banks_per_group.bit_length() - 1
    sids = f".si{config.sids.bit_length() - 1}" if config.sids > 1 else ""
    spec = f"of{offset}.co{low}{pc}.bg{groups}.co{columns - low}.ba{banks}{sids}.ro10"
    stream = Stream(
        np.arange(20_000, dtype=np.int64) * 64, np.zeros(20_000, dtype=bool), np.zeros(20_000, dtype=np.int64)
    )
    dram = ExactDram(config, AddressMapping.parse(spec), stream, 256)
    dram.run_to_end()
    peak = config.pcs * config.access_bytes / config.burst  # bytes a tick
    assert 64 * 20_000 / dram.last_done == pytest.approx(peak, rel=0.06)
    assert 64 * 20_000 / dram.last_done <= peak
