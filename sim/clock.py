"""The SM clock that a machine holds in a phase."""

from sim.config.hardware import Hardware

TENSOR_PHASES = ("prefill", "mixed")
"""Phases that keep the tensor cores busy; decode and verify wait for memory."""


def under_load(hw: Hardware, phase: str) -> Hardware:
    """The chip at the clock that its governor holds in a phase.

    Continuous MMA may draw more than the power limit; a board with power to spare boosts beyond its rating. The
    governor follows the power of milliseconds, so that all kernels of such a step share the clock, the few between that
    only move values too.
    """
    busy = hw.sm.busy_clock_ghz
    if busy is None or phase not in TENSOR_PHASES:
        return hw
    return hw.model_copy(update={"sm": hw.sm.model_copy(update={"clock_ghz": busy})})
