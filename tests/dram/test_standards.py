"""The tables of DRAM standards agree with arithmetic that every DRAM obeys."""

import pytest

from sim.memory.dram.standards import STANDARDS, DramStandard

ALL = list(STANDARDS.values())


def test_every_standard_that_configs_may_name_is_there() -> None:
    assert set(STANDARDS) == {
        "HBM2",
        "HBM2E",
        "HBM3",
        "HBM3E",
        "HBM4",
        "GDDR6",
        "GDDR6X",
        "GDDR7",
        "LPDDR5X",
        "DDR5",
    }


@pytest.mark.parametrize("std", ALL, ids=lambda s: s.name)
def test_short_column_distance_equals_the_burst_so_that_streams_reach_peak(std: DramStandard) -> None:
    assert std.tccd_s_ns == pytest.approx(std.burst_ns, rel=0.01)


@pytest.mark.parametrize("std", ALL, ids=lambda s: s.name)
def test_row_cycle_is_at_least_active_time_plus_precharge_to_rounding(std: DramStandard) -> None:
    # HBM3 and HBM4 presets publish tRC 0.6 ns above the sum; none lies more than rounding below it.
    assert std.trc_ns >= std.tras_ns + std.trp_ns - 0.7


@pytest.mark.parametrize("std", ALL, ids=lambda s: s.name)
def test_same_group_distances_are_never_shorter_than_cross_group_ones(std: DramStandard) -> None:
    assert std.tccd_l_ck >= std.tccd_s_ck
    assert std.trrd_l_ns >= std.trrd_s_ns
    assert std.twtr_l_ns >= std.twtr_s_ns
    assert std.trfc_pb_ns < std.trfc_ns < std.trefi_ns


@pytest.mark.parametrize("std", ALL, ids=lambda s: s.name)
def test_a_write_burst_begins_when_the_read_burst_before_it_is_over(std: DramStandard) -> None:
    """Data lie CL behind a read and CWL behind a write."""
    assert std.trtw_ns + std.tcwl_ns >= std.tcl_ns + std.burst_ns


def test_hbm3_stack_peak_is_pins_times_rate() -> None:
    # 32 pseudo-channels x 32 bit x 6.4 Gb/s / 8 = 819.2 GB/s
    hbm3 = STANDARDS["HBM3"]
    assert hbm3.channels_per_stack is not None
    assert hbm3.channel_gb_s * hbm3.channels_per_stack == pytest.approx(819.2)
