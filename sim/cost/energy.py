"""Energy of a run: event counts times energy per event, and idle power times time as a line of its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.config.hardware import Hardware

PJ = 1e-12
BITS = 8


@dataclass(frozen=True)
class Events:
    """What a run did. Bytes, exponentials and values; of the tensor cores the FP16 FLOP that they could have done while
    they worked: narrower formats go through the same silicon faster."""

    hbm_bytes: int
    l2_bytes: int
    noc_bytes: int
    sram_bytes: int
    fp16_flops: float
    exps: int
    unpack_values: int
    tier_bytes: Mapping[str, int]
    """By kind of tier."""
    time_ns: float


def energy_j(events: Events, hw: Hardware) -> dict[str, float]:
    """Joules by part; `idle` is leakage and clocks over the time of the run."""
    e = hw.energy
    parts = {
        "hbm": events.hbm_bytes * BITS * e.hbm_pj_per_bit * PJ,
        "l2": events.l2_bytes * BITS * e.l2_pj_per_bit * PJ,
        "noc": events.noc_bytes * BITS * e.noc_pj_per_bit * PJ,
        "sram": events.sram_bytes * BITS * e.sram_pj_per_bit * PJ,
        "tensor": events.fp16_flops * e.tensor_pj_per_flop * PJ,
        "exp": events.exps * e.exp_pj * PJ,
        "unpack": events.unpack_values * e.unpack_pj_per_value * PJ,
        "idle": e.idle_w * events.time_ns * 1e-9,
    }
    for kind, size in events.tier_bytes.items():
        parts[f"tier.{kind}"] = size * BITS * e.tier_pj_per_bit.get(kind, 0.0) * PJ  # type: ignore[call-overload]
    return parts
