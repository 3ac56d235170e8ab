"""Rates at which a stage would outlast the whole picoseconds of 64 bits are bad input, not a defect."""

from typing import Any

import pytest

from sim.cli.job import run_named
from sim.errors import InputError


@pytest.mark.parametrize("key", ["sm.exp_per_clk", "sm.tensor_flop_per_clk.fp16"])
def test_a_rate_at_which_a_tile_takes_thousands_of_seconds_is_refused(key: str) -> None:
    how: dict[str, Any] = {"fidelity": "full", "seed": 0, "what_if": False, "verify": False}
    small = ("workload.batch=1", "workload.context=64")
    with pytest.raises(InputError, match=r"a stage of a tile takes .* allowed: up to 1000 s"):
        run_named("decode_16x8k", "h100_sxm", (*small, f"{key}=1e-9"), **how)
