"""Two streams of one CTA (ping-pong) share the units of the SM, and have one cause of waiting at a time."""

from pathlib import Path

import pytest

from sim.cli.job import simulate
from sim.config.load import load_hardware, load_workload
from sim.result import Result

VECTOR = ("tensor", "softmax", "alu")
"""Work that takes the vector pipes where warps issue the products one by one (mma.sync)."""


def prefill(folder: Path, overlap: str, operands: str) -> Result:
    """A compute-bound launch, one CTA per SM."""
    profile = folder / f"{overlap}_{operands}.yaml"
    profile.write_text(
        f"base: fa2_prefill\nname: mine\noverlap: {overlap}\nmma_operands: {operands}\nctas_per_sm: 1\n"
    )
    sets = ("batch=1", "context=1024", "q_len=1024", f"kernel={profile}")
    workload = load_workload("prefill_4k", tuple(f"workload.{s}" for s in sets)).spec
    return simulate(load_hardware("a100_sxm_80gb").spec, workload)


def spent(result: Result, *causes: str) -> float:
    """ns that the mean SM spends on these causes."""
    assert result.stalls is not None
    return result.time_ns * sum(result.stalls[cause] for cause in causes)


def test_products_that_take_the_vector_pipes_hide_loads_of_operands_but_no_softmax(tmp_path: Path) -> None:
    # Products, exponentials and FP32 work take turns on one unit, so their sum stays what it is; only the loads from
    # shared memory, on a port of their own, can go on under the other stream's work.
    alone, both = (prefill(tmp_path, overlap, "register") for overlap in ("none", "pingpong"))
    assert spent(both, *VECTOR) == pytest.approx(spent(alone, *VECTOR), rel=1e-3)
    hidden = spent(alone, "sram_bandwidth") - spent(both, "sram_bandwidth")
    assert hidden > 0.8 * spent(alone, "sram_bandwidth") > 0.1 * alone.time_ns
    assert alone.time_ns - both.time_ns >= 0.9 * hidden


def test_products_that_read_shared_memory_themselves_hide_the_softmax(tmp_path: Path) -> None:
    alone, both = (prefill(tmp_path, overlap, "sram") for overlap in ("none", "pingpong"))
    assert spent(both, "tensor") == pytest.approx(spent(alone, "tensor"), rel=1e-3)
    # CTAs of 2 to 16 tiles: beside the first and the last share of each there is no product of the other stream.
    assert spent(both, "softmax") < spent(alone, "softmax") / 3
    assert alone.time_ns - both.time_ns > 0.6 * spent(alone, "softmax", "alu")
