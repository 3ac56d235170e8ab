"""The SM clock that a machine holds in a phase."""

from sim.config.hardware import Hardware

TENSOR_PHASES = ("prefill", "mixed")
"""Phases that keep the tensor cores busy; decode and verify wait for memory."""


def under_load(hw: Hardware, phase: str) -> Hardware:
    """The chip at the clock that its governor holds in a phase.

    A board with power to spare boosts beyond its rating; continuous MMA may draw more than the power limit. The
    governor follows the power of milliseconds, so that all kernels of such a step share the clock, the few between that
    only move values too.
    """
    sm = hw.sm
    if phase not in TENSOR_PHASES or (sm.boost is None and sm.busy_clock_ghz is None):
        return hw
    boosted = sm.clock_ghz * (sm.boost or 1)
    clock = boosted if sm.busy_clock_ghz is None else min(sm.busy_clock_ghz, boosted)
    return hw.model_copy(update={"sm": sm.model_copy(update={"clock_ghz": clock})})
