"""Energy of products: the same silicon in every format, and within what boards are made for."""

import pytest

from sim.clock import under_load
from sim.config.catalog import shipped
from sim.config.hardware import Hardware
from sim.config.load import load_hardware, load_model, load_runtime
from sim.cost.energy import energy_j
from sim.finish import events_of
from sim.kernel_report import KernelReport
from sim.layer import report_gemm
from sim.lowering.gemm import Gemm

RUNTIME = load_runtime("vllm")
MODEL = load_model("llama3_70b")
BOARD_W = {
    **{"h100_sxm": 700, "h100_pcie": 350, "a100_sxm_80gb": 400, "a100_sxm_40gb": 400, "a100_pcie_80gb": 300},
    **{"b200": 1000, "l40s": 350, "l4": 72, "rtx4090": 450, "mi300x": 750, "mi355x": 1400},
    **{"rtx_pro_6000_server": 600, "rtx_pro_6000_workstation": 600},
}
"""As the descriptions of the shipped parts say; everything that is based on H200 has its 700 W."""


def large_product(hw: Hardware, weight_bytes: float = 2) -> KernelReport:
    model = MODEL.model_copy(update={"weight_bytes": weight_bytes})
    return report_gemm(Gemm("square", 8192, 8192, 8192), model, hw, RUNTIME, hw.launch.graph_ns)


def power_w(hw: Hardware) -> float:
    report = large_product(hw)
    return sum(energy_j(events_of(report, hw), hw).values()) / report.time_ns * 1e9


@pytest.mark.parametrize("name", ["h100_sxm", "a100_sxm_80gb", "h200_sxm"])
def test_products_that_a_power_limit_slows_draw_that_power(name: str) -> None:
    """Ten of them bring H100 from 1.98 to 1.53 GHz and H200 to 1.59 (validation/gpu, gemm), random values A100 from 295
    to 257 TFLOP/s: all three are at their 700 and 400 W. H200, of which nothing was fitted, has the energies of H100.
    With multiply and add alone they drew 350, 360 and 220 W."""
    hw = under_load(load_hardware(name).spec, "prefill", step=True)
    assert power_w(hw) == pytest.approx(BOARD_W.get(name, 700), rel=0.06)


@pytest.mark.parametrize("name", shipped("hardware"))
def test_no_large_product_draws_more_than_its_board_is_made_for(name: str) -> None:
    hw = under_load(load_hardware(name).spec, "prefill", step=True)
    assert power_w(hw) < 1.05 * BOARD_W.get(name, 700)


def test_a_product_in_fp8_takes_half_the_energy_of_one_in_16_bit_where_it_is_twice_as_fast() -> None:
    """2 x 8192^3 FLOP at 4,096 and 8,192 per clock; pJ per FLOP is that of 16 bit."""
    hw = load_hardware("h100_sxm").spec
    flops = 2 * 8192**3
    wide, narrow = (events_of(large_product(hw, size), hw).fp16_flops for size in (2, 1))
    assert wide == pytest.approx(flops)
    assert narrow == pytest.approx(flops / 2)
