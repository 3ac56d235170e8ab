"""The SM clock that a machine holds in a phase."""

from sim.config.hardware import Hardware

TENSOR_PHASES = ("prefill", "mixed")
"""Phases that keep the tensor cores busy; decode and verify wait for memory."""


def under_load(hw: Hardware, phase: str) -> Hardware:
    """The chip at the clock that its power limit leaves in a phase.

    Continuous MMA may draw more than the limit. The governor follows the power of milliseconds, so that all kernels
    of such a step share the clock, the few between that only move values too.
    """
    limit, sm = hw.sm.busy_clock_ghz, hw.sm
    if limit is None or phase not in TENSOR_PHASES:
        return hw
    return hw.model_copy(update={"sm": sm.model_copy(update={"clock_ghz": min(limit, sm.clock_ghz)})})
