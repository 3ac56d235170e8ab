"""Shipped hardware files against ratings and measurements, by arithmetic that the files do not contain."""

import pytest

from sim.config.catalog import shipped
from sim.config.hardware import Hardware
from sim.config.load import load_hardware
from sim.memory.dram.standards import STANDARDS

RATED = {
    # name: (FP16 dense TFLOP/s, memory GB/s) of the datasheets
    "a100_sxm_40gb": (312, 1555),
    "a100_sxm_80gb": (312, 2039),
    "a100_pcie_80gb": (312, 1935),
    "h100_sxm": (989, 3352),
    "h100_pcie": (756, 2039),
    "h200_sxm": (989, 4800),
    "b200": (2250, 8000),
    "l4": (121, 300),
    "l40s": (362, 864),
    "rtx4090": (165.2, 1008),
    "rtx_pro_6000_server": (500, 1597),
    "rtx_pro_6000_workstation": (500, 1792),
    "mi300x": (1307.4, 5300),
    "mi355x": (2516.6, 8000),
}
FP8_RATED = {
    "h100_sxm": 1979,
    "h200_sxm": 1979,
    "b200": 4500,
    "l4": 242.5,
    "rtx4090": 330.3,
    "mi300x": 2614.9,
    "mi355x": 5033.2,
}
HIT_NS = {
    # cycles of the pointer chase / clock of the measurement
    "a100_sxm_80gb": 206 / 1.41,
    "h100_sxm": 285 / 1.98,
    "h200_sxm": 285 / 1.98,
    "h100_pcie": 263 / 1.755,
    "b200": 297 / 1.965,
    "l40s": 273.5 / 2.49,
    "rtx4090": 296 / 2.52,
    "mi300x": 214 / 2.1,
}
MISS_NS = {
    "a100_sxm_80gb": 550 / 1.41,
    "a100_sxm_40gb": 550 / 1.41,
    "h100_sxm": 683 / 1.98,
    "h200_sxm": 658 / 1.98,
    "b200": 860 / 1.965,
    "l4": 251,
    "l40s": 625 / 2.49,
    "rtx4090": 636 / 2.52,
    "mi300x": 882 / 2.1,
}


def spec(name: str) -> Hardware:
    return load_hardware(name).spec


def near_hit_ns(hw: Hardware) -> float:
    return 2 * hw.noc.latency_ns + hw.l2.latency_ns


@pytest.mark.parametrize("name", sorted(RATED))
def test_sms_times_clock_times_flop_per_clock_is_the_rated_tensor_throughput(name: str) -> None:
    sm = spec(name).sm
    assert sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["fp16"] / 1e3 == pytest.approx(
        RATED[name][0], rel=0.01
    )


@pytest.mark.parametrize("name", sorted(FP8_RATED))
def test_sms_times_clock_times_flop_per_clock_is_the_rated_fp8_throughput(name: str) -> None:
    sm = spec(name).sm
    assert sm.count * sm.clock_ghz * sm.tensor_flop_per_clk["fp8"] / 1e3 == pytest.approx(
        FP8_RATED[name], rel=0.01
    )


@pytest.mark.parametrize("name", sorted(RATED))
def test_channels_times_width_times_pin_rate_is_the_rated_bandwidth(name: str) -> None:
    hbm = spec(name).hbm
    standard = STANDARDS[hbm.standard]
    bits_per_package = (standard.channels_per_stack or 32 // standard.channel_bits) * standard.channel_bits
    assert hbm.pin_gbit_s is not None
    assert hbm.stacks * bits_per_package * hbm.pin_gbit_s / 8 == pytest.approx(RATED[name][1], rel=0.01)


@pytest.mark.parametrize("name", sorted(HIT_NS))
def test_network_there_and_back_and_the_slice_are_the_measured_l2_hit(name: str) -> None:
    assert near_hit_ns(spec(name)) == pytest.approx(HIT_NS[name], rel=0.02)


@pytest.mark.parametrize("name", sorted(MISS_NS))
def test_a_miss_to_a_closed_row_takes_the_measured_dram_latency(name: str) -> None:
    """Where partitions copy from each other, a chase's mean: half of the homes are a crossing away (there and back),
    and its pages are more than the SM's own TLB holds. A load meets a refresh of all banks in tRFC of tREFI and
    waits half of it.
    """
    hw = spec(name)
    standard = STANDARDS[hw.hbm.standard]
    pin = hw.hbm.pin_gbit_s or standard.pin_gb_s
    burst = standard.access_bytes * 8 / (standard.channel_bits * pin)
    dram = standard.trcd_ns + standard.tcl_ns + burst
    on_the_way = hw.noc.far_extra_ns + hw.tlb.l2_latency_ns if hw.l2.far_copies else 0
    refresh = standard.trfc_ns**2 / (2 * standard.trefi_ns) if hw.hbm.refresh == "all_bank" else 0
    dram += refresh
    assert near_hit_ns(hw) + on_the_way + hw.hbm.controller_ns + dram == pytest.approx(
        MISS_NS[name], rel=0.02
    )


@pytest.mark.parametrize("name", sorted(RATED))
def test_each_sm_can_hold_enough_bytes_in_flight_to_stream_at_twice_the_idle_latency(name: str) -> None:
    hw = spec(name)
    in_flight = hw.sm.count * hw.sm.max_inflight_kib * 1024
    assert in_flight >= 0.9 * RATED[name][1] * 1e9 * 2 * MISS_NS.get(name, 354) * 1e-9


@pytest.mark.parametrize("name", sorted(RATED))
def test_l2_slices_can_hold_as_many_misses_as_streaming_needs(name: str) -> None:
    hw = spec(name)
    in_flight = hw.l2.slices * hw.l2.mshrs_per_slice * hw.l2.line_bytes
    assert in_flight >= 0.9 * RATED[name][1] * 1e9 * 2 * MISS_NS.get(name, 354) * 1e-9


@pytest.mark.parametrize("name", sorted(RATED))
def test_l2_serves_more_than_memory_and_no_more_than_the_ports(name: str) -> None:
    hw = spec(name)
    assert RATED[name][1] < hw.l2.bandwidth_gb_s
    assert hw.l2.bandwidth_gb_s <= hw.sm.count * hw.noc.port_bytes_per_clk * 1.1 * hw.sm.clock_ghz


def test_pools_beyond_one_window_are_the_only_ones_that_pass_the_tlb_reach() -> None:
    hw = spec("a100_sxm_80gb")
    assert hw.tlb.l2_entries * hw.tlb.page_kib / 2**20 == 64


def test_sram_of_two_mib_costs_59_square_millimetres_on_h200() -> None:
    hw = spec("h200_sram_2m")
    added = (hw.sm.sram_kib - hw.area.base_sram_kib) / 1024 * hw.sm.count * hw.area.sram_mm2_per_mib
    assert added == pytest.approx((2 - 228 / 1024) * 132 * 0.25, abs=0.01)
    assert added / (hw.area.die_mm2 or 1) == pytest.approx(0.07, abs=0.005)


PROPOSALS = {
    "h200_sram_512k": {"sm.sram_kib", "energy.sram_pj_per_bit"},
    "h200_sram_1m": {"sm.sram_kib", "energy.sram_pj_per_bit"},
    "h200_sram_2m": {"sm.sram_kib", "energy.sram_pj_per_bit"},
    "h200_assist": {"translation.assist"},
    "h200_unpack": {"unpack.native"},
    "h200_l2_256m": {"l2.capacity_mib"},
    "h200_hbm_5t": {"hbm.peak_gb_s"},
    "h200_hbm_8t": {"hbm.peak_gb_s"},
    "h200_tiered": {"tiers"},
}


def flat(hw: Hardware) -> dict[str, object]:
    dump = hw.model_dump(exclude={"name", "description", "sources"})
    return {
        f"{section}.{key}" if isinstance(value, dict) and section != "tiers" else section: item
        for section, value in dump.items()
        for key, item in (
            value.items() if isinstance(value, dict) and section != "tiers" else [(section, value)]
        )
    }


@pytest.mark.parametrize("name", sorted(PROPOSALS))
def test_a_proposal_differs_from_h200_in_what_it_proposes_and_in_nothing_else(name: str) -> None:
    base, proposal = flat(spec("h200_sxm")), flat(spec(name))
    assert {key for key in base if base[key] != proposal[key]} == PROPOSALS[name]


def test_the_ideal_design_has_all_proposals() -> None:
    ideal = flat(spec("ideal_paged"))
    for name in ("h200_sram_2m", "h200_assist", "h200_unpack", "h200_l2_256m", "h200_hbm_8t"):
        other = flat(spec(name))
        assert all(ideal[key] == other[key] for key in PROPOSALS[name])
    assert ideal["gather.engine"]


def test_every_asked_for_config_ships() -> None:
    assert set(RATED) | set(PROPOSALS) | {"ideal_paged"} == set(shipped("hardware"))
