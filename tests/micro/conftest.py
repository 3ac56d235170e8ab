"""The machine of round numbers on which benchmarks are worked out on paper."""

import pytest

from sim.config.hardware import Hardware
from sim.config.load import load_hardware


@pytest.fixture(scope="module")
def machine() -> Hardware:
    """4 SMs at 1 GHz, 1 MiB of L2 in 8 slices of 128 GB/s, one stack of HBM3, rows closed after use, no refresh."""
    keys = {
        "sm": {"count": 4, "clock_ghz": 1, "max_inflight_kib": 64},
        "noc": {"latency_ns": 50, "far_extra_ns": 0},
        "l2": {
            "capacity_mib": 1,
            "effective_fraction": 1,
            "latency_ns": 40,
            "slices": 8,
            "bandwidth_gb_s": 1024,
        },
        "hbm": {
            "stacks": 1,
            "pin_gbit_s": 6.4,
            "controller_ns": 100,
            "page_policy": "closed",
            "refresh": "none",
            "busy_fraction": 0,
        },
        "tlb": {"l2_latency_ns": 0},
        "gather": {"issue_clk": 10, "bytes_per_clk": 128},
        "launch": {"cta_ns": 200},
    }
    sets = [
        f"hw.{section}.{key}={value}" for section, values in keys.items() for key, value in values.items()
    ]
    return load_hardware("h100_sxm", [*sets, "hw.l2.partitions=1", "hw.l2.far_copies=false"]).spec
