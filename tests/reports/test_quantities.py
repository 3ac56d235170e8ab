"""What figures derive from a result is what the work and the machine say by hand."""

import pytest

from reports.quantities import tensor_ceiling, useful_flops
from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload

HEADS, TOKENS = 8, 4096
PREFILL = ("workload.batch=1", "workload.model={base: llama3_70b, q_heads: 8, kv_heads: 1}")


@pytest.mark.parametrize(
    ("hardware", "rated_over_held"),
    [("h100_sxm", 1), ("h100_pcie", 1.62 / 1.4), ("l40s", 2.49 / 2.07), ("rtx4090", 1 / 1.09)],
)
def test_a_roofline_is_drawn_at_the_clock_that_the_machine_held(
    hardware: str, rated_over_held: float
) -> None:
    # A causal prefill of n tokens has n (n + 1) / 2 scores a head, each 2 x 128 multiply-adds; power limits and boosts
    # change its time, not its FLOPs.
    hw = load_hardware(hardware).spec
    result = simulate(hw, load_workload("prefill_4k", PREFILL).spec, fidelity="bound")
    assert useful_flops(result) == pytest.approx(HEADS * TOKENS * (TOKENS + 1) / 2 * 2 * 256)
    roof = tensor_ceiling(result)
    rated = hw.sm.tensor_flop_per_clk["fp16"] * hw.sm.count * hw.sm.clock_ghz
    assert roof is not None
    assert rated / roof[1] == pytest.approx(rated_over_held)
